"""Graph: what lies near in the network of customers and items, its fine grain smoothed away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.scan import products_of_both
from recommender.sources.base import Scores
from recommender.sources.usage import scaled, usage
from recommender.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Two item-item matrices of low rank over the same waves; training/fit/graph.py says which.

    used: shape (known, r), what a use of an item says of the customer. found: (known, r), what that means for an
    item. spread: (r, s), region: (known, s): what it means once it has spread through the neighbourhood, where what
    everybody there has anyway weighs most: the ranker takes off as much of it as helps.
    """

    used: FloatArray
    found: FloatArray
    spread: FloatArray
    region: FloatArray

    name: ClassVar[str] = "graph"
    reason: ClassVar[str] = "close to what you use"
    scanned: ClassVar[str] = "found"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("graph", "region")

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        customers = np.array([self._customer(query) for query in queries], np.float32).reshape(
            len(queries), self.used.shape[1]
        )
        near, far = products_of_both(self.found, customers, self.region, customers @ self.spread)
        return [scaled(pair, query.items.codes.size) for query, *pair in zip(queries, near, far, strict=True)]

    def _customer(self, query: Query) -> FloatArray:
        rows, weight = usage(query, self.used.shape[0])
        customer: FloatArray = weight @ self.used[rows]
        return customer
