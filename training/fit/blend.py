"""Fits the weights of a plain linear blend, by what it would have put on the first page of held-out customers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.features import used
from recommender.growth import Growth, length_of
from recommender.history import Query
from recommender.model import column_names
from recommender.ranker import POPULAR, Ranker
from recommender.sources.base import Source
from recommender.top import best
from recommender.types import BoolArray, FloatArray, IntArray
from training.fit.ascent import PAGE, PAIRS, Contest, Flat, climb

POOL = 60
"""Of each column, so many of its best items enter a customer's pool; what no column likes cannot win."""

MANY = 1_000
"""Customers of a pool, from which on weights move with the length of the history."""

USUAL = (0.01, 0.99)
"""From the shortest to the longest history by which that was learned, but for so many: beyond, weights stay."""

SCALES = 2.0 ** np.arange(-4, 8)

CHUNK = 256

TINY = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Held-out customers, each with the items that might come first.

    values: shape (n, columns, p), the sources' scores; -inf where a customer has fewer than p items.
    gain: shape (n, p), 1 where the item was wanted, else 0. best: shape (n,), the gain of the best page, discounted.
    length: shape (n,), of the history, see `Growth`.
    """

    values: FloatArray
    gain: FloatArray
    best: FloatArray
    length: FloatArray


def fit_blend(sources: Sequence[Source], pools: Sequence[Pool]) -> Ranker:
    """Climbs to the weights with the best mean of NDCG over the pools, from the best single column and from where all

    speak equally loud; then lets them move with the length of the history, if the pages are the better for it.
    Their common scale, which no page depends on, is that under which the softmax of scores is the best probability.
    Where no customer could be asked, what is popular comes first.
    """
    columns = column_names(sources)
    pools = [pool for pool in pools if pool.best.size]
    if not pools:
        return Ranker(columns, np.array([[column == POPULAR for column in columns]], np.float32))
    middle = float(np.mean(np.concatenate([pool.length for pool in pools])))
    found = _steepest(pools, middle)
    owns = [_own(pool, found, middle) for pool in pools]
    scale = max(SCALES, key=lambda scale: sum(_likelihood(*one, scale) for one in zip(pools, owns, strict=True)))
    weights, slope = (found * scale).astype(np.float32)
    if not slope.any():
        return Ranker(columns, weights[None])
    reach = np.quantile(np.concatenate([pool.length for pool in pools]), USUAL).astype(np.float32)
    return Ranker(columns, (weights - np.float32(middle) * slope)[None], growth=Growth(slope, reach))


def _steepest(pools: Sequence[Pool], middle: float) -> FloatArray:
    """Shape (2, columns): the weights at the middle length, the greatest 1, and what each gains with a step of it."""
    loud = _loudness(pools)
    per_loud = np.divide(1, loud, out=np.zeros_like(loud), where=loud > 0)
    contests = [_contest(pool, per_loud, middle) for pool in pools]
    alike = [replace(contest, length=np.zeros_like(contest.length)) for contest in contests]

    def quality(weights: Flat) -> float:
        owns = [_own(pool, (weights * per_loud).astype(np.float32), middle) for pool in pools]
        return float(np.mean([page_quality(*one) for one in zip(pools, owns, strict=True)]))

    singles = [np.stack([row, np.zeros_like(row)]) for row in np.eye(loud.size)]
    starts = [max(singles, key=quality), np.stack([np.ones(loud.size), np.zeros(loud.size)])]
    found = max((*starts, *(climb(alike, start) for start in starts)), key=quality)
    if min(pool.best.size for pool in pools) >= MANY:
        found = max(found, climb(contests, found), key=quality)
    weights = found * per_loud
    steepest: FloatArray = (weights / max(np.abs(weights[0]).max(), TINY)).astype(np.float32)
    return steepest


def _contest(pool: Pool, per_loud: FloatArray, middle: float) -> Contest:
    there = np.isfinite(pool.values[:, 0])
    values = np.where(there[:, None], pool.values, 0) * per_loud[:, None]
    who, right = np.nonzero(pool.gain)
    if who.size > PAIRS:
        some = np.sort(np.random.default_rng(0).permutation(who.size)[:PAIRS])
        who, right = who[some], right[some]
    worth = (1 / pool.best[who] / pool.best.size).astype(np.float32)
    return Contest(values, there.astype(np.float32), who, right, worth, pool.length - np.float32(middle))


def _loudness(pools: Sequence[Pool]) -> FloatArray:
    """Shape (columns,): each column's mean deviation among a customer's contenders."""
    there = [np.where(np.isfinite(pool.values), pool.values, np.nan) for pool in pools]
    loud: FloatArray = np.mean([np.nanmean(np.nanstd(values, axis=2), axis=0) for values in there], axis=0)
    return loud


def _own(pool: Pool, weights: FloatArray, middle: float) -> FloatArray:
    """Shape (n, columns): each customer's weights."""
    own: FloatArray = weights[0] + (pool.length - np.float32(middle))[:, None] * weights[1]
    return own.astype(np.float32)


