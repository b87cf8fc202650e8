"""Learns how sharp scores should be, by questions that the weights did not see."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.sharpness import SURE, factors
from recommender.types import FloatArray
from training.fit.replay import Replay, surprise

PRIOR = 5.0
"""How much each factor is drawn towards 1: the weight of its squared distance, in questions."""

SMOOTH = 10.0
"""How much neighbouring factors are drawn towards each other, likewise."""

LEAST, MOST = 0.3, 3.0

Vector = npt.NDArray[np.float64]


def fit_sharpness(replay: Replay, score: FloatArray) -> FloatArray:
    """The factors under which the right answers are most probable; score: shape (total,), of the competing items."""
    first, size = replay.starts[:-1], np.diff(replay.starts)
    blended, stands_for = score.astype(np.float64), replay.stands_for.astype(np.float64)
    sure = _sure(blended, stands_for, replay)

    def loss(sharpness: Vector) -> float:
        sharpened = blended * np.repeat(factors(sure, sharpness), size) + stands_for
        prior = PRIOR * ((sharpness - 1) ** 2).sum() + SMOOTH * (np.diff(sharpness) ** 2).sum()
        return float(surprise(sharpened, first, replay.right)[1].sum() + prior)

    found = minimize(loss, np.ones(SURE.size), method="L-BFGS-B", bounds=[(LEAST, MOST)] * SURE.size)
    sharpness: FloatArray = found.x.astype(np.float32)
    return sharpness


def _sure(score: Vector, stands_for: Vector, replay: Replay) -> Vector:
    """Shape (questions,): the probability of the first item, among all items that the competing ones stand for."""
    first, size = replay.starts[:-1], np.diff(replay.starts)
    peak = np.maximum.reduceat(score, first)
    total = np.add.reduceat(np.exp(score - np.repeat(peak, size) + stands_for), first)
    sure: Vector = 1 / total
    return sure
