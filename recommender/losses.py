"""What each item would lose without each source: the ranker's own sum, with one source after the other silent."""

from collections.abc import Sequence

import numpy as np

from recommender.history import Query
from recommender.layer import Layer
from recommender.ranker import OWN, Ranker, Seen, is_stranger, seen_by, values_at, with_lent
from recommender.sharpness import factors
from recommender.sources.base import Scores
from recommender.types import BoolArray, FloatArray, IntArray


def losses(ranker: Ranker, query: Query, scores: Sequence[Scores], pool: IntArray) -> tuple[FloatArray, BoolArray]:
    """What the log-probability of each of m positions loses where a source is silent, shape (sources, m).

    And whether the source says more of it than of an item that it does not know, of the same shape: a source may
    also hold others down. A silent source says its floor of every item, and all others compete on: so this is what
    would be otherwise, where `contributions` share out what is. pool: the positions that compete.
    """
    scores = with_lent(scores, query.items)
    weight, ends = ranker.weigh(query), np.cumsum([part.floor.size for part in scores])
    columns = [slice(int(end - part.floor.size), int(end)) for part, end in zip(scores, ends, strict=True)]
    values = [values_at(part, pool) for part in scores]
    said = np.array([weight[at] @ part for at, part in zip(columns, values, strict=True)])
    one_by_one = np.array([[part.at is not None] for part in scores])
    total = np.concatenate([said.sum(axis=0)[None], said.sum(axis=0) - said])
    singled = said * one_by_one
    singled = np.concatenate([singled.sum(axis=0)[None], singled.sum(axis=0) - singled])
    if ranker.layer is not None and not is_stranger(query):
        lift = _lifts(ranker.layer, seen_by(ranker.layer, query, scores), columns, pool)
        total += lift
        singled += lift
    total += _owing(ranker, query, values, columns, pool, singled)
    total -= total.max(axis=1, keepdims=True)
    if ranker.sharpness is not None and not is_stranger(query):
        total *= factors(1 / np.exp(total).sum(axis=1), ranker.sharpness)[:, None]
    total -= np.log(np.exp(total).sum(axis=1, keepdims=True))
    return total[0] - total[1:], np.array([(part > 0).any(axis=0) for part in values])


def _lifts(layer: Layer, seen: Seen, columns: Sequence[slice], pool: IntArray) -> FloatArray:
    """Shape (1 + sources, m): what the layer adds, and what it would without each source."""
    where = np.minimum(np.searchsorted(seen.met, pool), max(seen.met.size - 1, 0))
    met = np.flatnonzero(seen.met[where] == pool) if seen.met.size else where[:0]
    lift = np.zeros((1 + len(columns), pool.size), np.float32)
    values = seen.values[where[met]]
    way = np.repeat(seen.way[where[met]][None], len(lift), axis=0)
    for row, at in enumerate(columns, start=1):
        way[row] -= values[:, at] @ layer.into[at]
    lift[:, met] = layer.lift(seen.start, way)
    return lift


def _owing(
    ranker: Ranker,
    query: Query,
    values: Sequence[FloatArray],
    columns: Sequence[slice],
    pool: IntArray,
    said: FloatArray,
) -> FloatArray:
    """Shape (1 + sources, m): what late items are owed for their uses, with and without each source.

    said: what sources say one by one.
    """
    owed = np.zeros_like(said)
    late = np.flatnonzero(pool >= query.items.known)
    late = late[np.isin(pool[late], query.history.item)] if late.size else late
    if late.size and OWN in ranker.columns:
        own = ranker.columns.index(OWN)
        habit = next(row for row, at in enumerate(columns) if at.start <= own < at.stop)
        worth = np.repeat(values[habit][own - columns[habit].start][None, late], said.shape[0], axis=0)
        worth[1 + habit] = 0
        owed[:, late] = np.maximum(worth - said[:, late], 0)
    return owed
