"""One vector against every row of a long table: in whole numbers, the best of them once more exactly."""

import numpy as np
import numpy.typing as npt

from recommender.kernels.choose import likely
from recommender.kernels.compiled import compiled
from recommender.types import FloatArray

STEPS = 127
"""The greatest whole number of one byte that has its negative."""

FINE = 8_191
"""Steps of the vector: 127 * 8,191 * 2,000 still fits 32 bits."""

_AT_ONCE = 128
"""Rows of each quarter of a table, of 448 bytes at most as training makes them: half of the smallest second cache."""

_TINY = 1e-30
"""Rows of nothing greater are zeros: one over what they hold need not be a number."""


@compiled("q2 f1 h2 f0 F1 i0 i0")
def _quarters(
    codes: npt.NDArray[np.int8],
    unit: FloatArray,
    vector: npt.NDArray[np.int16],
    step: np.float32,
    found: FloatArray,
    start: int,
    end: int,
) -> None:
    """`scan` of the rows from start to end of each quarter of a table.

    Four at a time, a quarter apart: along one alone, the processor waits for memory half of the time. Each has the
    vector to itself: LLVM multiplies bytes pair by pair, in a third of the steps, only where no number is used twice.
    """
    part = codes.shape[0] // 4
    for row in range(start, end):
        a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for column in range(vector.shape[1]):  # sums that were not cut to 32 bits at each step would be taken in 64
            a = np.int32(a + np.int32(codes[row, column]) * np.int32(vector[0, column]))
            b = np.int32(b + np.int32(codes[row + part, column]) * np.int32(vector[1, column]))
            c = np.int32(c + np.int32(codes[row + 2 * part, column]) * np.int32(vector[2, column]))
            d = np.int32(d + np.int32(codes[row + 3 * part, column]) * np.int32(vector[3, column]))
        found[row] = np.float32(a) * unit[row] * step
        found[row + part] = np.float32(b) * unit[row + part] * step
        found[row + 2 * part] = np.float32(c) * unit[row + 2 * part] * step
        found[row + 3 * part] = np.float32(d) * unit[row + 3 * part] * step


@compiled("q2 f1 h2 f0 F1")
def _rest(
    codes: npt.NDArray[np.int8], unit: FloatArray, vector: npt.NDArray[np.int16], step: np.float32, found: FloatArray
) -> None:
    """`scan` of the rows behind the quarters."""
    for row in range(codes.shape[0] // 4 * 4, codes.shape[0]):
        sum_ = np.int32(0)
        for column in range(vector.shape[1]):
            sum_ = np.int32(sum_ + np.int32(codes[row, column]) * np.int32(vector[0, column]))
        found[row] = np.float32(sum_) * unit[row] * step


@compiled("f2 f1 i0 F1")
def _mend(table: FloatArray, vector: FloatArray, head: int, found: FloatArray) -> None:
    """Put the products themselves where they are among the `head` largest that were found, or not far below."""
    for row in likely(found, head):
        product = np.float32(0)
        for column in range(vector.size):
            product += table[row, column] * vector[column]
        found[row] = product


@compiled("f1")
def _in_steps(vector: FloatArray) -> tuple[npt.NDArray[np.int16], np.float32]:
    """A vector in whole numbers, once for each quarter of a table, shape (4, f), and what a step of them is worth."""
    largest = np.float32(0)
    for value in vector:
        largest = max(largest, abs(value))
    step = np.float32(largest / np.float32(FINE))
    steps = np.zeros((4, vector.size), np.int16)
    for column in range(vector.size if step > 0 else 0):
        steps[:, column] = np.int16(np.rint(vector[column] / step))
    return steps, step


@compiled("f2 q2 f1 f1 i0 F1")
def scan(
    table: FloatArray, codes: npt.NDArray[np.int8], unit: FloatArray, vector: FloatArray, head: int, found: FloatArray
) -> None:
    """Fill in the products of a vector and a table's rows, the `head` best of them and more exactly.

    table: shape (n, f). codes: of as many rows, and columns or more, in whole numbers; unit: (n,), what one of each row
    is worth. vector: (f,). found: (n,).
    """
    steps, step = _in_steps(vector)
    if step == 0:
        found[:] = 0
        return
    _quarters(codes, unit, steps, step, found, 0, codes.shape[0] // 4)
    _rest(codes, unit, steps, step, found)
    _mend(table, vector, head, found)


@compiled("f2 q2 f1 f1 i0 F1 f2 f1 f1 F1")
def scan_both(
    table: FloatArray,
    codes: npt.NDArray[np.int8],
    unit: FloatArray,
    vector: FloatArray,
    head: int,
    found: FloatArray,
    part: FloatArray,
    part_unit: FloatArray,
    part_vector: FloatArray,
    part_found: FloatArray,
) -> None:
    """`scan` of two tables by one copy, some rows at a time, which the second then finds in the processor's cache."""
    steps, step = _in_steps(vector)
    part_steps, part_step = _in_steps(part_vector)
    if step == 0 or part_step == 0:
        scan(table, codes, unit, vector, head, found)
        scan(part, codes, part_unit, part_vector, head, part_found)
        return
    quarter = codes.shape[0] // 4
    for start in range(0, quarter, _AT_ONCE):
        end = min(start + _AT_ONCE, quarter)
        _quarters(codes, unit, steps, step, found, start, end)
        _quarters(codes, part_unit, part_steps, part_step, part_found, start, end)
    _rest(codes, unit, steps, step, found)
    _rest(codes, part_unit, part_steps, part_step, part_found)
    _mend(table, vector, head, found)
    _mend(part, part_vector, head, part_found)


@compiled("f2 Q2 F1")
def encode(table: FloatArray, codes: npt.NDArray[np.int8], unit: FloatArray) -> None:
    """Fill in a table in whole numbers from -STEPS to STEPS, and what a step of each row is worth."""
    for row in range(table.shape[0]):
        largest = np.float32(0)
        for column in range(table.shape[1]):
            largest = max(largest, abs(table[row, column]))
        unit[row] = largest / np.float32(STEPS)
        steps = np.float32(STEPS) / largest if largest > _TINY else np.float32(0)
        for column in range(table.shape[1]):
            codes[row, column] = np.int8(np.rint(table[row, column] * steps))


@compiled("f2 f2 F1")
def multiples(table: FloatArray, longer: FloatArray, factor: FloatArray) -> bool:
    """Whether each row of a table is a multiple of the beginning of a longer one's, within a hundredth of a step.

    Fills in the factors; where it is not so, some.
    """
    for row in range(table.shape[0]):
        product, square, largest = np.float32(0), np.float32(0), np.float32(0)
        for column in range(table.shape[1]):
            product += table[row, column] * longer[row, column]
            square += longer[row, column] * longer[row, column]
            largest = max(largest, abs(table[row, column]))
        factor[row] = product / square if square > 0 else np.float32(0)
        for column in range(table.shape[1]):
            if abs(table[row, column] - factor[row] * longer[row, column]) > largest * np.float32(0.01 / STEPS):
                return False
    return True
