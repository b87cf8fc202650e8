"""What each item would lose without each source: the ranker's own sum, with one source after the other silent."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from recommender.history import Query
from recommender.ranker import OWN, Ranker, is_stranger, laid, seen_by, start_of
from recommender.sharpness import DOUBT, LOG_ODDS
from recommender.sources.base import Scores
from recommender.types import BoolArray, FloatArray, IntArray

_NO_TABLE = np.zeros((0, 0), np.float32)
_NO_ROW = np.zeros(0, np.float32)


def losses(ranker: Ranker, query: Query, scores: Sequence[Scores], pool: IntArray) -> tuple[FloatArray, BoolArray]:
    """What the log-probability of each of m positions loses where a source is silent, shape (sources, m).

    And whether the source says more of it than of an item that it does not know, of the same shape: a source may
    also hold others down. A silent source says its floor of every item, and all others compete on: so this is what
    would be otherwise, where `contributions` share out what is. pool: the positions that compete.
    """
    from recommender.kernels.blend import silences

    values, met = laid(seen_by(ranker, query, scores).scores, pool)
    own = ranker.columns.index(OWN) if OWN in ranker.columns else -1
    known, learned = query.items.known, not is_stranger(query)
    owed = np.zeros(pool.size, np.bool_)
    if own >= 0 and known < query.items.codes.size:
        owed = (pool >= known) & np.isin(pool, query.history.item)
    layer = ranker.layer if learned else None
    return silences(
        values,
        ranker.weigh(query),
        np.array([*accumulate([part.floor.size for part in scores])], np.int64),
        np.array([part.at is not None for part in scores]),
        met,
        pool,
        owed,
        _NO_TABLE if layer is None else layer.into,
        _NO_TABLE if layer is None else layer.item,
        _NO_ROW if layer is None else start_of(layer, query),
        _NO_ROW if layer is None else layer.out,
        own,
        LOG_ODDS,
        ranker.sharpness if learned and ranker.sharpness is not None else _NO_ROW,
        DOUBT,
    )
