"""What describes each item, and what each description fits: a sparse matrix both ways, in a few passes over tokens."""

import numpy as np

from recommender.kernels.choose import best
from recommender.kernels.compiled import compiled
from recommender.kernels.linear import solve
from recommender.kernels.past import Places, enter, find, index, position
from recommender.types import FloatArray, IntArray


@compiled("i1")
def numbered(tokens: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct tokens in the order of their first appearance, and which of them each token is."""
    distinct, number, count = np.empty(tokens.size, np.int64), np.empty(tokens.size, np.int64), 0
    table = index(distinct[:0])
    for at in range(tokens.size):
        one = position(table, distinct, tokens[at])
        if one < 0:
            one = count
            distinct[one] = tokens[at]
            count += 1
            if 2 * count > table.size:
                table = index(distinct[:count])
            else:
                enter(table, distinct, one)
        number[at] = one
    return distinct[:count].copy(), number


@compiled("i1 i1 i1 f1 f0")
def described(
    starts: IntArray, tokens: IntArray, known: IntArray, known_weight: FloatArray, new: np.float32
) -> tuple[IntArray, IntArray, FloatArray, IntArray, IntArray, FloatArray]:
    """Items x tokens, each row of length 1, and its transpose, as in scipy's CSR; what weighs nothing is left out.

    tokens: of all items, end to end; starts: shape (n + 1,), where each item's begin. known: ascending, the tokens that
    have a weight of their own; new: that of any other.
    """
    n = starts.size - 1
    distinct, number = numbered(tokens)
    weight, back = np.empty(distinct.size, np.float32), np.zeros(distinct.size + 1, np.int64)
    for one in range(distinct.size):
        at = find(known, 0, known.size, distinct[one])
        weight[one] = known_weight[at] if at >= 0 else new
    rows, column, value, count = np.zeros(n + 1, np.int64), np.empty(tokens.size, np.int64), weight[number], 0
    for item in range(n):
        square = 0.0
        for at in range(starts[item], starts[item + 1]):
            square += np.float64(value[at] * value[at])
        norm = np.float32(np.sqrt(square))
        for at in range(starts[item], starts[item + 1]):
            if value[at] > 0:
                column[count], value[count] = number[at], value[at] / norm
                back[number[at] + 1] += 1
                count += 1
        rows[item + 1] = count
    back = np.cumsum(back)
    place, back_column, back_value = back[:-1].copy(), np.empty(count, np.int64), np.empty(count, np.float32)
    for item in range(n):
        for at in range(rows[item], rows[item + 1]):
            where = place[column[at]]
            back_column[where], back_value[where] = item, value[at]
            place[column[at]] += 1
    return rows, column[:count].copy(), value[:count].copy(), back, back_column, back_value


@compiled("i1 j1 i0")
def turned(starts: IntArray, item: Places, n: int) -> tuple[IntArray, Places]:
    """A table of items by token as one of tokens by item: where each item's begin, shape (n + 1,), and the tokens."""
    rows = np.zeros(n + 1, np.int64)
    for one in item:
        rows[one + 1] += 1
    rows = np.cumsum(rows)
    place, token = rows[:-1].copy(), np.empty(item.size, np.int32)
    for at in range(starts.size - 1):
        for cell in range(starts[at], starts[at + 1]):
            token[place[item[cell]]] = at
            place[item[cell]] += 1
    return rows, token


@compiled("f1 i1 j1 i1 j1 f1 i1 i0 f0")
def kin(
    weight: FloatArray,
    starts: IntArray,
    item: Places,
    rows: IntArray,
    token: Places,
    norm: FloatArray,
    own: IntArray,
    most: int,
    ridge: np.float32,
) -> tuple[IntArray, FloatArray]:
    """`Text.kin` of an item with the tokens `own`, ascending. weight, starts, item, norm: see `Text`.

    rows, token: the same table, `turned`. most: KIN; ridge: RIDGE.
    """
    length, alike = np.float32(1e-12), np.zeros(norm.size, np.float32)
    for one in own:
        length += weight[one] * weight[one]
    length = np.sqrt(length)
    for one in own:
        for cell in range(starts[one], starts[one + 1]):
            alike[item[cell]] += weight[one] * weight[one] / length
    for at in range(norm.size):
        alike[at] = alike[at] / norm[at] if min(alike[at], norm[at]) > 0 else -np.inf
    near = np.sort(best(alike, most))
    k, said = near.size, np.zeros(weight.size, np.float32)
    system = np.empty((k, k + 1), np.float32)
    for row in range(k):
        for cell in range(rows[near[row]], rows[near[row] + 1]):
            said[token[cell]] = weight[token[cell]] / norm[near[row]]
        for column in range(row, k):
            both = np.float32(0)
            for cell in range(rows[near[column]], rows[near[column] + 1]):
                both += said[token[cell]] * weight[token[cell]]
            system[row, column] = system[column, row] = both / norm[near[column]]
        for cell in range(rows[near[row]], rows[near[row] + 1]):
            said[token[cell]] = 0
        system[row, row] += ridge
        system[row, k] = alike[near[row]]
    solve(system)
    chosen = np.flatnonzero(system[:, k] > 0)
    return near[chosen], system[chosen, k]
