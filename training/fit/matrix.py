"""The log as one matrix, as the linear sources are fitted on it."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.counting import saturate
from recommender.history import Items, kept_uses, older_uses
from recommender.sources.usage import Matrix
from recommender.types import BoolArray, FloatArray, IntArray
from training.dataset import Log

Values = npt.NDArray[np.float64]

NUMBERS = 20_000_000
"""Most that one published matrix holds, what an answer reads: 80 MB, about 4 ms."""


def user_items(log: Log, items: Items) -> Matrix:
    """Customers x items: how often each was used, what was returned taken back; nothing where never.

    Row c holds what `history_of` makes of customer c's profile, counted as `usage` counts it at the end of the log.
    """
    size, counting = items.codes.size, items.counting
    who, events = log.who, log.events
    pair = _pairs(who, items.positions(events["item"]), size)
    used = kept_uses(pair, events["type"])
    older_who = np.repeat(np.arange(log.customers), np.diff(log.count_starts))
    older, count, commonest = older_uses(_pairs(older_who, items.positions(log.counts["item"]), size), log.counts)
    each: Values = np.ones(np.count_nonzero(used))
    before: Values = count.astype(np.float64)
    if counting is not None:
        now, time = log.span[1], events["time"][used]
        each = counting.weigh(events["type"][used], now - time)
        oldest = np.full(log.customers, now)
        np.minimum.at(oldest, who[used], time)
        before = before * counting.weigh(commonest, now - oldest[older // max(size, 1)])
    pair, weight = np.concatenate([pair[used], older]), np.concatenate([each, before])
    shape = (log.customers, size)
    found = sparse.coo_array((weight, (pair // max(size, 1), pair % max(size, 1))), shape=shape)
    counts = found.tocsr().astype(np.float32)
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def _pairs(who: IntArray, position: IntArray, size: int) -> IntArray:
    """A number for each item of each customer, -1 for items of another kind."""
    return np.where(position >= 0, who * size + position, -1)


def entries(matrix: Matrix, which: BoolArray, values: FloatArray) -> Matrix:
    """Some entries of a matrix, with these values; which, values: shape (nnz,), in the matrix' order."""
    starts = np.concatenate([[0], np.cumsum(which)])[matrix.indptr]
    return sparse.csr_array((values[which], matrix.indices[which], starts), shape=matrix.shape)


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
    weights.data = saturate(counts.data)
    return weights


def for_implicit(
    matrix: "sparse.csr_array[np.floating, tuple[int, int]]", dtype: type[np.float32 | np.float64]
) -> "sparse.csr_matrix":
    """The same as implicit wants it: the older class, and 32-bit indices."""
    found = sparse.csr_matrix(matrix, dtype=dtype)
    found.indices, found.indptr = found.indices.astype(np.int32), found.indptr.astype(np.int32)
    return found
