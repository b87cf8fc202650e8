"""The loops that learning the ranker runs through again and again, compiled to machine code."""

import numpy as np
import numpy.typing as npt

from recommender.kernels.choose import best
from recommender.kernels.compiled import compiled
from recommender.types import BoolArray, FloatArray, IntArray

Vector = npt.NDArray[np.float64]


@compiled("D1 b1")
def excess(score: Vector, right: BoolArray) -> float:
    """`surprise` of one question; what each item's probability has too much is put in place of its score."""
    peak, top = -np.inf, -np.inf
    for at in range(score.size):
        peak = max(peak, score[at])
        top = max(top, score[at] if right[at] else -np.inf)
    total, among = 0.0, 0.0
    for at in range(score.size):
        odds = np.exp(score[at] - peak)
        total += odds
        if right[at]:
            among += np.exp(score[at] - top)
        else:
            score[at] = odds
    for at in range(score.size):
        if right[at]:
            score[at] = np.exp(score[at] - peak) / total - np.exp(score[at] - top) / among
        else:
            score[at] /= total
    return float(np.log(total) + peak - np.log(among) - top)


@compiled("f2")
def spread(values: FloatArray) -> tuple[Vector, Vector]:
    """The mean and the standard deviation of each column; shape (columns,), each."""
    rows, columns = values.shape
    mean, square = np.zeros(columns), np.zeros(columns)
    for row in range(rows):
        for column in range(columns):
            mean[column] += values[row, column]
    mean /= max(rows, 1)
    for row in range(rows):
        for column in range(columns):
            square[column] += (values[row, column] - mean[column]) ** 2
    return mean, np.sqrt(square / max(rows, 1))


@compiled("F2 i1 f2")
def add_at(table: FloatArray, rows: IntArray, values: FloatArray) -> None:
    """Add values, shape (k, n), to the row of a table that each belongs to."""
    for at in range(rows.size):
        for column in range(table.shape[1]):
            table[rows[at], column] += values[at, column]


@compiled("f2 f1 f1 i1 b1 i1 f2 D2")
def by_situation(
    values: FloatArray,
    unit: FloatArray,
    stands_for: FloatArray,
    starts: IntArray,
    right: BoolArray,
    which: IntArray,
    weights: FloatArray,
    slope: Vector,
) -> float:
    """Minus the log-likelihood of questions under the weights of their situations; its slope is added to `slope`.

    unit: shape (columns,), what values are multiplied by. weights, slope: shape (situations, columns), for values that
    were. which: shape (questions,), the situation of each. For the rest see `Replay`.
    """
    loss, columns = 0.0, values.shape[1]
    score, own_slope = np.empty(np.diff(starts).max() if which.size else 0), np.empty(columns, np.float32)
    for question in range(which.size):
        first, size = starts[question], starts[question + 1] - starts[question]
        own = weights[which[question]]
        for at in range(size):
            said, row = np.float32(0), values[first + at]
            for column in range(columns):
                said += row[column] * unit[column] * own[column]
            score[at] = said + stands_for[first + at]
        loss += excess(score[:size], right[first : first + size])
        own_slope[:] = 0
        for at in range(size):
            more, row = np.float32(score[at]), values[first + at]
            for column in range(columns):
                own_slope[column] += more * (row[column] * unit[column])
        for column in range(columns):
            slope[which[question], column] += own_slope[column]
    return loss


@compiled("f2 f1 f1 b1 i1 i1 f1")
def lay_out(
    values: FloatArray,
    unit: FloatArray,
    stands_for: FloatArray,
    met: BoolArray,
    starts: IntArray,
    chosen: IntArray,
    weight: FloatArray,
) -> tuple[FloatArray, Vector]:
    """What the layer reads of some questions, one after the other, and the weighted sums beside it.

    First the values of the items that a source singles out, shape (k, columns), then the sums of all, shape (total,).
    unit: shape (columns,), what values are multiplied by; weight: (columns,).
    """
    columns, at, one = values.shape[1], 0, 0
    for question in chosen:
        for row in range(starts[question], starts[question + 1]):
            at += 1
            one += met[row]
    out, score = np.empty((one, columns), np.float32), np.empty(at)
    at, one = 0, 0
    for question in chosen:
        for row in range(starts[question], starts[question + 1]):
            said = np.float32(0)
            for column in range(columns):
                said += values[row, column] * unit[column] * weight[column]
            score[at] = said + stands_for[row]
            at += 1
            if met[row]:
                for column in range(columns):
                    out[one, column] = values[row, column] * unit[column]
                one += 1
    return out, score


@compiled("f2 f1 b1 b1 i1 i1 i1 f2 f2 f1 F2 D1 F1 F2 F2 F1")
def slope_back(
    values: FloatArray,
    unit: FloatArray,
    met: BoolArray,
    right: BoolArray,
    item: IntArray,
    starts: IntArray,
    chosen: IntArray,
    start: FloatArray,
    own: FloatArray,
    out: FloatArray,
    units: FloatArray,
    score: Vector,
    by_weight: FloatArray,
    by_start: FloatArray,
    by_item: FloatArray,
    by_out: FloatArray,
) -> None:
    """The slopes of what these questions lose on average; all `by_` must be zeros.

    units: shape (k, units), what the columns of the items that are singled out say to the units; then the slope by
    that. score: as `lay_out` gives it. start: shape (questions, units); own, out: `Layer.item` and `Layer.out`.
    """
    width, columns, at, one = out.size, values.shape[1], 0, 0
    for number in range(chosen.size):
        first, end = starts[chosen[number]], starts[chosen[number] + 1]
        rest = np.float32(0)
        for which in range(width):
            rest += out[which] * start[number, which] if start[number, which] > 0 else np.float32(0)
        mine = one
        for row in range(first, end):
            if met[row]:
                lift = np.float32(0)
                for which in range(width):
                    stand = units[mine, which] + start[number, which] + own[item[row], which]
                    stand = stand if stand > 0 else np.float32(0)
                    units[mine, which] = stand
                    lift += stand * out[which]
                score[at + row - first] += lift - rest
                mine += 1
        excess(score[at : at + end - first], right[first:end])
        total = np.float32(0)
        for row in range(first, end):
            more = np.float32(score[at] / chosen.size)
            at += 1
            for column in range(columns):
                by_weight[column] += more * (values[row, column] * unit[column])
            if met[row]:
                total += more
                for which in range(width):
                    by_out[which] += more * units[one, which]
                for which in range(width):
                    units[one, which] = more * out[which] if units[one, which] > 0 else np.float32(0)
                for which in range(width):
                    by_start[number, which] += units[one, which]
                for which in range(width):
                    by_item[item[row], which] += units[one, which]
                one += 1
        for which in range(width):
            if start[number, which] > 0:
                by_out[which] -= total * start[number, which]
                by_start[number, which] -= total * out[which]


@compiled("f2 i1 i0 B1")
def mark_best(values: FloatArray, at: IntArray, near: int, met: BoolArray) -> None:
    """Set `met` for the best items of each row of values, so many of them; at: shape (n,), the items' positions."""
    for row in range(values.shape[0]):
        for place in best(values[row], near):
            met[at[place]] = True
