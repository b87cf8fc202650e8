"""One vector against every row of a long table: in whole numbers, the best of them once more exactly."""

import numpy as np
import numpy.typing as npt

from recommender.kernels.choose import likely
from recommender.kernels.compiled import compiled
from recommender.types import FloatArray

STEPS = 127
"""The greatest whole number of one byte that has its negative."""

_AT_ONCE = 512
"""Rows, of 448 bytes at most as training makes them: half of the smallest second cache there is."""

_TINY = 1e-30
"""Rows of nothing greater are zeros: one over what they hold need not be a number."""


@compiled("q2 f1 h1 f0 F1")
def scan(
    codes: npt.NDArray[np.int8], unit: FloatArray, vector: npt.NDArray[np.int16], step: np.float32, found: FloatArray
) -> None:
    """Fill in the products of a vector, in steps, and a table's rows, each in units; codes: (n, f), unit, found: (n,).

    Of a vector shorter than the rows, with their beginnings.
    Four rows at a time, a quarter of the table apart: along one alone, the processor waits for memory half of the time.
    """
    part, columns = codes.shape[0] // 4, vector.size
    for row in range(part):
        a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for column in range(columns):  # sums that were not cut to 32 bits at each step would be taken in 64
            times = np.int32(vector[column])
            a = np.int32(a + np.int32(codes[row, column]) * times)
            b = np.int32(b + np.int32(codes[row + part, column]) * times)
            c = np.int32(c + np.int32(codes[row + 2 * part, column]) * times)
            d = np.int32(d + np.int32(codes[row + 3 * part, column]) * times)
        found[row] = np.float32(a) * unit[row] * step
        found[row + part] = np.float32(b) * unit[row + part] * step
        found[row + 2 * part] = np.float32(c) * unit[row + 2 * part] * step
        found[row + 3 * part] = np.float32(d) * unit[row + 3 * part] * step
    for row in range(4 * part, codes.shape[0]):
        a = np.int32(0)
        for column in range(columns):
            a = np.int32(a + np.int32(codes[row, column]) * np.int32(vector[column]))
        found[row] = np.float32(a) * unit[row] * step


@compiled("q2 f1 h1 f0 F1 f1 h1 f0 F1")
def scan_both(
    codes: npt.NDArray[np.int8],
    unit: FloatArray,
    vector: npt.NDArray[np.int16],
    step: np.float32,
    found: FloatArray,
    other_unit: FloatArray,
    other_vector: npt.NDArray[np.int16],
    other_step: np.float32,
    other_found: FloatArray,
) -> None:
    """`scan` with two vectors, some rows at a time, which the second then finds in the processor's cache."""
    for start in range(0, codes.shape[0], _AT_ONCE):
        some = slice(start, min(start + _AT_ONCE, codes.shape[0]))
        scan(codes[some], unit[some], vector, step, found[some])
        scan(codes[some], other_unit[some], other_vector, other_step, other_found[some])


@compiled("f2 f1 i0 F1")
def exact(table: FloatArray, vector: FloatArray, head: int, found: FloatArray) -> None:
    """Put the products themselves where they are among the `head` largest that were found, or not far below."""
    for row in likely(found, head):
        product = np.float32(0)
        for column in range(vector.size):
            product += table[row, column] * vector[column]
        found[row] = product


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
