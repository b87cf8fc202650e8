"""The ranker's loops: what sources say of some items side by side, the hidden layer, and what silence would change."""

import numpy as np

from recommender.features import ORDERS
from recommender.kernels.compiled import compiled
from recommender.ranker import AT_ONCE, LENGTHS, PAUSES, SEEN
from recommender.types import BoolArray, FloatArray, IntArray


@compiled("i1 i1")
def union(a: IntArray, b: IntArray) -> IntArray:
    """The positions of two lists, each ascending, as one."""
    both, i, j, count = np.empty(a.size + b.size, np.int64), 0, 0, 0
    while i < a.size or j < b.size:
        first = j == b.size or (i < a.size and a[i] <= b[j])
        both[count] = a[i] if first else b[j]
        j += j < b.size and b[j] == both[count]
        i += first
        count += 1
    return both[:count].copy()


@compiled("f2 f1 i1 i1 i0 F2 B1")
def lay_some(
    values: FloatArray,
    floor: FloatArray,
    at: IntArray,
    wanted: IntArray,
    column: int,
    matrix: FloatArray,
    met: BoolArray,
) -> None:
    """Put what a source says of the positions `at` above its floor into matrix[:, column:], one row for each wanted.

    values: shape (columns, m). at: (m,), ascending. wanted: (k,), in any order. met: (k,), marked where it is in `at`.
    """
    place = 0
    for row in range(wanted.size):
        if place and at[place - 1] >= wanted[row]:
            place = 0
        while place < at.size and at[place] < wanted[row]:
            place += 1
        if place < at.size and at[place] == wanted[row]:
            met[row] = True
            for part in range(floor.size):
                matrix[row, column + part] = values[part, place] - floor[part]


@compiled("f2 f1 i1 i0 F2")
def lay_all(values: FloatArray, floor: FloatArray, wanted: IntArray, column: int, matrix: FloatArray) -> None:
    """The same of a source that speaks of all items; values: shape (columns, n)."""
    for row in range(wanted.size):
        for part in range(floor.size):
            matrix[row, column + part] = values[part, wanted[row]] - floor[part]


@compiled("i1 i1 i0 i1")
def situated(item: IntArray, time: IntArray, now: int, met: IntArray) -> IntArray:
    """`situation`, shape (AT_ONCE,). item, time: of the uses; met: see `Steps`."""
    rows, order, t, first = np.zeros(AT_ONCE, np.int64), 0, item.size, 1
    for steps in range(1, ORDERS + 1):
        order += met[steps] > 0
    rows[1] = first + order * len(SEEN)
    for seen in SEEN[1:]:
        rows[1] += order > 0 and met[order] >= seen
    first += (ORDERS + 1) * len(SEEN)
    rows[2] = first
    for length in LENGTHS:
        rows[2] += t >= length
    first += len(LENGTHS) + 1
    rows[3] = first + (t > 1 and item[t - 1] == item[t - 2])
    rows[4] = first + 2
    for pause in PAUSES:
        rows[4] += t == 0 or now - time[t - 1] >= pause
    return rows


@compiled("f2 i1 f2 i0")
def stand(bias: FloatArray, rows: IntArray, last: FloatArray, at: int) -> FloatArray:
    """`Layer.start`: shape (units,)."""
    start: FloatArray = last[min(at, last.shape[0] - 1)].copy()
    for row in rows:
        start += bias[row]
    return start


@compiled("f2 f2 f2 i1")
def ways(values: FloatArray, into: FloatArray, item: FloatArray, positions: IntArray) -> FloatArray:
    """`Layer.way`: shape (k, units). values: (k, columns). item: the layer's table."""
    way: FloatArray = np.dot(values, into)
    for row in range(positions.size):
        own = item[min(positions[row], item.shape[0] - 1)]
        for unit in range(own.size):
            way[row, unit] += own[unit]
    return way


@compiled("f1 f1 f1")
def lift(way: FloatArray, start: FloatArray, out: FloatArray) -> float:
    """`Layer.lift` of one item. way: shape (units,)."""
    total = np.float32(0)
    for unit in range(out.size):
        total += (max(way[unit] + start[unit], np.float32(0)) - max(start[unit], np.float32(0))) * out[unit]
    return float(total)


@compiled("f2 f1 f1")
def lifts(way: FloatArray, start: FloatArray, out: FloatArray) -> FloatArray:
    """`Layer.lift`: shape (k,). way: (k, units)."""
    found = np.empty(way.shape[0], np.float32)
    for row in range(way.shape[0]):
        found[row] = lift(way[row], start, out)
    return found


@compiled("F1 f2 f1")
def add_whole(total: FloatArray, values: FloatArray, weight: FloatArray) -> None:
    """Add to the scores of all items the weighted sum of some columns; values: shape (columns, n)."""
    for column in range(weight.size):
        for at in range(total.size):
            total[at] += weight[column] * values[column, at]


