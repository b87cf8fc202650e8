"""Popularity: what everybody uses, the newest uses counting most."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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
        return [_scores(self, queries[0].items.codes.size)] * len(queries)


@lru_cache(maxsize=8)  # the same for every question; immutable, and hashed by identity
def _scores(source: Popularity, size: int) -> Scores:
    late = np.full(size - source.log_share.size, source.new, np.float32)
    values = np.concatenate([source.log_share, late]) if late.size else source.log_share
    return Scores(values[None], None, np.reshape(source.new, 1), known=True)
