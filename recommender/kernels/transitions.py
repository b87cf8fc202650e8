"""What followed the customer's last steps, in their own past, and what others do next."""

import numpy as np

from recommender.features import FADED, Weights
from recommender.kernels.compiled import compiled
from recommender.kernels.past import find
from recommender.types import FloatArray, IntArray

_LOOSE, _ALSO, _RUNS = 4, 7, 4


@compiled("i1 d0 d0 D1")
def _frequency(place: IntArray, pace: float, faint: float, share: Weights) -> None:
    """Each place's share of the uses at a half-life, and in the last cell that of an item never used."""
    size, worth, keep, total = share.size - 1, 1.0, np.exp2(-1 / pace), 0.0
    share[:] = faint
    for back in range(min(place.size, int(FADED * pace))):
        share[place[place.size - 1 - back]] += worth
        worth *= keep
    for one in range(size):
        total += share[one]
    for one in range(size):
        share[one] /= total
    share[size] = faint / max(total, faint)


@compiled("i1 i1 i0 i0 d1")
def _followers(place: IntArray, run: IntArray, size: int, orders: int, paces: Weights) -> Weights:
    """Shape (orders * paces, size): how often each item followed the last steps, the newest meeting counting 1."""
    chains = paces.size
    counts, keep = np.zeros((orders * chains, size)), np.exp2(-1 / paces)
    worth, met = np.ones((orders, chains)), np.zeros(orders, np.int64)
    for at in range(place.size - 1, 0, -1):
        for order in range(min(run[at], orders)):
            for chain in range(chains):
                if met[order] < FADED * paces[chain]:
                    counts[order * chains + chain, place[at]] += worth[order, chain]
                worth[order, chain] *= keep[chain]
            met[order] += 1
    return counts


@compiled("D1 d1 d0 d0")
def _lean(share: Weights, count: Weights, discount: float, lean: float) -> None:
    """The shares by these counts of followers, leaning on the ones at hand where they are few.

    share: shape (m + 1,), in its last cell that of any other item; it is written to.
    """
    size, freed, total = count.size, lean, lean
    for one in range(size):
        freed += min(count[one], discount)
        total += count[one]
    for one in range(size):
        share[one] = (count[one] - min(count[one], discount) + freed * share[one]) / total
    share[size] *= freed / total


@compiled("d1 F1")
def _logarithms(share: Weights, values: FloatArray) -> None:
    size = values.size
    for one in range(size):
        values[one] = np.log(share[one] / share[size])


@compiled("D2 D1 I1 i0 i0 d0 d0")
def _count(counts: Weights, worth: Weights, met: IntArray, row: int, one: int, keep: float, pace: float) -> None:
    if met[row] < FADED * pace:
        counts[row, one] += worth[row]
    worth[row] *= keep
    met[row] += 1


@compiled("i1 i1 i1 i0 d0")
def _alike_befores(place: IntArray, item: IntArray, run: IntArray, size: int, pace: float) -> Weights:
    """Shape (_ALSO, size): how often each item came when things stood as now in the ways of LOOSE and CLOSE."""
    t, keep = item.size, np.exp2(-1 / pace)
    counts, worth, met = np.zeros((_ALSO, size)), np.ones(_ALSO), np.zeros(_ALSO, np.int64)
    if t < 3:
        return counts
    last, before, third = item[t - 1], item[t - 2], item[t - 3]
    followed = np.flatnonzero(run > 0)  # the uses that followed the last step
    newest = followed.size - 1
    for at in range(t - 1, 1, -1):
        two, three = item[at - 2] == before, at >= 3 and t > 3 and item[at - 3] == third
        so = (
            two,
            three,
            three and two,
            item[at - 2] == last and item[at - 1] == before,
        )
        for row in range(_LOOSE):
            if so[row]:
                _count(counts, worth, met, row, place[at], keep, pace)
    for where in range(newest, -1, -1):
        at = followed[where]
        if at > 2 and item[at - 3] == third:
            _count(counts, worth, met, _LOOSE, place[at], keep, pace)
        if where >= 1 and item[followed[where - 1]] == item[followed[newest]]:
            _count(counts, worth, met, _LOOSE + 1, place[at], keep, pace)
            if where >= 2 and item[followed[where - 2]] == item[followed[newest - 1]]:
                _count(counts, worth, met, _LOOSE + 2, place[at], keep, pace)
    return counts


