"""Climbs to the weights of a blend under which wanted items stand highest, along a smooth stand-in for NDCG.

NDCG is flat almost everywhere, so a search by trial settles where it happens to stop. Here the place of a wanted
item is one plus the sum, over the other contenders, of a sigmoid of how far each is ahead: that has a slope. It is
climbed with a blunt sigmoid first, then with a sharper one. Qin, Liu & Li, "A general approximation framework for
direct optimization of information retrieval measures", 2010.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.types import FloatArray, IntArray

WIDTHS = (0.05, 0.015)
"""How far ahead another item must be to stand before a wanted one: blunt, then sharp. In units of columns that are
equally loud and whose weights add up to 1."""

PAGE = 20
EDGE = 3.0
"""How gradually a place stops to count beyond the page."""

PAIRS = 30_000
"""Most wanted items of a pool; more would not change the weights, only the time."""

STEPS = 40

Flat = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Customers with the items that might come first, and which of these were wanted.

    values: shape (n, columns, p), finite. there: (n, p), 1 where there is an item, else 0. who, right: (r,), a
    customer, ascending, and the place of an item that they wanted. worth: (r,), what that hit counts at best.
    length: (n,), how much history each has, on average 0.
    """

    values: FloatArray
    there: FloatArray
    who: IntArray
    right: IntArray
    worth: FloatArray
    length: FloatArray


def climb(contests: Sequence[Contest], start: Flat) -> Flat:
    """Shape (2, columns): weights, and how much each changes with `length`; start: the same.

    Where nobody's length differs the second row stays as it is. The sizes of the weights add up to 1.
    """
    for width in WIDTHS:
        flat = start.ravel().astype(np.float64)
        loss = partial(_loss, contests, width)
        found = minimize(loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        start = found.x.reshape(start.shape)
        start = start / np.abs(start[0]).sum()
    return start


def _loss(contests: Sequence[Contest], width: float, flat: Flat) -> tuple[float, Flat]:
    """Less the smoothed NDCG of weights whose sizes add up to 1, and its slope."""
    weights = flat.reshape(2, -1)
    size = float(np.abs(weights[0]).sum())
    value, slope = _quality(contests, weights / size, width)
    slope /= size
    slope[0] -= np.sign(weights[0]) * float((slope * weights).sum()) / size
    return -value, -slope.ravel()


def _quality(contests: Sequence[Contest], weights: Flat, width: float) -> tuple[float, Flat]:
    """The smoothed NDCG, and its slope by each weight, shape (2, columns)."""
    found = [_of(contest, weights, width) for contest in contests if contest.who.size]
    return sum(value for value, _ in found), sum((slope for _, slope in found), np.zeros_like(weights))


def _of(contest: Contest, weights: Flat, width: float) -> tuple[float, Flat]:
    own = (weights[0] + contest.length[:, None] * weights[1]).astype(np.float32)
    score = np.einsum("nc,ncp->np", own, contest.values)
    ahead = score[contest.who] - score[contest.who, contest.right, None]
    before = _sigmoid(ahead / np.float32(width)) * contest.there[contest.who]
    pairs = np.arange(contest.who.size)
    before[pairs, contest.right] = 0
    gain, way = _gain(1 + before.sum(axis=1))
    push = before * (1 - before) * (contest.worth * way / np.float32(width))[:, None]
    push[pairs, contest.right] -= push.sum(axis=1)
    first = np.flatnonzero(np.diff(contest.who, prepend=-1))
    asked = contest.who[first]
    each = np.einsum("np,ncp->nc", np.add.reduceat(push, first), contest.values[asked])
    slope = np.stack([each.sum(axis=0), contest.length[asked] @ each])
    return float(contest.worth @ gain), slope.astype(np.float64)


def _gain(place: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What hits at these places count, and how that changes with the place."""
    log = np.log2(1 + place)
    shown = _sigmoid((PAGE + 0.5 - place) / np.float32(EDGE))
    way = -shown / (log**2 * (1 + place) * np.float32(np.log(2))) - shown * (1 - shown) / np.float32(EDGE) / log
    return (shown / log).astype(np.float32), way.astype(np.float32)


def _sigmoid(values: FloatArray) -> FloatArray:
    found: FloatArray = 0.5 * (1 + np.tanh(0.5 * values))
    return found
