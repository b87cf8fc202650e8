"""Sums of sparse rows, the common scale of the collaborative sources, and weighted sums of columns."""

import numpy as np
import numpy.typing as npt

from recommender.counting import Weights, saturated
from recommender.kernels.choose import best, largest, likely
from recommender.kernels.compiled import compiled
from recommender.types import DAY, FloatArray, IntArray


@compiled("i1 i1 f1 i1 f1 i0", "i1 j1 f1 i1 f1 i0")
def add_rows(
    starts: IntArray,
    column: npt.NDArray[np.int32] | IntArray,
    weight: FloatArray,
    rows: IntArray,
    factor: FloatArray,
    columns: int,
) -> FloatArray:
    """The weighted sum of some rows of a sparse matrix, shape (columns,).

    starts, column, weight: the matrix by rows, as in scipy's CSR. factor: shape (t,), of each of `rows`.
    """
    total = np.zeros(columns)
    for at in range(rows.size):
        for cell in range(starts[rows[at]], starts[rows[at] + 1]):
            total[column[cell]] += np.float64(weight[cell]) * factor[at]
    return total.astype(np.float32)


@compiled("f1 i0")
def spread(values: FloatArray, head: int) -> float:
    """The distance from the best of some scores to the one at place `head`, or to 0 where no more are above 0."""
    high, above, count = np.float32(0), np.empty(values.size, np.float32), 0
    for at in likely(values, head):
        if values[at] > 0:
            above[count] = values[at]
            high = max(high, values[at])
            count += 1
    if count <= head:
        return np.float64(high)
    return np.float64(high - largest(above[:count], head))


_TINY = float(np.finfo(np.float32).tiny)


@compiled("f1 i0 F1")
def scale(values: FloatArray, head: int, full: FloatArray) -> None:
    """Fill in scores of the first items, in units of their `spread`, and 0 for all others; full: shape (size,)."""
    if values.size > full.size:
        raise ValueError("a source scores more items than there are")
    distance = spread(values, head)
    unit = np.float32(1 / distance if distance > _TINY else 0)
    for at in range(values.size):
        full[at] = values[at] * unit
    full[values.size :] = 0


@compiled("f1 i0 i0")
def scaled(values: FloatArray, size: int, head: int) -> FloatArray:
    """The same as one row: shape (1, size)."""
    full = np.empty((1, size), np.float32)
    scale(values, head, full[0])
    return full


@compiled("i1 i1 f1 i1 f1 i0 i0 i0", "i1 j1 f1 i1 f1 i0 i0 i0")
def summed(
    starts: IntArray,
    column: npt.NDArray[np.int32] | IntArray,
    weight: FloatArray,
    rows: IntArray,
    factor: FloatArray,
    columns: int,
    size: int,
    head: int,
) -> FloatArray:
    """`add_rows`, on the common scale: see `scaled`."""
    return scaled(add_rows(starts, column, weight, rows, factor, columns), size, head)


@compiled("F2")
def solve(system: FloatArray) -> None:
    """Put the solution of t equations into their last column, by Gauss, with partial pivoting; system: (t, t + 1)."""
    t = system.shape[0]
    for step in range(t):
        best = step
        for row in range(step + 1, t):
            if abs(system[row, step]) > abs(system[best, step]):
                best = row
        for column in range(step, t + 1):
            system[step, column], system[best, column] = system[best, column], system[step, column]
        inverse = 1 / system[step, step]
        for row in range(step + 1, t):
            times = system[row, step] * inverse
            if times != 0:
                for column in range(step + 1, t + 1):
                    system[row, column] -= times * system[step, column]
    for step in range(t - 1, -1, -1):
        for column in range(step + 1, t):
            system[step, t] -= system[step, column] * system[column, t]
        system[step, t] /= system[step, step]


