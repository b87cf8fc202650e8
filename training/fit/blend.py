"""Fits the weights of a plain linear blend, by what it would have put on the first page of held-out customers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.features import used
from recommender.history import Query
from recommender.model import column_names
from recommender.ranker import POPULAR, Ranker
from recommender.sources.base import Source
from recommender.top import best
from recommender.types import BoolArray, FloatArray, IntArray

PAGE = 20
POOL = 60
"""Of each column, so many of its best items enter a customer's pool; what no column likes cannot win."""

STEPS = (-0.5, 0.0, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)
"""What a weight is multiplied by when a better one is looked for."""

FIRST = 0.3
"""A weight that is 0 is tried around this, also below 0: what a customer's surroundings like may be taken off."""

ROUNDS = 4

DRAWS = 250
"""Random steps; on two slices of Gowalla 250 took NDCG from .1382 to .1389."""

SHORTEST, LONGEST = 0.03, 0.5
GROWTH = 1.3
"""Deviations of the logarithm of a weight in one step, and by how much a success makes them longer."""

SCALES = 2.0 ** np.arange(-4, 8)

CHUNK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Held-out customers, each with the items that might come first.

    values: shape (n, columns, p), the sources' scores; -inf where a customer has fewer than p items.
    gain: shape (n, p), 1 where the item was wanted, else 0. best: shape (n,), the gain of the best page, discounted.
    """

    values: FloatArray
    gain: FloatArray
    best: FloatArray


def fit_blend(sources: Sequence[Source], pools: Sequence[Pool]) -> Ranker:
    """Searches the weights with the best mean of NDCG over the pools.

    One column at a time first, from the best single one and from where all speak equally loud; then all at once, by
    steps drawn at random, since NDCG has no slope to follow and columns that differ little help only together.

    Their common scale, which no page depends on, is that under which the softmax of scores is the best probability.
    Where no customer could be asked, what is popular comes first.
    """
    columns = column_names(sources)
    pools = [pool for pool in pools if pool.best.size]
    if not pools:
        return Ranker(columns, np.array([[column == POPULAR for column in columns]], np.float32))
    single = max((row for row in np.eye(len(columns), dtype=np.float32)), key=lambda row: _quality(pools, row))
    found = max((_search(pools, start) for start in (single, _equally_loud(pools))), key=lambda found: found[1])
    weights = _refine(pools, *found)
    scale = max(SCALES, key=lambda scale: sum(_likelihood(pool, weights * np.float32(scale)) for pool in pools))
    return Ranker(columns, weights[None] * np.float32(scale))


def _search(pools: Sequence[Pool], weights: FloatArray) -> tuple[FloatArray, float]:
    quality = _quality(pools, weights)
    for _ in range(ROUNDS):
        before = quality
        for column in range(weights.size):
            weights, quality = _improve(pools, weights, quality, column)
        if quality <= before:
            break
    return weights, quality


def _refine(pools: Sequence[Pool], weights: FloatArray, quality: float) -> FloatArray:
    """An evolution strategy of one parent and one child: a step that succeeds makes the next ones longer.

    Signs and zeros stay. Rechenberg, "Evolutionsstrategie", 1973: a fifth of the steps should succeed.
    """
    random, size = np.random.default_rng(0), LONGEST
    for _ in range(DRAWS if np.count_nonzero(weights) > 1 else 0):
        child = (weights * np.exp(size * random.standard_normal(weights.size))).astype(np.float32)
        found = _quality(pools, child)
        size = min(max(size * (GROWTH if found > quality else GROWTH**-0.25), SHORTEST), LONGEST)
        if found > quality:
            weights, quality = child, found
    return weights


def _equally_loud(pools: Sequence[Pool]) -> FloatArray:
    """Shape (columns,): one over each column's mean deviation among a customer's contenders; 0 where it has none."""
    deviations = [np.where(np.isfinite(pool.values), pool.values, np.nan) for pool in pools]
    loud = np.mean([np.nanmean(np.nanstd(values, axis=2), axis=0) for values in deviations], axis=0)
    equal: FloatArray = np.divide(1, loud, out=np.zeros_like(loud), where=loud > 0)
    return equal


def _improve(pools: Sequence[Pool], weights: FloatArray, quality: float, column: int) -> tuple[FloatArray, float]:
    tries = (
        [weights[column] * step for step in STEPS]
        if weights[column]
        else [FIRST * s for s in (0.1, 0.3, 1, 3, -0.3, -1)]
    )
    for weight in tries:
        candidate = weights.copy()
        candidate[column] = weight
        found = _quality(pools, candidate) if candidate.any() else 0.0
        if found > quality:
            weights, quality = candidate, found
    return weights, quality


def _quality(pools: Sequence[Pool], weights: FloatArray) -> float:
    return float(np.mean([page_quality(pool, weights) for pool in pools]))


def page_quality(pool: Pool, weights: FloatArray) -> float:
    """Mean NDCG of the pages that these weights make, shape (columns,); gains as the pool states them."""
    score = _scores(pool, weights)
    place = min(PAGE, score.shape[1])
    top = np.argpartition(-score, place - 1, axis=1)[:, :place]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(score, top, 1), axis=1, kind="stable"), 1)
    discount = 1 / np.log2(np.arange(2, place + 2))
    return float(np.mean((np.take_along_axis(pool.gain, top, 1) @ discount) / pool.best))


def _likelihood(pool: Pool, weights: FloatArray) -> float:
    """Mean log-probability of a wanted item of the pool, as the softmax of scores gives it."""
    score = _scores(pool, weights)
    peak = score.max(axis=1, keepdims=True)
    surprise = peak + np.log(np.exp(score - peak).sum(axis=1, keepdims=True)) - score
    return -float(surprise[pool.gain > 0].mean()) if (pool.gain > 0).any() else 0.0


def _scores(pool: Pool, weights: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):  # what is missing is -inf, and may be weighed by less than 0
        score: FloatArray = np.einsum("c,ncp->np", weights[weights != 0], pool.values[:, weights != 0])
    score[np.isneginf(pool.values[:, 0])] = -np.inf
    return score


def pool_of(
    sources: Sequence[Source],
    queries: Sequence[Query],
    wanted: Sequence[IntArray],
    *,
    hide_used: bool,
) -> Pool:
    """Asks the sources. wanted: the held-out positions of each query."""
    values, gains, bests = [], [], []
    for start in range(0, len(queries), CHUNK):
        part = slice(start, start + CHUNK)
        answers = [source.score(queries[part]) for source in sources]
        for query, held, *scores in zip(queries[part], wanted[part], *answers, strict=True):
            size = query.items.codes.size
            columns = np.concatenate([score.dense(size) for score in scores])
            hidden = used(query).at if hide_used else np.zeros(0, np.int64)
            right = np.setdiff1d(held, hidden)
            if right.size == 0:
                continue
            pool = _contenders(columns, hidden)
            values.append(columns[:, pool])
            gains.append(np.isin(pool, right))
            bests.append(_ideal(right.size))
    return _stack(values, gains, bests)


def _contenders(columns: FloatArray, hidden: IntArray) -> IntArray:
    columns = columns.copy()
    columns[:, hidden] = -np.inf
    return np.unique(np.concatenate([best(column, POOL) for column in columns]))


def _ideal(relevant: int) -> float:
    return float(np.sum(1 / np.log2(np.arange(2, min(relevant, PAGE) + 2))))


def _stack(values: list[FloatArray], gains: list[BoolArray], bests: list[float]) -> Pool:
    width = max((gain.size for gain in gains), default=1)
    stacked = np.full((len(values), values[0].shape[0] if values else 0, width), -np.inf, np.float32)
    gain = np.zeros((len(values), width), np.float32)
    for row, (value, one) in enumerate(zip(values, gains, strict=True)):
        stacked[row, :, : one.size] = value
        gain[row, : one.size] = one
    return Pool(stacked, gain, np.array(bests, np.float32))
