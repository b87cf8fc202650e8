"""Which items a placement's filter lets through, looked up rather than worked out at each answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from recommender.catalogue import Shelf
from recommender.rules import Rule, Values
from recommender.stores.base import Item
from recommender.types import MINUTE, BoolArray

FindEntry = Callable[[str], Item | None]


@dataclass(slots=True, eq=False)
class Eligible:
    """One rule over one kind's items. A rule that asks for `now` is worked out anew each minute, any other once."""

    rule: Rule
    _shelf: Shelf | None = None
    _minute: int = 0
    _mask: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))

    def mask(self, shelf: Shelf, entry: FindEntry, now: int) -> BoolArray:
        """Shape (n,): what the filter lets through of a shelf. now: milliseconds UTC, whole minutes of which count."""
        minute = now // MINUTE if self.rule.timed else 0
        if shelf is not self._shelf or minute != self._minute:
            unknown = self.rule.holds({}, minute * MINUTE)
            found = (entry(id_) for id_ in shelf.items.ids)
            passes = (self._passes(item, minute * MINUTE, unknown) for item in found)
            self._mask = np.fromiter(passes, np.bool_, shelf.items.codes.size)
            self._shelf, self._minute = shelf, minute
        return self._mask

    def _passes(self, item: Item | None, now: int, unknown: bool) -> bool:
        values = values_of(item)
        return self.rule.holds(values, now) if self.rule.names & values.keys() else unknown


def values_of(item: Item | None) -> Values:
    """What a rule can ask of an item: its attributes, and its `id` and `title`."""
    if item is None:
        return {}
    return {**(item.attributes or {}), "id": item.id, **({"title": item.title} if item.title else {})}
