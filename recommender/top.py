"""The few best of many scores."""

from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.types import FloatArray, IntArray


def best(scores: FloatArray | npt.NDArray[np.float64], k: int) -> IntArray:
    """The positions of the k best scores, best first, of equal ones the lower position; -inf is never among them."""
    from recommender.kernels import choose

    laid: npt.NDArray[Any] = np.ascontiguousarray(scores)
    return choose.best(laid, k)
