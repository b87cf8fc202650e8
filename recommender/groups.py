"""Items grouped by what a rule asks of them, so that it is tried once for each group and not for each item.

Items of a kind share few prices, categories and windows of time. The groups
follow the catalogue: only items that changed are looked at again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender.history import Items
from recommender.rules import Values
from recommender.shelf import Shelf
from recommender.stores.base import Item
from recommender.types import IntArray

MOST_EMPTY = 1000
"""Groups that may be left behind by items that changed."""

FindEntry = Callable[[int], Item | None]
"""From an item's code to the catalogue's entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of one shelf. group: shape (n,), each item's. values: by group, what a rule can ask of its items.

    index: the groups by what tells them apart. names: what is asked.
    """

    shelf: Shelf
    names: tuple[str, ...]
    group: IntArray
    values: list[Values]
    index: dict[object, int]

    @classmethod
    def of(cls, shelf: Shelf, names: Sequence[str], find: FindEntry, before: "Groups | None" = None) -> "Groups":
        """The groups of a shelf. before: those of an earlier one, which is gone on from where that can be."""
        changed = None if before is None or before.crowded else shelf.changed_since(before.shelf)
        if before is None or changed is None:
            new = cls(shelf, tuple(names), np.zeros(shelf.items.codes.size, np.int64), [], {})
            new._look(range(shelf.items.codes.size), find)
            return new
        group = _carried(before.group, before.shelf.items, shelf.items)
        new = cls(shelf, before.names, group, before.values, before.index)
        at = shelf.items.positions(np.fromiter(changed, np.int64, len(changed)))
        new._look(np.union1d(at[at >= 0], np.flatnonzero(group < 0)).tolist(), find)
        return new

    @property
    def crowded(self) -> bool:
        """Whether most groups must be those of items that changed or went since."""
        return len(self.values) > MOST_EMPTY + 2 * self.group.size

    def _look(self, positions: Iterable[int], find: FindEntry) -> None:
        codes = self.shelf.items.codes
        for at in positions:
            values = values_of(find(int(codes[at])), self.names)
            key = _key(values, self.names)
            found = self.index.get(key)
            if found is None:
                found = self.index[key] = len(self.values)
                self.values.append(values)
            self.group[at] = found


def _key(values: Values, names: Sequence[str]) -> object:
    asked = [values.get(name) for name in names]
    return repr(asked)  # True, 1 and 1.0 are told apart, and lists have no hash


def _carried(group: IntArray, before: Items, now: Items) -> IntArray:
    """The groups of the items that were there before, -1 of all others."""
    carried = np.full(now.codes.size, -1)
    carried[: now.known] = group[: before.known]
    at = before.positions(now.codes[now.known :])
    carried[now.known :][at >= 0] = group[at[at >= 0]]
    return carried


def values_of(item: Item | None, names: Sequence[str]) -> dict[str, Any]:
    """What a rule can ask of an item by these names: its attributes, and its `id` and `title`."""
    if item is None:
        return {}
    attributes, own = item.attributes or {}, {"id": item.id, "title": item.title}
    asked = {name: own[name] if name in own else attributes.get(name) for name in names}
    return {name: value for name, value in asked.items() if value is not None}