@compiled("i1 i1 i1 i0 i0 F2")
def _runs(place: IntArray, item: IntArray, run: IntArray, longest: int, alike: int, values: FloatArray) -> None:
    """Fill in how the uses of each place stand to the last steps: see RUNS."""
    t, size = item.size, values.shape[1]
    values[:] = 0
    if t < 2:
        return
    newest, seen = 0, np.zeros(size, np.bool_)
    for at in range(t - 1, -1, -1):
        one = place[at]
        newest = at if run[at] > run[newest] else newest
        values[1, one] = max(values[1, one], run[at])
        if not seen[one]:
            seen[one] = True
            values[2, one] = run[at]
            for back in range(1, min(alike, t - 1, at) + 1):
                values[3, one] += item[at - back] == item[t - back]
    if run[newest]:
        same = 0
        while same < longest and same < newest and item[newest - 1 - same] == item[t - 1 - same]:
            same += 1
        values[0, place[newest]] = same
    for row in range(3):
        for one in range(size):
            values[row, one] = np.log1p(values[row, one])


@compiled("i1 i0 i1 i1 i0 d1 d1 d0 d0 d0 i0 i0")
def own_steps(
    place: IntArray,
    size: int,
    item: IntArray,
    run: IntArray,
    orders: int,
    paces: Weights,
    discounts: Weights,
    base_pace: float,
    lean: float,
    faint: float,
    longest: int,
    alike: int,
) -> FloatArray:
    """Shape (columns, size): the columns of `Transitions` that the customer's own past fills.

    run: shape (t,), how many of the last steps each use followed. paces, discounts: shape (c,), of each chain; see
    CHAINS for these, and for the rest the constants of their names.
    """
    chains = paces.size
    values = np.empty((chains * orders + _ALSO + _RUNS, size), np.float32)
    base = np.empty(size + 1)
    _frequency(place, base_pace, faint, base)
    counts = _followers(place, run, size, orders, paces)
    share, near = np.empty((chains, size + 1)), np.empty(size + 1)
    for chain in range(chains):
        share[chain] = base
        for order in range(orders):
            _lean(share[chain], counts[order * chains + chain], discounts[chain], lean)
            _logarithms(share[chain], values[chain * orders + order])
            if order == 0 and chain == chains - 1:
                near[:] = share[chain]
    also = _alike_befores(place, item, run, size, paces[chains - 1])
    for row in range(_ALSO):
        mixed = (base if row < _LOOSE else near).copy()
        _lean(mixed, also[row], discounts[chains - 1], lean)
        _logarithms(mixed, values[chains * orders + row])
    _runs(place, item, run, longest, alike, values[chains * orders + _ALSO :])
    return values


@compiled("i1 f2 i1 i1 i1 f1 i1 i0")
def with_others(
    at: IntArray,
    own: FloatArray,
    key: IntArray,
    starts: IntArray,
    item: IntArray,
    lift: FloatArray,
    steps: IntArray,
    stride: int,
) -> tuple[IntArray, FloatArray]:
    """The positions `at` and what others do after the same one and two steps, as one list, ascending; and all columns.

    own: shape (columns, at), to which two columns are added, of the lift after one step and after two. key, starts,
    item, lift: the table of `Transitions`. steps: shape (t,), of which the last count. stride: between keys.
    """
    rows = np.zeros((2, 2), np.int64)
    for which in range(min(steps.size, 2)):
        before = stride * (steps[steps.size - 2] + 1) if which else 0
        row = find(key, 0, key.size, before + steps[steps.size - 1])
        if row >= 0:
            rows[which, 0], rows[which, 1] = starts[row], starts[row + 1]
    most = at.size + rows[0, 1] - rows[0, 0] + rows[1, 1] - rows[1, 0]
    all_, columns = np.empty(most, np.int64), own.shape[0]
    where = np.empty((3, most), np.int64)
    mine, one, two, count = 0, rows[0, 0], rows[1, 0], 0
    end = np.int64(1) << 62
    while mine < at.size or one < rows[0, 1] or two < rows[1, 1]:
        a = at[mine] if mine < at.size else end
        b = np.int64(item[one]) if one < rows[0, 1] else end
        c = np.int64(item[two]) if two < rows[1, 1] else end
        least = min(a, b, c)
        all_[count] = least
        where[0, count], where[1, count], where[2, count] = -1, -1, -1
        if a == least:
            where[0, count] = mine
            mine += 1
        if b == least:
            where[1, count] = one
            one += 1
        if c == least:
            where[2, count] = two
            two += 1
        count += 1
    values = np.zeros((columns + 2, count), np.float32)
    for spot in range(count):
        if where[0, spot] >= 0:
            for column in range(columns):
                values[column, spot] = own[column, where[0, spot]]
        for which in range(2):
            if where[1 + which, spot] >= 0:
                values[columns + which, spot] = lift[where[1 + which, spot]]
    return all_[:count].copy(), values
