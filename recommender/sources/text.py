"""Text: what an item that nobody could use yet is like, by its title and attributes.

An item that came after training has no uses to go by. The known items whose
texts are most like its own stand in for it, its *kin*: each with the weight
that kernel ridge regression gives it, so that what common words say twice
counts once. What a source predicts of the item is then what it says of the
kin, weighted: the prediction of a ridge regression from texts to scores, made
near the item alone. That needs no matrix of all items, and a few hundred
microseconds for each new one, also in a large catalogue.
Saunders, Gammerman & Vovk, "Ridge regression learning algorithm in dual variables", 1998;
Gramacy & Apley, "Local Gaussian process approximation for large computer experiments", 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from recommender.history import Kin, Query
from recommender.kept import Kept
from recommender.sources.base import Scores
from recommender.sources.usage import Places, usage
from recommender.types import FloatArray, IntArray

Indices = npt.NDArray[np.int32]

KIN = 64
"""Known items that stand in for a new one, at most."""

RIDGE = 1.0
"""How much of an item's uses its text does not tell, against what it tells, for texts of length 1."""

TOKENS = 256
"""The rarest tokens of an item that are looked up."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Text:
    """Which known items have which tokens, and how much each says: the rarer, the more (inverse document frequency).

    key: shape (t,), the tokens' codes, ascending. weight: shape (t,), > 0. item: the known items that have token t are
    item[starts[t]:starts[t + 1]], ascending; starts: shape (t + 1,). norm: shape (known,), the length of each item's
    vector of weights; 0 where it has none.
    """

    key: IntArray
    weight: FloatArray
    starts: IntArray
    item: Places
    norm: FloatArray

    name: ClassVar[str] = "text"
    reason: ClassVar[str] = "like what you use"

    def __post_init__(self) -> None:
        """ValueError where the parts do not fit: compiled code follows them without a look."""
        fits = self.key.size == self.weight.size == self.starts.size - 1
        fits &= self.weight.dtype == self.norm.dtype == np.float32 and self.starts.dtype == np.int64
        if not fits or (self.item.size and int(self.item.max()) >= self.norm.size):
            raise ValueError("the tokens of the texts do not fit their items")

    @property
    def columns(self) -> tuple[str, ...]:
        return ("text",)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        """How much of its kin the customer used, for each item that came after training; 0 for all others."""
        kin = query.items.kin
        if kin is None:
            return _SILENT
        values = np.zeros((1, query.items.codes.size), np.float32)
        values[0, query.items.known :] = uses_of(kin, query)
        return Scores(values, None, _ZERO)

    def kin(self, tokens: IntArray) -> tuple[IntArray, FloatArray]:
        """The known items that stand in for one with these tokens, at most KIN: their positions and weights, > 0."""
        from recommender.kernels.described import kin

        found = _found(self.key, tokens)
        found = np.sort(found[np.argsort(-self.weight[found], kind="stable")[:TOKENS]])
        return kin(self.weight, self.starts, *_turned(self), self.norm, found, KIN, np.float32(RIDGE))


def uses_of(kin: Kin, query: Query) -> FloatArray:
    """Shape (late,): how much of each late item's kin the customer used."""
    uses = np.zeros(query.items.known, np.float32)
    rows, weight = usage(query, query.items.known)
    uses[rows] = weight
    total: FloatArray = (uses[kin.at] * kin.weight).sum(axis=1)
    return total


def _found(ascending: IntArray, codes: IntArray) -> IntArray:
    """Where those of the codes that are there stand."""
    if ascending.size == 0:
        return np.zeros(0, np.int64)
    at = np.minimum(np.searchsorted(ascending, codes), ascending.size - 1)
    return np.unique(at[ascending[at] == codes])


def _turn(text: Text) -> tuple[Indices, IntArray, Indices]:
    """`text.item`; where each known item's tokens begin; the tokens."""
    from recommender.kernels.described import turned

    item = np.asarray(text.item, np.int32)
    return item, *turned(text.starts, item, text.norm.size)


_turned = Kept(_turn)
"""What is looked up for new items; made when the first one comes."""


_ZERO = np.zeros(1, np.float32)
_SILENT = Scores(np.zeros((1, 0), np.float32), np.zeros(0, np.int64), _ZERO)
