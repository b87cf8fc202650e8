"""Attributes: more of the same kind, also where nobody used it yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from recommender.history import Items, Query
from recommender.kept import Kept
from recommender.sources.base import Scores
from recommender.sources.usage import HEAD, usage
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

    def __post_init__(self) -> None:
        """ValueError where the parts do not fit: compiled code follows them without a look."""
        if self.tokens.size != self.weight.size:
            raise ValueError("the weights of attributes are not one for each of their tokens")

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


class _Rows(NamedTuple):
    """A sparse matrix by rows, as in scipy's CSR."""

    starts: IntArray
    column: IntArray
    weight: FloatArray


def described_by(source: Attributes, items: Items) -> tuple[_Rows, _Rows]:
    """`_describe`, kept with the items."""
    known = _described(items)
    return known[source] if source in known else known.setdefault(source, _describe(source, items))


def _describe(source: Attributes, items: Items) -> tuple[_Rows, _Rows]:
    """Items x tokens, each row of length 1, and its transpose."""
    from recommender.kernels.described import described

    found = described(items.token_starts, items.tokens, source.tokens, source.weight, np.float32(source.new))
    return _Rows(*found[:3]), _Rows(*found[3:])


_described: Kept[Items, dict[Attributes, tuple[_Rows, _Rows]]] = Kept(lambda _: {})
"""What sources make of the items; a live catalogue serves many questions."""
