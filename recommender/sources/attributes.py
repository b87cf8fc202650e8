"""Attributes: more of the same kind, also where nobody used it yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import sparse

from recommender.history import Items, Query
from recommender.sources.base import Scores
from recommender.sources.usage import HEAD, Matrix, usage
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
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        from recommender.kernels.linear import through

        size = query.items.codes.size
        by_item, by_token = described_by(self, query.items)
        rows, weight = usage(query, size)
        found = through(*by_item, *by_token, rows, weight, TASTES, by_token.starts.size - 1, size, HEAD)
        return Scores(found, None, np.zeros(1, np.float32))

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


class _Rows(NamedTuple):
    """A sparse matrix by rows, as in scipy's CSR."""

    starts: IntArray
    column: IntArray
    weight: FloatArray


@lru_cache(maxsize=4)  # a live catalogue serves many requests; both arguments are immutable and hash by identity
def described_by(source: Attributes, items: Items) -> tuple[_Rows, _Rows]:
    """Items x tokens, each row of length 1, and its transpose."""
    vocabulary, matrix = token_matrix(items)
    weighted = sparse.csr_array(matrix @ sparse.diags_array(source.weight_of(vocabulary)))
    norm = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)))
    inverse = np.divide(1, norm, out=np.zeros_like(norm), where=norm > 0)
    described = sparse.csr_array(sparse.diags_array(inverse) @ weighted)
    return _rows(described), _rows(sparse.csr_array(described.T))


def _rows(matrix: Matrix) -> _Rows:
    return _Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(np.float32))
