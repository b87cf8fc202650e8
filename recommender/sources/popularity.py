"""Popularity: what everybody uses, the newest uses counting most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Popularity:
    """The logarithm of an item's share of all uses, the same for every customer.

    log_share: shape (known,). new: shape (), the same for an item that nobody could use yet.
    """

    log_share: FloatArray
    new: FloatArray

    name: ClassVar[str] = "popularity"
    reason: ClassVar[str] = "popular"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("popularity",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        if not queries:
            return []
        known, size = self.log_share.size, queries[0].items.codes.size
        late = np.full(size - known, self.new, np.float32)
        values = np.concatenate([self.log_share, late]) if late.size else self.log_share
        return [Scores(values[None], None, np.reshape(self.new, 1), known=True)] * len(queries)
