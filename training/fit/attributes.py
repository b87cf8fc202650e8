"""Fits how much it says of two items that they share a token."""

import numpy as np
from scipy import sparse

from recommender.history import Items
from recommender.sources.attributes import Attributes
from recommender.sources.usage import Matrix
from recommender.types import IntArray
from training.fit.matrix import total

PRIOR_PAIRS = 10.0
"""As many pairs of items as a token is thought to have shown before the log began, ..."""

PRIOR_LIFT = 2.0
"""... this much more often than by chance: an unknown token is worth log 2."""


def fit_attributes(counts: Matrix, items: Items) -> Attributes:
    """counts: customers x items.

    The lift of a token: how often one customer used two different items of it, against how often two
    draws from all uses would be of it. A token of every item, or one that gathers nobody, weighs 0.
    """
    vocabulary, item_tokens = token_matrix(items)
    used = sparse.csr_array((np.ones(counts.nnz), counts.indices, counts.indptr), shape=counts.shape)
    per_token = sparse.csr_array(used @ item_tokens)
    uses, of_token = total(used, 1), total(per_token, 0)
    together = total(per_token.power(2), 0) - of_token
    share = of_token / max(uses.sum(), 1)
    by_chance = (uses * (uses - 1)).sum() * share**2
    lift = (together + PRIOR_PAIRS * PRIOR_LIFT) / (by_chance + PRIOR_PAIRS)
    weight = np.maximum(np.log(lift), 0).astype(np.float32)
    return Attributes(vocabulary, weight, np.array(np.log(PRIOR_LIFT), np.float32))


def token_matrix(items: Items) -> tuple[IntArray, Matrix]:
    """The distinct tokens, ascending, and which item has which: items x tokens, 1 where it has it."""
    vocabulary, column = np.unique(items.tokens, return_inverse=True)
    ones = np.ones(items.tokens.size, np.float32)
    matrix = sparse.csr_array((ones, column, items.token_starts), shape=(items.codes.size, vocabulary.size))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return vocabulary, matrix
