"""The hidden layer of the ranker: what columns say together that no weighted sum of them can.

The second stage of the mixers of the PAQ family (Mattern, "Mixing strategies
in data compression", 2012) as a network of one layer: "followed this step
before" counts more where the item rested as long as it usually does. It only
adds to the score of items that a source singles out; the others keep their
weighted sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Rectified units over the columns.

    into: shape (columns, units). bias: (rows, units), of which those of the situation add up. out: (units,).
    """

    into: FloatArray
    bias: FloatArray
    out: FloatArray

    def lift(self, rows: IntArray, values: FloatArray) -> FloatArray:
        """Shape (k,): what the layer adds to k items above one at the floor of all columns; values: (k, columns)."""
        bias = self.bias[rows].sum(axis=0)
        units = values @ self.into
        units += bias
        added: FloatArray = np.maximum(units, 0, out=units) @ self.out - np.maximum(bias, 0) @ self.out
        return added

    def parts(self, rows: IntArray, values: FloatArray) -> FloatArray:
        """Shape (k, columns): each column's part of `lift`, which they add up to.

        The integral of the slope on the straight way from the floor to the item, which is exact for rectified units.
        Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", 2017.
        """
        bias = self.bias[rows].sum(axis=0)
        way = values @ self.into
        still = np.abs(way) < TINY
        rise = np.maximum(way + bias, 0) - np.maximum(bias, 0)
        slope = np.where(still, bias > 0, rise / np.where(still, 1, way))
        part: FloatArray = values * ((slope * self.out) @ self.into.T)
        return part


TINY = 1e-6
"""A way so short has one slope."""


def singled_out(scores: Sequence[Scores], size: int) -> IntArray:
    """The positions, ascending, that any source speaks of one by one, of `size` items."""
    met = np.zeros(size, np.bool_)
    for part in scores:
        if part.at is not None:
            met[part.at] = True
    return np.flatnonzero(met)
