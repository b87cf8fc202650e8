"""Neighbours: who used this also used that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from recommender.history import Query
from recommender.sources.base import Scores
from recommender.sources.usage import HEAD, Places, on_scale, usage
from recommender.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """A sparse item-item matrix; a customer's scores are the sum of the rows of what they used.

    starts: shape (known + 1,); the neighbours of item i are item[starts[i]:starts[i + 1]], ascending,
    each with the weight at the same place.
    """

    starts: IntArray
    item: Places
    weight: FloatArray

    name: ClassVar[str] = "neighbours"
    reason: ClassVar[str] = "used together"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("neighbours",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        from recommender.kernels.linear import summed

        known = self.starts.size - 1
        rows, weight = usage(query, known)
        size = query.items.codes.size
        return on_scale(summed(self.starts, self.item, self.weight, rows, weight, known, size, HEAD))
