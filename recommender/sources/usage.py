"""What the collaborative sources share: customers as rows of weights over items, and one scale for all scores."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from scipy import sparse

from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray

Matrix: TypeAlias = "sparse.csr_array[np.float32, tuple[int, int]]"

HEAD = 100
"""A customer's score is measured in units of the distance from the best item to the one at this place."""


def saturate(count: FloatArray) -> FloatArray:
    """How much a count of uses says of a liking: 1 for the first, ever less for each further one."""
    return 1 + np.log(count)


def weighed(query: Query) -> tuple[IntArray, FloatArray]:
    """The items that the customer used, ascending, and the weight of each: shapes (t,), (t,)."""
    met = used(query)
    size = met.at.size
    count = np.bincount(met.place, minlength=size) + np.bincount(met.older_place, query.history.older_count, size)
    return met.at, saturate(count.astype(np.float32))


def usage(queries: Sequence[Query], size: int) -> Matrix:
    """The questions' customers x the first `size` items, as weights; what came later is left out."""
    parts = [weighed(query) for query in queries]
    cuts = [int(np.searchsorted(item, size)) for item, _ in parts]
    starts = np.concatenate([[0], np.cumsum(cuts)]).astype(np.int64)
    item = np.concatenate([item[:cut] for (item, _), cut in zip(parts, cuts, strict=True)])
    weight = np.concatenate([weight[:cut] for (_, weight), cut in zip(parts, cuts, strict=True)])
    return sparse.csr_array((weight, item, starts), shape=(len(parts), size))


def spread(scores: FloatArray) -> float:
    """The distance from the best of some scores to the one at place HEAD, or to 0 where there are fewer."""
    if scores.size == 0:
        return 0.0
    place = scores.size - HEAD
    foot = np.partition(scores, place)[place] if place > 0 else np.float32(0)
    return float(scores.max() - foot)


def scaled_rows(block: FloatArray, size: int) -> list[Scores]:
    """One Scores for each row of a block, shape (b, known); later items, up to `size`, get 0."""
    block *= np.array([[_inverse(spread(row))] for row in block])
    full = block if block.shape[1] == size else np.pad(block, ((0, 0), (0, size - block.shape[1])))
    return [Scores(row[None], None, _ZERO) for row in full]


def scaled_sparse(block: Matrix) -> list[Scores]:
    """One Scores for each row of a sparse block; what is not stored scores 0."""
    block.sort_indices()
    parts = []
    for start, end in zip(block.indptr[:-1], block.indptr[1:], strict=True):
        values = block.data[start:end]
        scores = (values * _inverse(spread(values))).astype(np.float32)
        parts.append(Scores(scores[None], block.indices[start:end].astype(np.int64), _ZERO))
    return parts


def _inverse(distance: float) -> np.float32:
    return np.float32(1 / distance if distance > 0 else 0)


_ZERO = np.zeros(1, np.float32)
