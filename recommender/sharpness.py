"""How sharp a question's scores are, so that a probability means what it says.

Some questions are surer than their columns can tell, others less so. One
factor a question, by how sure its first item is, puts that right and leaves
the order as it was: the last stage of the PAQ family's mixers, adaptive
probability maps, reduced to the scale of the softmax (temperature scaling;
Guo et al., "On calibration of modern neural networks", 2017).
"""

import numpy as np
import numpy.typing as npt

from recommender.types import FloatArray

SURE = np.array([0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9])
"""Probabilities of the first item between which the factor is interpolated, by log-odds."""

LOG_ODDS = np.log(SURE / (1 - SURE))
"""The same as log-odds."""

DOUBT = 1e-6
"""Log-odds end here."""


def factor_of(blended: FloatArray, sharpness: FloatArray) -> np.float32:
    """What to multiply a question's scores by; sharpness: shape (len(SURE),), > 0."""
    if blended.size == 0:
        return np.float32(1)
    from recommender.kernels.blend import factor

    sure = 1 / float(np.add.reduce(np.exp(blended - np.maximum.reduce(blended))))
    return np.float32(factor(min(max(sure, DOUBT), 1 - DOUBT), LOG_ODDS, sharpness))


def factors(sure: npt.NDArray[np.float64], sharpness: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Shape of `sure`: the factor at these probabilities of the first item."""
    sure = np.clip(sure, DOUBT, 1 - DOUBT)
    found: npt.NDArray[np.float64] = np.interp(np.log(sure / (1 - sure)), LOG_ODDS, sharpness)
    return found
