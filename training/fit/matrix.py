"""The log as one matrix, as the linear sources are fitted on it."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.history import Items
from recommender.sources.usage import Matrix, saturate
from recommender.types import RETURN, IntArray, is_use
from training.dataset import Log

Values = npt.NDArray[np.float64]

NUMBERS = 20_000_000
"""Most that one published matrix holds, what an answer reads: 80 MB, about 4 ms."""


def user_items(log: Log, items: Items) -> Matrix:
    """Customers x items: how often each was used, what was returned taken back; nothing where never.

    Row c holds what `history_of` makes of customer c's profile, counted.
    """
    who, older = log.who, np.repeat(np.arange(log.customers), np.diff(log.count_starts))
    ones = np.ones(log.events.size, np.int64)
    used = _count(log, items, who, log.events["item"], np.where(is_use(log.events["type"]), ones, 0))
    back = _count(log, items, who, log.events["item"], np.where(log.events["type"] == RETURN, ones, 0))
    counted = log.counts["count"].astype(np.int64)
    used_before = np.where(is_use(log.counts["type"]), counted, 0)
    returned_before = np.where(log.counts["type"] == RETURN, counted, 0)
    recent = (used - back).maximum(0)
    before = _count(log, items, older, log.counts["item"], used_before - returned_before).maximum(0)
    count = sparse.csr_array(recent + before, dtype=np.float32)
    count.eliminate_zeros()
    count.sort_indices()
    return count


def _count(log: Log, items: Items, who: IntArray, code: IntArray, count: IntArray) -> "sparse.csr_array":
    position = items.positions(code)
    kept = (position >= 0) & (count != 0)
    shape = (log.customers, items.codes.size)
    return sparse.coo_array((count[kept], (who[kept], position[kept])), shape=shape).tocsr()


def total(matrix: "sparse.csr_array[np.floating, tuple[int, int]]", axis: int) -> Values:
    """The sums along an axis, in float64."""
    return np.asarray(matrix.sum(axis=axis, dtype=np.float64))


def worthwhile(weights: Matrix, breadth: float, work: int, least: int) -> int:
    """How many dimensions a description of this matrix is worth: `breadth` times the root of its smaller side,

    but no more than `work` over its entries, for the time of the fit, and `least` anyway; in one published matrix
    at most NUMBERS numbers, for the time of an answer.
    """
    most = min(breadth * np.sqrt(min(weights.shape)), work / max(weights.nnz, 1))
    return max(int(min(max(most, least), NUMBERS / max(weights.shape[1], 1))), 1)


def power(values: Values, exponent: float) -> Values:
    """Each value to the exponent, and 0 where it is 0: what nobody used stays out of every sum."""
    return np.power(values, exponent, out=np.zeros_like(values), where=values > 0)


def weights_of(counts: Matrix) -> Matrix:
    """The same matrix with each count as the weight that `usage` gives it."""
    weights = counts.copy()
    weights.data = saturate(counts.data).astype(np.float32)
    return weights


def for_implicit(
    matrix: "sparse.csr_array[np.floating, tuple[int, int]]", dtype: type[np.float32 | np.float64]
) -> "sparse.csr_matrix":
    """The same as implicit wants it: the older class, and 32-bit indices."""
    found = sparse.csr_matrix(matrix, dtype=dtype)
    found.indices, found.indptr = found.indices.astype(np.int32), found.indptr.astype(np.int32)
    return found
