"""Text: what an item that nobody could use yet is like, by its title and attributes.

An item that came after training has no uses to go by. The known items whose
texts are most like its own stand in for it, its *kin*: each with the weight
that kernel ridge regression gives it, so that what common words say twice
counts once. What a source predicts of the item is then what it says of the
kin, weighted: the prediction of a ridge regression from texts to scores, made
near the item alone. That needs no matrix of all items, and a few hundred
microseconds for each new one, whatever the catalogue's size.
Saunders, Gammerman & Vovk, "Ridge regression learning algorithm in dual variables", 1998;
Gramacy & Apley, "Local Gaussian process approximation for large computer experiments", 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from recommender.history import Kin, Query
from recommender.sources.base import Scores
from recommender.sources.usage import Matrix, Places, usage
from recommender.top import best
from recommender.types import FloatArray, IntArray

KIN = 64
"""Known items that stand in for a new one, at most."""

RIDGE = 1.0
"""How much of an item's uses its text does not tell, against what it tells, for texts of length 1."""

TOKENS = 256
"""The rarest tokens of an item that are looked up."""


@dataclass(frozen=True, slots=True, eq=False)
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
        rows = _rows(self)
        found = _found(self.key, tokens)
        found = np.sort(found[np.argsort(-self.weight[found], kind="stable")[:TOKENS]])
        weight = self.weight[found] / max(float(np.linalg.norm(self.weight[found])), 1e-12)
        alike = np.zeros(self.norm.size, np.float32)
        for token, factor in zip(found.tolist(), (weight * self.weight[found]).tolist(), strict=True):
            alike[self.item[self.starts[token] : self.starts[token + 1]]] += factor
        alike = np.divide(alike, self.norm, out=alike, where=self.norm > 0)
        near = np.sort(best(np.where(alike > 0, alike, -np.inf), KIN))
        texts = rows[near]
        among = np.asarray((texts @ texts.T).toarray(), np.float32)
        solved = np.linalg.solve(among + RIDGE * np.eye(near.size, dtype=np.float32), alike[near])
        return near[solved > 0], solved[solved > 0].astype(np.float32)


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


@lru_cache(maxsize=8)  # immutable, and hashed by identity
def _rows(text: Text) -> Matrix:
    """Known items x tokens, rows of length 1."""
    from scipy import sparse

    columns = sparse.csc_array(
        (np.repeat(text.weight, np.diff(text.starts)), text.item, text.starts), shape=(text.norm.size, text.key.size)
    )
    inverse = np.divide(1, text.norm, out=np.zeros_like(text.norm), where=text.norm > 0)
    rows: Matrix = sparse.csr_array(sparse.diags_array(inverse) @ columns.tocsr())
    return rows


_ZERO = np.zeros(1, np.float32)
_SILENT = Scores(np.zeros((1, 0), np.float32), np.zeros(0, np.int64), _ZERO)
