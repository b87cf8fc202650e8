"""Transitions: what follows what, in the customer's own past and in everybody's.

Own transitions are looked up in the history itself, for the last one to
ORDERS steps; each order leans on the shorter ones where it has seen little.
What others do after the same one or two steps is a published table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.features import ORDERS, Weights, ages, steps, tally, used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray

DISCOUNT = 0.75
"""What each follower's count gives up to the shorter order where it is cautious (Ney, Essen & Kneser, 1994)."""

CHAINS = {
    "pace-1": (1, 0.0),
    "pace-64": (64, 0.0),
    "cautious-4": (4, DISCOUNT),
    "cautious-16": (16, DISCOUNT),
    "cautious-64": (64, DISCOUNT),
}
"""Ways to count what followed: a half-life, in times that the same steps were met, and a discount."""

_PACES = tuple(pace for pace, _ in CHAINS.values())
_DISCOUNTS = np.array([[discount] for _, discount in CHAINS.values()])

LOOSE = ("skip-2", "skip-3", "skip-2-3", "swapped")
"""What else may be as it was before a use: the step two back, three back, both of these; the last two, swapped."""

CLOSE = ("gap", "turn-1", "turn-2")
"""The same beside the last step: the step three back; what followed the last step when it was met before, and the two
times before.
"""

LONGEST = 32
"""A run of steps that was met before is followed back so far."""

ALIKE = 6
"""How many steps before an item's last use are compared with the last steps, place by place."""

RUNS = ("run", "deepest", "depth", "alike")
"""How an item's uses in the past stand to the last steps; see `_runs`."""

BASE = 8
"""Half-life, in uses, of the frequency that the shortest order leans on."""

LEAN = 0.5
"""What the shorter order counts where the steps were never met."""

FAINT = 0.1
"""How many uses an item never used is taken to have had."""


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Scores what may come after the last steps.

    The table: key, shape (r,), ascending: `key_of` the last one or two steps; starts: (r + 1,);
    item: (s,), ascending within a key, what others do next; lift: (s,), how much more often than they
    would anyway, as log(1 + ratio).
    """

    key: IntArray
    starts: IntArray
    item: IntArray
    lift: FloatArray

    name: ClassVar[str] = "transitions"
    reason: ClassVar[str] = "next step"

    @property
    def columns(self) -> tuple[str, ...]:
        own = (f"order-{order}-{chain}" for chain in CHAINS for order in range(1, ORDERS + 1))
        return (*own, *LOOSE, *CLOSE, *RUNS, "others-1", "others-2")

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        own = _own(query)
        last = query.history.item[:-3:-1]
        rows = [self._row(int(key)) for key in keys_of(last)]
        at, where = _union(used(query).at, [item for item, _ in rows], query.items.codes.size)
        values = np.zeros((own.shape[0] + 2, at.size), np.float32)
        values[:-2, where[0]] = own
        for row, ((_, lift), spots) in enumerate(zip(rows, where[1:], strict=True), start=own.shape[0]):
            values[row, spots] = lift
        return Scores(values, at, np.zeros(values.shape[0], np.float32))

    def _row(self, key: int) -> tuple[IntArray, FloatArray]:
        """What others do after the steps of a key, and how much more often than they would anyway."""
        row = int(np.searchsorted(self.key, key))
        if row == self.key.size or self.key[row] != key:
            return self.item[:0], self.lift[:0]
        part = slice(int(self.starts[row]), int(self.starts[row + 1]))
        return self.item[part], self.lift[part]


STRIDE = 1 << 31


def keys_of(last: IntArray) -> list[int]:
    """The table's keys for the last steps, newest first: of the last one, of the last two."""
    if last.size == 0:
        return []
    return [int(last[0]), *(int(last[0]) + STRIDE * (int(step) + 1) for step in last[1:2])]


def _union(mine: IntArray, others: list[IntArray], size: int) -> tuple[IntArray, list[IntArray]]:
    """All positions, ascending, and where each part stands in them."""
    met = np.zeros(size, np.bool_)
    for part in (mine, *others):
        met[part] = True
    at = np.flatnonzero(met)
    place = np.empty(size, np.int64)
    place[at] = np.arange(at.size)
    return at, [place[part] for part in (mine, *others)]


