"""The seam of the candidate sources: arrays in, scores out.

A source is a frozen dataclass whose fields are named arrays; nothing else of
it is published, but for the copy of the field that it names as `scanned`, if
it does (scan.py). It scores items for questions, many at a time; one question
is a list of one, so that evaluation and serving take the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from recommender.history import Query
from recommender.scan import copy_of, take_copy
from recommender.types import FloatArray, IntArray

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one source says for one question; higher is better, in units of the source's own.

    values: shape (columns, m): one row per column of the source.
    at: shape (m,), the positions that `values` speak of, ascending; None where m covers all items.
    floor: shape (columns,), the score of every item that is not in `at`.
    known: whether the source can say nothing of items that came after training; what it says of their kin then counts.
    """

    values: FloatArray
    at: IntArray | None
    floor: FloatArray
    known: bool = False

    def dense(self, size: int) -> FloatArray:
        """Shape (columns, size): the scores of all items."""
        if self.at is None:
            return self.values
        full = np.repeat(self.floor[:, None], size, axis=1)
        full[:, self.at] = self.values
        return full


class Source(Protocol):
    """Scores items from what a customer did and from the context."""

    name: ClassVar[str]
    reason: ClassVar[str]
    """The word that an answer gives where this source spoke loudest."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the score's rows; the ranker learns one weight for each."""

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        """One Scores per question. All questions are asked of the same `items`."""


S = TypeVar("S", bound=Source)


def to_arrays(source: Source) -> Arrays:
    """The fields of a source by name, as arrays; and the copy of the one that is scanned, where it is long."""
    arrays = {f.name: np.asarray(getattr(source, f.name)) for f in fields(source)}  # type: ignore[arg-type]  # a Protocol
    scanned = getattr(source, "scanned", None)
    return arrays | {f"{scanned}_{name}": copy for name, copy in (copy_of(arrays[scanned]) if scanned else {}).items()}


def from_arrays(kind: type[S], arrays: Arrays) -> S:
    """The source that `to_arrays` took apart. TypeError where a name is wrong, ValueError where a copy does not fit."""
    scanned = getattr(kind, "scanned", None)
    copy = {name: arrays[name] for name in (f"{scanned}_codes", f"{scanned}_unit") if name in arrays}
    source = kind(**{name: array for name, array in arrays.items() if name not in copy})
    if copy:
        take_copy(getattr(source, str(scanned)), *copy.values())
    return source
