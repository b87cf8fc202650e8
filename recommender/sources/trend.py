"""Trend: what everybody uses these days, these weeks, these months."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray

HALF_LIVES = (7, 30, 90)
"""Days: a week for what is the talk of the town, a month for the season, three for what comes and goes with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """The logarithm of an item's share of all uses, each use counting by its age; the same for every customer.

    log_share: shape (HALF_LIVES, known). new: shape (HALF_LIVES,), the same for an item that nobody could use yet.
    """

    log_share: FloatArray
    new: FloatArray

    name: ClassVar[str] = "trend"
    reason: ClassVar[str] = "popular now"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"days-{days}" for days in HALF_LIVES)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        if not queries:
            return []
        late = queries[0].items.codes.size - self.log_share.shape[1]
        new = np.repeat(self.new[:, None], late, axis=1)
        values = np.concatenate([self.log_share, new], axis=1) if late else self.log_share
        return [Scores(values, None, self.new, known=True)] * len(queries)
