"""What the collaborative sources share: customers as weights over items, and one scale for all scores."""

from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray

Matrix: TypeAlias = "sparse.csr_array[np.float32, tuple[int, int]]"
Places: TypeAlias = "npt.NDArray[np.int32] | IntArray"

HEAD = 100
"""A customer's score is measured in units of the distance from the best item to the one at this place."""


def saturate(count: FloatArray) -> FloatArray:
    """How much a count of uses says of a liking: 1 for the first, ever less for each further one."""
    return 1 + np.log(count)


def usage(query: Query, size: int) -> tuple[IntArray, FloatArray]:
    """Which of the first `size` items the customer used, ascending, and the weight of each: shapes (t,), (t,)."""
    met = used(query)
    if "usage" not in query.memo:
        from recommender.kernels.linear import counts

        query.memo["usage"] = saturate(counts(met.place, met.older_place, query.history.older_count, met.at.size))
    weight = cast(FloatArray, query.memo["usage"])
    if size == query.items.codes.size:
        return met.at, weight
    cut = int(np.searchsorted(met.at, size))
    return met.at[:cut], weight[:cut]


def scaled(values: FloatArray, size: int) -> Scores:
    """The scores of the known items, shape (known,) or (columns, known), each column on the common scale.

    Later items, up to `size`, get 0.
    """
    from recommender.kernels.linear import scale

    full = scale(values.reshape(-1, values.shape[-1]), size, HEAD)
    return Scores(full, None, np.zeros(full.shape[0], np.float32), known=True)
