"""What the collaborative sources share: customers as weights over items, and one scale for all scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from recommender.counting import ALIKE
from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy import sparse  # 17 MB, which answers need in none of their ways but one

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
    cut = at.size if size == query.items.codes.size else int(np.searchsorted(at, size))
    return at[:cut], weight[:cut]


def _weights(query: Query) -> tuple[IntArray, FloatArray]:
    from recommender.kernels.linear import liking

    met, history, counting = used(query), query.history, query.items.counting or ALIKE
    return liking(
        met.at,
        met.place,
        history.type,
        query.context.now - history.time,
        met.older_place,
        history.older_type,
        history.older_count,
        counting.types,
        counting.weight,
        float(counting.half_life),
    )


def scaled(columns: Sequence[FloatArray], size: int) -> Scores:
    """The scores of the known items, each column of shape (known,), on the common scale.

    Later items, up to `size`, get 0.
    """
    from recommender.kernels.linear import scale

    full: FloatArray = np.empty((len(columns), size), np.float32)
    for row, values in enumerate(columns):
        scale(values, HEAD, full[row])
    return on_scale(full)


def on_scale(values: FloatArray) -> Scores:
    """The scores of all items, shape (columns, n), that are on the common scale already."""
    return Scores(values, None, np.zeros(values.shape[0], np.float32), known=True)
