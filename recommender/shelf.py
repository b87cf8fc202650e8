"""One kind's items as they can be ranked at one moment, and the windows of time in which each may be shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from recommender.history import Items
from recommender.rules import instant_in
from recommender.stores.base import Item
from recommender.types import BoolArray, IntArray

FROM, UNTIL = "available_from", "available_until"
"""The attributes that say when an item may be shown; a time without a zone is UTC."""

ALWAYS = (-(2**63), 2**63 - 1)
NEVER = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """One kind's items and which of them may be shown. available: shape (n,).

    opens, closes: shape (n,), milliseconds UTC, the window of each; None where no item has one.
    line, version: which of the shelves of one kind in one catalogue it is. changes: the newest versions, and the codes
    of what each changed.
    """

    items: Items
    available: BoolArray
    opens: IntArray | None = None
    closes: IntArray | None = None
    line: object = None
    version: int = 0
    changes: Sequence[tuple[int, frozenset[int]]] = ()

    def changed_since(self, before: "Shelf") -> set[int] | None:
        """The codes of what changed since an earlier shelf of the same line; None where that is not known."""
        if self.line is not before.line or before.version < self.version - len(self.changes):
            return None
        return set().union(*(codes for version, codes in self.changes if version > before.version))

    def open(self, now: int) -> BoolArray:
        """Shape (n,), to be written on: what may be shown at an instant."""
        if self.opens is None or self.closes is None:
            return self.available.copy()
        return self.available & (self.opens <= now) & (now < self.closes)


def window_of(item: Item) -> tuple[int, int]:
    """From when until when an item may be shown, milliseconds UTC; NEVER where it says so in no form of time."""
    attributes = item.attributes or {}
    given = [attributes.get(name) for name in (FROM, UNTIL)]
    read = [usual if one is None else instant_in(one) for one, usual in zip(given, ALWAYS, strict=True)]
    start, end = read
    return NEVER if start is None or end is None else (start, end)
