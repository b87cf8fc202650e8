"""Factors: a few dozen hidden tastes, of which every item and every customer has a share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.sources.base import Scores
from recommender.sources.usage import scaled_rows, usage
from recommender.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Item factors of implicit alternating least squares; the customer's are solved for when they ask.

    factors: shape (known, f). gram: shape (f, f), factors' factors plus the regularisation on its
    diagonal. alpha: shape (), the confidence in a use of weight 1; anything not used has confidence 1.
    Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets", 2008.
    """

    factors: FloatArray
    gram: FloatArray
    alpha: FloatArray

    name: ClassVar[str] = "factors"
    reason: ClassVar[str] = "fits your taste"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("factors",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        if not queries:
            return []
        rows = usage(queries, self.factors.shape[0])
        customers = np.zeros((len(queries), self.factors.shape[1]), np.float32)
        for row, (start, end) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
            if start < end:
                customers[row] = self.fold_in(self.factors[rows.indices[start:end]], rows.data[start:end])
        return scaled_rows(customers @ self.factors.T, queries[0].items.codes.size)

    def fold_in(self, used: FloatArray, weight: FloatArray) -> FloatArray:
        """The customer's factors, shape (f,), from those of what they used, shape (t, f), and its weights."""
        confidence = weight * self.alpha
        normal = self.gram + (used.T * (confidence - 1)) @ used
        return np.asarray(np.linalg.solve(normal, confidence @ used), np.float32)
