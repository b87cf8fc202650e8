"""Attributes: more of the same kind, also where nobody used it yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy import sparse

from recommender.history import Items, Query
from recommender.sources.base import Scores
from recommender.sources.usage import Matrix, scaled_sparse, usage
from recommender.types import FloatArray, IntArray

TASTES = 64
"""The tokens of a customer that are looked up: their strongest. It bounds the work, whatever the catalogue."""


@dataclass(frozen=True, slots=True, eq=False)
class Attributes:
    """How much it says of two items that they share a token; items are compared by their weighted tokens.

    tokens: shape (t,), codes, ascending. weight: shape (t,), >= 0, the log of how much more often one
    customer uses two items of that token than chance would have it. new: shape (), the weight of any other token.
    """

    tokens: IntArray
    weight: FloatArray
    new: FloatArray

    name: ClassVar[str] = "attributes"
    reason: ClassVar[str] = "like what you use"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("attributes",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        if not queries:
            return []
        items = queries[0].items
        item_tokens, token_items = _described(self, items)
        tastes = _strongest(usage(queries, items.codes.size) @ item_tokens)
        return scaled_sparse(tastes @ token_items)

    def weight_of(self, tokens: IntArray) -> FloatArray:
        """The weight of each of these tokens."""
        if self.tokens.size == 0:
            return np.full(tokens.size, self.new, np.float32)
        at = np.minimum(np.searchsorted(self.tokens, tokens), self.tokens.size - 1)
        return np.where(self.tokens[at] == tokens, self.weight[at], self.new).astype(np.float32)


def token_matrix(items: Items) -> tuple[IntArray, Matrix]:
    """The distinct tokens, ascending, and which item has which: items x tokens, 1 where it has it."""
    vocabulary, column = np.unique(items.tokens, return_inverse=True)
    ones = np.ones(items.tokens.size, np.float32)
    matrix = sparse.csr_array((ones, column, items.token_starts), shape=(items.codes.size, vocabulary.size))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return vocabulary, matrix


@lru_cache(maxsize=4)  # a live catalogue serves many requests; both arguments are immutable and hash by identity
def _described(source: Attributes, items: Items) -> tuple[Matrix, Matrix]:
    """Items x tokens, each row of length 1, and its transpose."""
    vocabulary, matrix = token_matrix(items)
    weighted = matrix @ sparse.diags_array(source.weight_of(vocabulary))
    norm = np.sqrt(weighted.power(2).sum(1))
    described = (sparse.diags_array(np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)) @ weighted).tocsr()
    return described, described.T.tocsr()


def _strongest(tastes: Matrix) -> Matrix:
    """Each customer's TASTES strongest tokens, of equal ones the lower."""
    kept = [_head(tastes.data[a:b]) + a for a, b in zip(tastes.indptr[:-1], tastes.indptr[1:], strict=True)]
    starts = np.concatenate([[0], np.cumsum([k.size for k in kept], dtype=np.int64)])
    chosen = np.concatenate(kept)
    return sparse.csr_array((tastes.data[chosen], tastes.indices[chosen], starts), shape=tastes.shape)


def _head(values: FloatArray) -> IntArray:
    return np.arange(values.size) if values.size <= TASTES else np.argsort(-values, kind="stable")[:TASTES]