@compiled("f2 i1 f1 f2")
def fold_in_few(factors: FloatArray, rows: IntArray, confidence: FloatArray, inverse: FloatArray) -> FloatArray:
    """`Factors.fold_in` by as many equations as there are used items, where these are fewer than factors.

    The customer is inverse used' a, and putting that into the normal equations leaves (1 + D K) a = confidence with
    D = confidence - 1 and K = used inverse used'. rows: where the used items stand in `factors`.
    """
    t, f = rows.size, inverse.shape[0]
    if factors.shape[1] != f or inverse.shape[1] != f or confidence.size != t:
        raise ValueError("the factors do not fit their inverse")
    used, system = np.empty((t, f), np.float32), np.empty((t, t + 1), np.float32)
    for row in range(t):
        used[row] = factors[rows[row]]
    solved = np.dot(used, inverse)
    products = np.dot(solved, used.T)
    for row in range(t):
        for column in range(t):
            system[row, column] = (confidence[row] - 1) * products[row, column] + (row == column)
        system[row, t] = confidence[row]
    solve(system)
    customer = np.zeros(f, np.float32)
    for row in range(t):
        for one in range(f):
            customer[one] += system[row, t] * solved[row, one]
    return customer


@compiled("f2 i1 f1 i0 i0")
def scores_among(products: FloatArray, rows: IntArray, confidence: FloatArray, size: int, head: int) -> FloatArray:
    """What `Factors` says to who used the items `rows`, as `fold_in_few` finds, times the factors; see `scale`.

    products: shape (n, n), of all items' factors by the inverse.
    """
    t, n = rows.size, products.shape[0]
    system, scores = np.zeros((t, t + 1), np.float32), np.zeros(n, np.float32)
    for row in range(t):
        for column in range(t):
            system[row, column] = (confidence[row] - 1) * products[rows[row], rows[column]] + (row == column)
        system[row, t] = confidence[row]
    solve(system)
    for row in range(t):
        for one in range(n):
            scores[one] += system[row, t] * products[rows[row], one]
    return scaled(scores, size, head)


_saturated = compiled("d0")(saturated)


@compiled("i1 i1 i1 f1 d0")
def weigh(type_: IntArray, age: IntArray, types: IntArray, weight: FloatArray, half_life: float) -> Weights:
    """`Counting.weigh`: shape (n,). types, weight, half_life: of the `Counting`."""
    counted = np.ones(age.size)
    for at in range(age.size):
        for row in range(types.size if type_.size else 0):
            if types[row] == type_[at]:
                counted[at] = weight[row]
        if half_life > 0:
            counted[at] *= np.exp2(max(age[at], 0) / (-DAY * half_life))
    return counted


@compiled("i1 i1 i1 i1 i1 i1 i1 i1 f1 d0")
def liking(
    at: IntArray,
    place: IntArray,
    type_: IntArray,
    age: IntArray,
    older_place: IntArray,
    older_type: IntArray,
    older_count: IntArray,
    types: IntArray,
    weight: FloatArray,
    half_life: float,
) -> tuple[IntArray, FloatArray]:
    """Those of the used items `at` that count at all, and how much a customer likes each, by its uses: see `usage`.

    place, type_, age: shape (t,), of each use; older_...: of the uses that are only counted, as old as the oldest.
    """
    count, oldest = np.zeros(at.size), 0
    each = weigh(type_, age, types, weight, half_life)
    for use in range(place.size):
        count[place[use]] += each[use]
        oldest = max(oldest, age[use])
    each = weigh(older_type, np.full(older_place.size, oldest), types, weight, half_life)
    for use in range(older_place.size):
        count[older_place[use]] += older_count[use] * each[use]
    liked = np.flatnonzero(count > 0)
    much = np.empty(liked.size, np.float32)
    for one in range(liked.size):
        much[one] = _saturated(count[liked[one]])
    return at[liked], much


@compiled("i1 i1 f1 i1 i1 f1 i1 f1 i0 i0 i0 i0")
def through(
    starts: IntArray,
    column: IntArray,
    weight: FloatArray,
    back_starts: IntArray,
    back_column: IntArray,
    back_weight: FloatArray,
    rows: IntArray,
    factor: FloatArray,
    most: int,
    between: int,
    size: int,
    head: int,
) -> FloatArray:
    """`add_rows` of one matrix, of whose result the `most` strongest are the rows of another; see `scale`.

    between: how many columns the first has, and rows the second.
    """
    found = add_rows(starts, column, weight, rows, factor, between)
    strongest = np.sort(best(found, most))
    found = add_rows(back_starts, back_column, back_weight, strongest, found[strongest], size)
    return scaled(found, size, head)
