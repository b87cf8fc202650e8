"""Vectors: what an estimator of the site's own knows of the items, as one vector each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.scan import products
from recommender.sources.base import Scores
from recommender.sources.usage import scaled, usage
from recommender.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """A customer is the weighted sum of the vectors of what they used; items score by the inner product with it.

    vectors: shape (known, f). That is the projection of truncated singular value decomposition, and a fair fold-in
    for every other embedding whose inner products say what goes together.
    """

    vectors: FloatArray

    name: ClassVar[str] = "vectors"
    reason: ClassVar[str] = "fits your taste"
    scanned: ClassVar[str] = "vectors"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("vectors",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        rows, weight = usage(query, self.vectors.shape[0])
        customer = np.asarray(weight @ self.vectors[rows], np.float32)
        return scaled([*products(self.vectors, customer[None])], query.items.codes.size)
