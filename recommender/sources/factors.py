"""Factors: a few dozen hidden tastes, of which every item and every customer has a share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.scan import products
from recommender.sources.base import Scores
from recommender.sources.usage import HEAD, on_scale, scaled, usage
from recommender.types import FloatArray, IntArray

FEW = 1_000
"""Known items up to which the products of all pairs are kept: 4 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Item factors of implicit alternating least squares; the customer's are solved for when they ask.

    factors: shape (known, f). gram: shape (f, f), factors' factors plus the regularisation on its
    diagonal; inverse: its inverse, or empty in a model from before it was kept. alpha: shape (), the confidence in
    a use of weight 1; anything not used has confidence 1. worth: (known,), what that is multiplied by for each item: a
    use of what everybody uses says less; empty in a model from before: 1.
    Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets", 2008.
    """

    factors: FloatArray
    gram: FloatArray
    alpha: FloatArray
    inverse: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    worth: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    name: ClassVar[str] = "factors"
    reason: ClassVar[str] = "fits your taste"
    scanned: ClassVar[str] = "factors"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("factors",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        if self.factors.shape[0] <= FEW and self.inverse.size:
            return [self._score_few(query) for query in queries]
        return self._by_customers(queries)

    def _by_customers(self, queries: Sequence[Query]) -> list[Scores]:
        customers = np.array([self._customer(query) for query in queries], np.float32).reshape(-1, self.gram.shape[0])
        return [
            scaled([values], query.items.codes.size)
            for query, values in zip(queries, products(self.factors, customers), strict=True)
        ]

    def _score_few(self, query: Query) -> Scores:
        """The same without a customer's factors: they are a sum of items', whose products are at hand.

        It takes as many equations as there are used items; where these are more than factors, those are solved for.
        """
        from recommender.kernels.linear import scores_among

        rows, weight = self._used(query)
        if rows.size > self.inverse.shape[0]:
            return self._by_customers([query])[0]
        size = query.items.codes.size
        return on_scale(scores_among(products_of(self), rows, weight * self.alpha, size, HEAD))

    def _used(self, query: Query) -> tuple[IntArray, FloatArray]:
        """Which of the known items the customer used, and how much each counts."""
        rows, weight = usage(query, self.factors.shape[0])
        return rows, weight * self.worth[rows] if self.worth.size else weight

    def _customer(self, query: Query) -> FloatArray:
        rows, weight = self._used(query)
        return self.fold_in(rows, weight) if rows.size else np.zeros(self.gram.shape[0], np.float32)

    def fold_in(self, rows: IntArray, weight: FloatArray) -> FloatArray:
        """The customer's factors, shape (f,), from what they used, shape (t,), and how much each of it counts."""
        from recommender.kernels.linear import fold_in_few

        confidence = weight * self.alpha
        if rows.size < self.inverse.shape[0]:
            return fold_in_few(self.factors, rows, confidence, self.inverse)
        used = self.factors[rows]
        normal = self.gram + (used.T * (confidence - 1)) @ used
        return np.asarray(np.linalg.solve(normal, confidence @ used), np.float32)


@lru_cache(maxsize=4)  # immutable, and hashed by identity
def products_of(source: Factors) -> FloatArray:
    """Shape (known, known): the products of all items' factors, by the inverse of the normal matrix."""
    return np.asarray(source.factors @ source.inverse @ source.factors.T, np.float32)
