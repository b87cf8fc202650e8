"""One vector against every row of a long table, in whole numbers."""

import numpy as np
import numpy.typing as npt

from recommender.kernels.compiled import compiled


@compiled("q2 h1 J1")
def scan(codes: npt.NDArray[np.int8], vector: npt.NDArray[np.int16], found: npt.NDArray[np.int32]) -> None:
    """Fill in the products of a vector and the rows of a table; codes: shape (n, f), found: (n,)."""
    for row in range(codes.shape[0]):
        total = np.int32(0)
        for column in range(codes.shape[1]):
            total += np.int32(codes[row, column]) * np.int32(vector[column])
        found[row] = total  # in whole numbers: with a factor here, the loop takes twice as long
