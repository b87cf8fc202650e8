"""What describes each item, and what each description fits: a sparse matrix both ways, in a few passes over tokens."""

import numpy as np

from recommender.kernels.compiled import compiled
from recommender.kernels.past import find
from recommender.types import FloatArray, IntArray

_ROOM = 1024
"""Cells of the table that tokens are numbered by, at first; it doubles when half full. A power of two."""


@compiled("i1")
def numbered(tokens: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct tokens in the order of their first appearance, and which of them each token is.

    Open addressing. Tokens are hashes, so their last bits are addresses.
    """
    distinct, number, count = np.empty(tokens.size, np.int64), np.empty(tokens.size, np.int64), 0
    table = np.full(_ROOM, -1)
    for at in range(tokens.size):
        cell = tokens[at] & (table.size - 1)
        while table[cell] >= 0 and distinct[table[cell]] != tokens[at]:
            cell = (cell + 1) & (table.size - 1)
        number[at] = table[cell] if table[cell] >= 0 else count
        if table[cell] >= 0:
            continue
        table[cell] = count
        distinct[count] = tokens[at]
        count += 1
        if 2 * count > table.size:
            table = np.full(2 * table.size, -1)
            for known in range(count):
                cell = distinct[known] & (table.size - 1)
                while table[cell] >= 0:
                    cell = (cell + 1) & (table.size - 1)
                table[cell] = known
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
