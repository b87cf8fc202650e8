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

    Networks with one hidden layer of h units beside the direct effects, and counts beside them where two items were
    used. direct: shape (networks, known, known), what a used item (row) adds to each other. inward: (known + SIZES + 1,
    networks * h), what each used item and their number add to the hidden units; outward: (networks * h, known), what
    these add to each item. shift: (networks, known), what is added for any set. mixture: (rows, networks), how much
    each network counts for one who used one item, two and so on, the last row for all who used more. steps:
    (networks,), for how many each was fitted.

    pair: shape (m,), first * known + second of pairs that customers used both of, the first below the second,
    ascending; what else these used is item[starts[i]:starts[i + 1]], each as often as weight says at the same place.
    prior: shape (), as how much of such weight the networks count. share: shape (known,), the log of each item's share
    of all uses.

    rectified: shape (), whether hidden units are 0 below 0; those of the first version's models are tangents of sums
    over the root of the number used. That version had one network and no counts. Of what is in the set, and to a
    stranger, it says nothing: 0, as of items that came after training.
    """

    direct: FloatArray
    inward: FloatArray
    outward: FloatArray
    shift: FloatArray
    steps: IntArray
    rectified: BoolArray = field(default_factory=lambda: np.array(False))
    mixture: FloatArray = field(default_factory=lambda: np.ones((1, 1), np.float32))
    pair: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    starts: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))
    item: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    weight: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    prior: FloatArray = field(default_factory=lambda: np.ones((), np.float32))
    share: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    name: ClassVar[str] = "sets"
    reason: ClassVar[str] = "used together"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("sets",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        values = np.zeros((1, query.items.codes.size), np.float32)
        known = self.outward.shape[1]
        at = used(query).at
        at = at[at < known]
        if at.size:
            found = self._networks(at, known)
            values[0, :known] = self._counted(at, found) if at.size == 2 else found
            values[0, at] = 0
        return Scores(values, None, np.zeros(1, np.float32), known=True)

    def _networks(self, at: IntArray, known: int) -> FloatArray:
        """Shape (known,): what the networks say, each as much as it counts."""
        size = known + int(np.searchsorted(SIZES, at.size, "right"))
        into = self.inward[at].sum(axis=0)
        if self.rectified:
            hidden = np.maximum(into + self.inward[size], 0)
        else:
            hidden = np.tanh(into / np.sqrt(np.float32(at.size)) + self.inward[size])
        counts = self.mixture[min(at.size, self.mixture.shape[0]) - 1]
        direct = self.direct.reshape(counts.size, known, known)[:, at].sum(axis=1)
        hidden = (counts[:, None] * hidden.reshape(counts.size, -1)).ravel()
        found: FloatArray = counts @ (self.shift.reshape(counts.size, known) + direct) + hidden @ self.outward
        return found

    def _counted(self, at: IntArray, found: FloatArray) -> FloatArray:
        """Shape (known,): the same where two items were used, and what else others used who used both."""
        key = at[0] * self.share.size + at[1]
        place = int(np.searchsorted(self.pair, key))
        if place == self.pair.size or self.pair[place] != key:
            return found
        part = slice(self.starts[place], self.starts[place + 1])
        item, weight = self.item[part], self.weight[part]
        likely = np.exp(found + self.share - found.max())
        likely[at] = 0
        counts = np.full(found.size, self.prior)
        counts[item] += weight * likely.sum() / np.maximum(likely[item], 1e-20)
        told: FloatArray = found + np.log(counts / (self.prior + weight.sum()))
        return told