def page_quality(pool: Pool, weights: FloatArray) -> float:
    """Mean NDCG of the pages that these weights make, shape (columns,) or (n, columns); gains as the pool states."""
    score = _scores(pool, weights)
    place = min(PAGE, score.shape[1])
    top = np.argpartition(-score, place - 1, axis=1)[:, :place]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(score, top, 1), axis=1, kind="stable"), 1)
    discount = 1 / np.log2(np.arange(2, place + 2))
    return float(np.mean((np.take_along_axis(pool.gain, top, 1) @ discount) / pool.best))


def _likelihood(pool: Pool, weights: FloatArray, scale: float) -> float:
    """Mean log-probability of a wanted item of the pool, as the softmax of scores gives it."""
    score = _scores(pool, weights * np.float32(scale))
    peak = score.max(axis=1, keepdims=True)
    surprise = peak + np.log(np.exp(score - peak).sum(axis=1, keepdims=True)) - score
    return -float(surprise[pool.gain > 0].mean()) if (pool.gain > 0).any() else 0.0


def _scores(pool: Pool, weights: FloatArray) -> FloatArray:
    there = np.isfinite(pool.values[:, 0])
    own = np.broadcast_to(weights, pool.values.shape[:2])
    score: FloatArray = np.einsum("nc,ncp->np", own, np.where(there[:, None], pool.values, 0))
    score[~there] = -np.inf
    return score


def pool_of(
    sources: Sequence[Source],
    queries: Sequence[Query],
    wanted: Sequence[IntArray],
    *,
    hide_used: bool,
) -> Pool:
    """Asks the sources. wanted: the held-out positions of each query."""
    values, gains, bests, lengths = [], [], [], []
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
            lengths.append(length_of(query))
    return _stack(values, gains, bests, lengths)


def _contenders(columns: FloatArray, hidden: IntArray) -> IntArray:
    columns = columns.copy()
    columns[:, hidden] = -np.inf
    return np.unique(np.concatenate([best(column, POOL) for column in columns]))


def _ideal(relevant: int) -> float:
    return float(np.sum(1 / np.log2(np.arange(2, min(relevant, PAGE) + 2))))


def _stack(values: list[FloatArray], gains: list[BoolArray], bests: list[float], lengths: list[float]) -> Pool:
    width = max((gain.size for gain in gains), default=1)
    stacked = np.full((len(values), values[0].shape[0] if values else 0, width), -np.inf, np.float32)
    gain = np.zeros((len(values), width), np.float32)
    for row, (value, one) in enumerate(zip(values, gains, strict=True)):
        stacked[row, :, : one.size] = value
        gain[row, : one.size] = one
    return Pool(stacked, gain, np.array(bests, np.float32), np.array(lengths, np.float32))
