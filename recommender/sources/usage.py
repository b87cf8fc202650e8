"""What the collaborative sources share: customers as weights over items, and one scale for all scores."""

from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.counting import saturate
from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.top import reached
from recommender.types import FloatArray, IntArray

Matrix: TypeAlias = "sparse.csr_array[np.float32, tuple[int, int]]"
Places: TypeAlias = "npt.NDArray[np.int32] | IntArray"

HEAD = 100
"""A customer's score is measured in units of the distance from the best item to the one at this place."""


def usage(query: Query, size: int) -> tuple[IntArray, FloatArray]:
    """Which of the first `size` items the customer used, ascending, and the weight of each: shapes (t,), (t,).

    What counts nothing is left out, as if it had not been used.
    """
    if "usage" not in query.memo:
        query.memo["usage"] = _weights(query)
    at, weight = cast(tuple[IntArray, FloatArray], query.memo["usage"])
    cut = int(np.searchsorted(at, size))
    return at[:cut], weight[:cut]


def _weights(query: Query) -> tuple[IntArray, FloatArray]:
    met, history, counting = used(query), query.history, query.items.counting
    if counting is None:
        count = np.bincount(met.place, minlength=met.at.size)
        if met.older_place.size:
            count = count + np.bincount(met.older_place, history.older_count, met.at.size)
        return met.at, saturate(count.astype(np.float32))
    age = query.context.now - history.time
    count = np.bincount(met.place, counting.weigh(history.type, age), met.at.size)
    if met.older_place.size:
        oldest = np.full(met.older_place.size, age.max(initial=0))
        older = history.older_count * counting.weigh(history.older_type, oldest)
        count = count + np.bincount(met.older_place, older, met.at.size)
    weight = saturate(count.astype(np.float32))
    heard = weight > 0
    return met.at[heard], weight[heard]


def add_rows(
    starts: IntArray, column: Places, weight: FloatArray, rows: IntArray, factor: FloatArray, columns: int
) -> FloatArray:
    """The weighted sum of some rows of a sparse matrix, shape (columns,).

    starts, column, weight: the matrix by rows, as in scipy's CSR. factor: shape (t,), of each of `rows`.
    """
    size = starts[rows + 1] - starts[rows]
    ends = np.cumsum(size)
    at = np.arange(ends[-1] if ends.size else 0) + np.repeat(starts[rows] - ends + size, size)
    return np.bincount(column[at], weight[at] * np.repeat(factor, size), columns).astype(np.float32)


def scaled(values: FloatArray, size: int) -> Scores:
    """The scores of the known items, shape (known,) or (columns, known), each column on the common scale.

    Later items, up to `size`, get 0.
    """
    rows = np.atleast_2d(values)
    full = np.zeros((rows.shape[0], size), np.float32)
    for row, found in zip(rows, full, strict=True):
        distance = spread(row)
        np.multiply(row, np.float32(1 / distance if distance > _TINY else 0), out=found[: row.size])
    return Scores(full, None, np.zeros(rows.shape[0], np.float32), known=True)


def spread(values: FloatArray) -> float:
    """The distance from the best of some scores to the one at place HEAD, or to 0 where fewer are above 0."""
    bound = reached(values, HEAD)
    head = values[values >= bound] if bound > 0 else values[values > 0]
    foot = np.partition(head, head.size - HEAD)[head.size - HEAD] if head.size > HEAD else 0.0
    return float(head.max(initial=0) - foot)


_TINY = float(np.finfo(np.float32).tiny)