@compiled("F1 i1 f2 f1 b1 f2 f1 f1")
def add_singled(
    total: FloatArray,
    met: IntArray,
    values: FloatArray,
    weight: FloatArray,
    single: BoolArray,
    way: FloatArray,
    start: FloatArray,
    out: FloatArray,
) -> None:
    """Add to the scores of some positions the weighted sum of the columns that speak one by one, and the layer's lift.

    met: shape (k,). values: (k, columns). way: (k, units); no units where there is no layer.
    """
    for row in range(met.size):
        said = np.float32(0)
        for column in range(weight.size):
            said += weight[column] * values[row, column] if single[column] else np.float32(0)
        total[met[row]] += said + np.float32(lift(way[row], start, out))


@compiled("d0 d1 f1")
def factor(sure: float, log_odds: "np.ndarray[tuple[int], np.dtype[np.float64]]", sharpness: FloatArray) -> float:
    """The sharpness at a probability of the first item, between those at these log-odds; beyond them it stays."""
    odds, last = np.log(sure / (1 - sure)), log_odds.size - 1
    if odds <= log_odds[0]:
        return np.float64(sharpness[0])
    for at in range(last):
        if odds < log_odds[at + 1]:
            part = (odds - log_odds[at]) / (log_odds[at + 1] - log_odds[at])
            return np.float64(sharpness[at] + part * (sharpness[at + 1] - sharpness[at]))
    return np.float64(sharpness[last])


@compiled("f2 f1 i1 b1 b1 i1 b1 f2 f2 f1 f1 i0 d1 f1 d0")
def silences(
    values: FloatArray,
    weight: FloatArray,
    ends: IntArray,
    single: BoolArray,
    met: BoolArray,
    positions: IntArray,
    late: BoolArray,
    into: FloatArray,
    item: FloatArray,
    start: FloatArray,
    out: FloatArray,
    own: int,
    log_odds: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    sharpness: FloatArray,
    doubt: float,
) -> tuple[FloatArray, BoolArray]:
    """What `losses` says, shape (sources, k), twice.

    values: shape (k, columns), above the floor. ends: (sources,), the column behind each source's last; single: whether
    it speaks of items one by one. met: (k,), whether any such source speaks of the item. late: (k,), whether it is owed
    what its uses say in column `own`. into, item, out: the layer's; start: where its units stand. log_odds, sharpness,
    doubt: of the sharpness; empty where there is none.
    """
    sources, k, units = ends.size, values.shape[0], out.size
    total, speaks = np.zeros((1 + sources, k)), np.zeros((sources, k), np.bool_)
    said, parts, way = np.zeros(sources), np.zeros((1 + sources, units), np.float32), np.empty(units, np.float32)
    floor = np.maximum(start, np.float32(0))
    for one in range(k):
        whole, singled, first = 0.0, 0.0, 0
        if units:
            way[:] = item[min(positions[one], item.shape[0] - 1)]
        for source in range(sources):
            said[source], parts[1 + source] = 0, 0
            for column in range(first, ends[source]):
                value = values[one, column]
                if value != 0:
                    speaks[source, one] |= value > 0
                    said[source] += weight[column] * value
                    for unit in range(units if met[one] else 0):
                        parts[1 + source, unit] += value * into[column, unit]
            first = ends[source]
            whole += said[source]
            singled += said[source] if single[source] else 0
            for unit in range(units):
                way[unit] += parts[1 + source, unit]
        for row in range(1 + sources):
            silent = said[row - 1] if row else 0.0
            lifted = np.float32(0)
            for unit in range(units if met[one] else 0):
                stands = way[unit] - parts[row, unit] + start[unit]
                lifted += (max(stands, np.float32(0)) - floor[unit]) * out[unit]
            total[row, one] = whole - silent + lifted
            if late[one]:
                begin = ends[row - 2] if row > 1 else 0
                worth = 0.0 if row and begin <= own < ends[row - 1] else values[one, own]
                left = singled + lifted - (silent if row and single[row - 1] else 0.0)
                total[row, one] += max(worth - left, 0.0)
    lost = np.empty((sources, k), np.float32)
    for row in range(1 + sources):
        best, sum_ = total[row].max(), 0.0
        for one in range(k):
            sum_ += np.exp(total[row, one] - best)
        if sharpness.size:
            sharp = factor(min(max(1 / sum_, doubt), 1 - doubt), log_odds, sharpness)
            sum_ = 0.0
            for one in range(k):
                total[row, one] = best + sharp * (total[row, one] - best)
                sum_ += np.exp(total[row, one] - best)
        for one in range(k):
            total[row, one] -= best + np.log(sum_)
            if row:
                lost[row - 1, one] = total[0, one] - total[row, one]
    return lost, speaks
