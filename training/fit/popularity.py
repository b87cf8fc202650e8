"""Fits popularity: counts that fade with age, as fast as the log itself says."""

import numpy as np
import numpy.typing as npt

from recommender.history import Items
from recommender.sources import trend
from recommender.sources.popularity import Popularity
from recommender.sources.trend import Trend
from recommender.types import DAY, RETURN, IntArray, is_use
from training.dataset import Log

HALF_LIVES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, np.inf)
"""Days; the candidates."""

PRIOR = 0.5
"""Uses that every item is thought to have had before the log began (Krichevsky & Trofimov, 1981)."""

VALIDATION = 0.1
"""The newest share of the events, on which the half-life is chosen."""

Counts = npt.NDArray[np.float64]


def fit_popularity(log: Log, items: Items) -> Popularity:
    """Counts every use, and takes back what was returned; other events that are no use count nothing."""
    position, time, type_ = items.positions(log.events["item"]), log.events["time"], log.events["type"]
    used = (position >= 0) & is_use(type_)
    returned = (position >= 0) & (type_ == RETURN)
    half_life = choose_half_life(position[used], time[used], items.codes.size)
    count = _older(log, items) if np.isinf(half_life) else np.zeros(items.codes.size)
    count += decayed(position[used], time[used], half_life, items.codes.size)
    count -= decayed(position[returned], time[returned], half_life, items.codes.size)
    weight = np.maximum(count, 0) + PRIOR
    share = np.log(weight / weight.sum()).astype(np.float32)
    return Popularity(share, np.array(np.log(PRIOR / (weight.sum() + PRIOR)), np.float32))


def fit_trend(log: Log, items: Items) -> Trend:
    """The same counts, fading at several paces; what was returned was popular all the same."""
    position, time = items.positions(log.events["item"]), log.events["time"]
    used = (position >= 0) & is_use(log.events["type"])
    weight = np.array([decayed(position[used], time[used], days, items.codes.size) for days in trend.HALF_LIVES])
    weight += PRIOR
    total = weight.sum(axis=1, keepdims=True)
    return Trend(np.log(weight / total).astype(np.float32), np.log(PRIOR / (total[:, 0] + PRIOR)).astype(np.float32))


def choose_half_life(position: IntArray, time: IntArray, size: int) -> float:
    """The half-life, in days, under which the newest uses were least surprising; infinite without a clock."""
    if time.size == 0 or time.max() - time.min() < DAY:
        return float("inf")
    cut = np.quantile(time, 1 - VALIDATION)
    before, after = time < cut, time >= cut

    def likelihood(half_life: float) -> float:
        weight = decayed(position[before], time[before], half_life, size) + PRIOR
        return float(np.log(weight[position[after]] / weight.sum()).sum())

    return max(reversed(HALF_LIVES), key=likelihood)


def decayed(position: IntArray, time: IntArray, half_life: float, size: int) -> Counts:
    """Shape (size,): how often each item occurs, an occurrence `half_life` days before the last one half."""
    age = (time.max(initial=0) - time) / DAY
    return np.bincount(position, np.exp2(-age / half_life), size).astype(np.float64)


def _older(log: Log, items: Items) -> Counts:
    """Uses that the profiles only keep as counts."""
    position, type_ = items.positions(log.counts["item"]), log.counts["type"]
    sign = np.where(type_ == RETURN, -1, is_use(type_))
    known = position >= 0
    return np.bincount(position[known], (sign * log.counts["count"])[known], items.codes.size).astype(np.float64)
