"""Factors: a few dozen hidden tastes, of which every item and every customer has a share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.scan import products
from recommender.sources.base import Scores
from recommender.sources.usage import scaled, usage
from recommender.types import FloatArray


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

    @property
    def columns(self) -> tuple[str, ...]:
        return ("factors",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        customers = np.array([self._customer(query) for query in queries], np.float32).reshape(-1, self.gram.shape[0])
        return [
            scaled(values, query.items.codes.size)
            for query, values in zip(queries, products(self.factors, customers), strict=True)
        ]

    def _customer(self, query: Query) -> FloatArray:
        rows, weight = usage(query, self.factors.shape[0])
        if rows.size == 0:
            return np.zeros(self.gram.shape[0], np.float32)
        return self.fold_in(self.factors[rows], weight * self.worth[rows] if self.worth.size else weight)

    def fold_in(self, used: FloatArray, weight: FloatArray) -> FloatArray:
        """The customer's factors, shape (f,), from those of what they used, shape (t, f), and how much each counts."""
        confidence = weight * self.alpha
        if used.shape[0] < self.inverse.shape[0]:
            return self._fold_in_few(used, confidence)
        normal = self.gram + (used.T * (confidence - 1)) @ used
        return np.asarray(np.linalg.solve(normal, confidence @ used), np.float32)

    def _fold_in_few(self, used: FloatArray, confidence: FloatArray) -> FloatArray:
        """The same by as many equations as there are used items, where these are fewer than factors.

        The customer is inverse used' a, and putting that into the normal equations leaves (1 + D K) a = confidence
        with D = confidence - 1 and K = used inverse used'.
        """
        solved = used @ self.inverse
        system = (confidence - 1)[:, None] * (solved @ used.T)
        system[np.diag_indices_from(system)] += 1
        return np.asarray(np.linalg.solve(system, confidence) @ solved, np.float32)
