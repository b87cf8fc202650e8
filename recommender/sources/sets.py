"""Sets: what completes the set of items that somebody used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.sources.usage import Places
from recommender.types import BoolArray, FloatArray, IntArray

SIZES = (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 64)
"""Items used, at which what a set of that size means may change."""


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """How much likelier each item is for one who used these than for anybody, as a difference of log-probabilities.

    A network with one hidden layer beside the direct effects, and counts beside it where one or two items were used.
    direct: shape (known, known), what a used item (row) adds to each other. inward: (known + SIZES + 1, h), what each
    used item and their number add to the hidden units; outward: (h, known), what these add to each item. shift:
    (known,), what is added for any set. steps: shape (), for how many it was fitted. rectified: shape (), whether
    hidden units are 0 below 0; those of the first version's models are tangents of sums over the root of the number
    used. Of what is in the set, and to a stranger, it says nothing: 0, as of items that came after training.

    pair: shape (m,), first * known + second of pairs that customers used both of, ascending, the first below the
    second, or the same for an item alone; what else these used is item[starts[i]:starts[i + 1]], each as often as
    weight says at the same place. prior: shape (), as how much of such weight the network counts. share: shape
    (known,), the log of each item's share of all uses. Models of before pairs were counted have none.
    """

    direct: FloatArray
    inward: FloatArray
    outward: FloatArray
    shift: FloatArray
    steps: IntArray
    rectified: BoolArray = field(default_factory=lambda: np.array(False))
    pair: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    starts: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))
    item: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    weight: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    prior: FloatArray = field(default_factory=lambda: np.ones((), np.float32))
    share: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    name: ClassVar[str] = "sets"
    reason: ClassVar[str] = "used together"

    def __post_init__(self) -> None:
        """ValueError where the pairs do not fit the items: better refused with the model than met at an answer."""
        ends = self.starts.size == self.pair.size + 1 and (np.diff(self.starts) >= 0).all()
        fits = ends and self.starts[0] == 0 and self.starts[-1] == self.item.size == self.weight.size
        if self.pair.size:
            fits &= self.share.size == self.outward.shape[1]
            fits &= self.item.min(initial=0) >= 0 and self.item.max(initial=0) < self.share.size
        if not fits:
            raise ValueError("the pairs of the sets do not fit their items")

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
            found = self.shift + self.direct[at].sum(axis=0) + hidden @ self.outward
            values[0, :known] = self._counted(at, found) if at.size <= 2 else found
            values[0, at] = 0
        return Scores(values, None, np.zeros(1, np.float32), known=True)

    def _counted(self, at: IntArray, found: FloatArray) -> FloatArray:
        """Shape (known,): the same where one or two items were used, and what else others used who used these."""
        key = at[0] * self.share.size + at[-1]
        place = int(np.searchsorted(self.pair, key))
        if place == self.pair.size or self.pair[place] != key:
            return found
        part = slice(self.starts[place], self.starts[place + 1])
        item, weight = self.item[part], self.weight[part]
        likely = found + self.share
        likely[at] = -np.inf
        likely = np.exp(likely - likely.max())
        counts = np.full(found.size, self.prior)
        counts[item] += weight * likely.sum() / np.maximum(likely[item], 1e-20)
        told: FloatArray = found + np.log(counts / (self.prior + weight.sum()))
        return told
