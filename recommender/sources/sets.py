"""Sets: what completes the set of items that somebody used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import BoolArray, FloatArray, IntArray

SIZES = (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 64)
"""Items used, at which what a set of that size means may change."""


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """How much likelier each item is for one who used these than for anybody, as a difference of log-probabilities.

    A network with one hidden layer beside the direct effects. direct: shape (known, known), what a used item (row)
    adds to each other. inward: (known + SIZES + 1, h), what each used item and their number add to the hidden units;
    outward: (h, known), what these add to each item. shift: (known,), what is added for any set. steps: shape (), for
    how many it was fitted. rectified: shape (), whether hidden units are 0 below 0; those of the first version's models
    are tangents of sums over the root of the number used. Of what is in the set, and to a stranger, it
    says nothing: 0, as of items that came after training.
    """

    direct: FloatArray
    inward: FloatArray
    outward: FloatArray
    shift: FloatArray
    steps: IntArray
    rectified: BoolArray = field(default_factory=lambda: np.array(False))

    name: ClassVar[str] = "sets"
    reason: ClassVar[str] = "used together"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("sets",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        values = np.zeros((1, query.items.codes.size), np.float32)
        known = self.shift.size
        at = used(query).at
        at = at[at < known]
        if at.size:
            size = known + int(np.searchsorted(SIZES, at.size, "right"))
            into = self.inward[at].sum(axis=0)
            if self.rectified:
                hidden = np.maximum(into + self.inward[size], 0)
            else:
                hidden = np.tanh(into / np.sqrt(np.float32(at.size)) + self.inward[size])
            values[0, :known] = self.shift + self.direct[at].sum(axis=0) + hidden @ self.outward
            values[0, at] = 0
        return Scores(values, None, np.zeros(1, np.float32), known=True)
