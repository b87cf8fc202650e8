"""Learns how sharp scores should be, by questions that the weights did not see."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.sharpness import DOUBT, SURE, factors
from recommender.types import FloatArray
from training.fit.replay import Replay

PRIOR = 5.0
"""How much each factor is drawn towards 1: the weight of its squared distance, in questions."""

SMOOTH = 10.0
"""How much neighbouring factors are drawn towards each other, likewise."""

LEAST, MOST = 0.3, 3.0

Vector = npt.NDArray[np.float64]


def fit_sharpness(replay: Replay, score: FloatArray) -> FloatArray:
    """The factors under which the first item's probability says best how often it is right.

    That is a question of its own: the most probable factor for all answers lies lower, for a softmax is too sure that
    what it puts last does not come. score: shape (total,), of the competing items.
    """
    first, size = replay.starts[:-1], np.diff(replay.starts)
    blended, stands_for = score.astype(np.float64), replay.stands_for.astype(np.float64)
    peak = np.maximum.reduceat(blended, first)
    ahead = blended - np.repeat(peak, size)
    won = np.maximum.reduceat(replay.right & (ahead == 0), first)

    def surely(factor: Vector) -> Vector:
        """Shape (questions,): the probability of the first item, among all that the competing ones stand for."""
        return 1 / np.add.reduceat(np.exp(ahead * np.repeat(factor, size) + stands_for), first)

    sure = surely(np.ones(size.size))

    def loss(sharpness: Vector) -> float:
        told = np.clip(surely(factors(sure, sharpness)), DOUBT, 1 - DOUBT)
        prior = PRIOR * ((sharpness - 1) ** 2).sum() + SMOOTH * (np.diff(sharpness) ** 2).sum()
        return float(prior - np.log(np.where(won, told, 1 - told)).sum())

    found = minimize(loss, np.ones(SURE.size), method="L-BFGS-B", bounds=[(LEAST, MOST)] * SURE.size)
    sharpness: FloatArray = found.x.astype(np.float32)
    return sharpness