def _own(query: Query) -> FloatArray:
    """Shape (columns, m): log-shares of what the customer did next, less those of an item never used; then RUNS."""
    mine, matches = used(query), steps(query).matches
    place, size = mine.place, mine.at.size
    count = tally(place, ages(BASE, place.size), size) + FAINT
    total = float(count.sum())
    base = _Share((count / total)[None], np.array([[FAINT / max(total, FAINT)]]))
    share, shares = base, []
    for order in range(ORDERS):
        if order < len(matches):
            share = share.after(_counts(place[matches[order]], _PACES, size), _DISCOUNTS)
        shares.append(share)
    values = np.empty((len(CHAINS) * ORDERS + len(LOOSE) + len(CLOSE), size), np.float32)
    chains = values[: len(CHAINS) * ORDERS].reshape(len(CHAINS), ORDERS, size)
    for order, share in enumerate(shares):
        chains[:, order] = share.of / share.floor
    below = len(CHAINS) * ORDERS
    near = _Share(shares[0].of[-1:], shares[0].floor[-1:])
    for share, alike in zip((base, near), _also(query), strict=True):
        counts = [tally(place[after], ages(_PACES[-1], after.size), size) for after in alike]
        also = share.after(np.array(counts), _DISCOUNTS[-1:])
        values[below : below + len(counts)] = also.of / also.floor
        below += len(counts)
    return np.concatenate([np.log(values, out=values), _runs(query)])


def _also(query: Query) -> tuple[tuple[IntArray, ...], tuple[IntArray, ...]]:
    """For each of LOOSE, and of CLOSE, the uses, ascending, before which things stood as they stand now."""
    item, matches = query.history.item, steps(query).matches
    uses, none = item.size, item[:0]
    if uses < 3:
        return (none,) * len(LOOSE), (none,) * len(CLOSE)
    one = matches[0] if matches else none
    two, three = (np.flatnonzero(item[:-back] == item[-back]) + back if uses > back else none for back in (2, 3))
    both, gap, swapped, then = two[two > 2], one[one > 2], one[one < uses - 1] + 1, item[one]
    turn = one[1:][then[:-1] == then[-1:]]
    turns = one[2:][(then[1:-1] == then[-1:]) & (then[:-2] == then[-2:-1])]
    return (
        (two, three, both[item[both - 3] == item[-3]], swapped[item[swapped - 1] == item[-2]]),
        (gap[item[gap - 3] == item[-3]], turn, turns),
    )


def _runs(query: Query) -> FloatArray:
    """Shape (RUNS, m): how long the run of last steps was that the item followed, at the newest meeting of the longest
    run (0 for all other items); how long, of at most DEPTH, the longest that the item ever followed, and the one that
    it followed at its last use; how many of the ALIKE steps before that were, each in its place, those of now.
    The first three as log(1 + steps).
    """
    item, mine, met = query.history.item, used(query), steps(query)
    uses, size = item.size, mine.at.size
    values = np.zeros((len(RUNS), size), np.float32)
    if uses < 2:
        return values
    depth = np.zeros(uses, np.float32)
    for order, after in enumerate((*met.matches, *met.deeper), start=1):
        depth[after] = order
        values[1, mine.place[after]] = order
        newest = after[-1]
    if met.matches:
        values[0, mine.place[newest]] = _run(item, int(newest))
    values[2, mine.place] = depth
    latest = np.full(size, -1)
    latest[mine.place] = np.arange(uses)
    back = np.arange(1, min(ALIKE, uses - 1) + 1)[:, None]
    before = latest - back
    values[3] = ((item[np.maximum(before, 0)] == item[-back]) & (before >= 0)).sum(axis=0)
    np.log1p(values[:3], out=values[:3])
    return values


def _run(item: IntArray, at: int) -> int:
    """How many steps before a use, at most LONGEST, were the last steps."""
    there, now = item[max(at - LONGEST, 0) : at][::-1], item[::-1][:LONGEST]
    size = min(there.size, now.size)
    other = np.flatnonzero(there[:size] != now[:size])
    return int(other[0]) if other.size else size


@dataclass(frozen=True, slots=True, eq=False)
class _Share:
    """Shares of what comes next, counted in r ways, or in one for all.

    of: shape (r, m), of the items once used. floor: (r, 1), of any other item.
    """

    of: Weights
    floor: Weights

    def after(self, count: Weights, discount: Weights) -> "_Share":
        """The shares by these counts of followers, leaning on the ones at hand where they are few.

        count: shape (r, m). discount: (r, 1).
        """
        given = np.minimum(count, discount)
        freed = given.sum(axis=1, keepdims=True) + LEAN
        total = count.sum(axis=1, keepdims=True) + LEAN
        return _Share((count - given + freed * self.of) / total, freed * self.floor / total)


def _counts(followers: IntArray, paces: Sequence[int], size: int) -> Weights:
    """Shape (paces, size): how often each item followed, oldest first, at these half-lives."""
    told = {pace: tally(followers, ages(pace, followers.size), size) for pace in paces}
    return np.array([told[pace] for pace in paces])
