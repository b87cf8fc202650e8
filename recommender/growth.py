"""How the weights of a blend move as a history grows: a long one can be taken at its word, a short one not."""

from dataclasses import dataclass

import numpy as np

from recommender.features import used
from recommender.history import Query
from recommender.types import FloatArray


def length_of(query: Query) -> float:
    """How much history a question has: the logarithm, to base 2, of how many items were used, 0 for none."""
    return float(np.log2(max(used(query).at.size, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """slope: shape (columns,), what every step of `length_of` adds to a weight.

    reach: shape (2,), the shortest and the longest history by which that was learned; beyond them weights stay.
    """

    slope: FloatArray
    reach: FloatArray

    def at(self, query: Query) -> FloatArray:
        """Shape (columns,): what to add to the weights for this question."""
        added: FloatArray = self.slope * np.clip(np.float32(length_of(query)), *self.reach)
        return added
