"""One vector against every row of a long table, in whole numbers."""

import numpy as np
import numpy.typing as npt

from recommender.kernels.compiled import compiled
from recommender.types import FloatArray

STEPS = 127
"""The greatest whole number of one byte that has its negative."""

_TINY = 1e-30
"""Rows of nothing greater are zeros: one over what they hold need not be a number."""


@compiled("q2 h1 J1")
def scan(codes: npt.NDArray[np.int8], vector: npt.NDArray[np.int16], found: npt.NDArray[np.int32]) -> None:
    """Fill in the products of a vector and the rows of a table; codes: shape (n, f), found: (n,)."""
    for row in range(codes.shape[0]):
        total = np.int32(0)
        for column in range(codes.shape[1]):
            total += np.int32(codes[row, column]) * np.int32(vector[column])
        found[row] = total  # in whole numbers: with a factor here, the loop takes twice as long


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
