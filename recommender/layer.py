"""The hidden layer of the ranker: what columns say together that no weighted sum of them can.

The second stage of the mixers of the PAQ family (Mattern, "Mixing strategies
in data compression", 2012) as a network of one layer: "followed this step
before" counts more where the item rested as long as it usually does. It only
adds to the score of items that a source singles out; the others keep their
weighted sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Rectified units over the columns.

    into: shape (columns, units). bias: (rows, units), of which those of the situation add up. out: (units,).
    item, last: (r, units), what an item, and the item that was used last, add to the units; the last row is zeros, for
    items that have no row of their own.
    """

    into: FloatArray
    bias: FloatArray
    item: FloatArray
    last: FloatArray
    out: FloatArray

    def start(self, rows: IntArray, last: int) -> FloatArray:
        """Shape (units,): where the units stand in a situation after the item `last`, a position."""
        from recommender.kernels.blend import stand

        return stand(self.bias, rows, self.last, last)

    def way(self, items: IntArray, values: FloatArray) -> FloatArray:
        """Shape (k, units): how far the units go from an unknown item at the floor of all columns to these items.

        items: their positions, shape (k,). values: (k, columns), above the floor.
        """
        from recommender.kernels.blend import ways

        return ways(values, self.into, self.item, items)

    def lift(self, start: FloatArray, way: FloatArray) -> FloatArray:
        """Shape (k,): what the layer adds to k items above an unknown one at the floor of all columns.

        way: shape (k, units).
        """
        from recommender.kernels.blend import lifts

        return lifts(way, start, self.out)

    def slope(self, start: FloatArray, way: FloatArray) -> FloatArray:
        """Shape (k, units): the slope of `lift` by each unit, on average on the straight way from the floor.

        Columns times their slope add up to the lift, exactly so for rectified units: integrated gradients.
        Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", 2017.
        """
        still = np.abs(way) < TINY
        rise = np.maximum(way + start, 0) - np.maximum(start, 0)
        slope: FloatArray = np.where(still, start > 0, rise / np.where(still, 1, way)) * self.out
        return slope

    def parts(self, slope: FloatArray, items: IntArray, values: FloatArray) -> FloatArray:
        """Shape (k, columns + 1): each column's part of `lift`, which they add up to, and the item's own."""
        part: FloatArray = np.column_stack([values * (slope @ self.into.T), (slope * self._own(items)).sum(axis=1)])
        return part

    def total(self, slope: FloatArray, items: IntArray, values: FloatArray) -> FloatArray:
        """Shape (columns + 1,): the sum of `parts` over all k items, at a fraction of the price."""
        by_column = ((values.T @ slope) * self.into).sum(axis=1)
        total: FloatArray = np.append(by_column, np.vdot(slope, self._own(items)))
        return total

    def _own(self, items: IntArray) -> FloatArray:
        own: FloatArray = self.item[np.minimum(items, self.item.shape[0] - 1)]
        return own


TINY = 1e-6
"""A way so short has one slope."""


def singled_out(scores: Sequence[Scores]) -> IntArray:
    """The positions, ascending, that any source speaks of one by one."""
    from recommender.kernels.blend import union

    parts = [part.at for part in scores if part.at is not None]
    return reduce(union, parts) if parts else np.zeros(0, np.int64)
