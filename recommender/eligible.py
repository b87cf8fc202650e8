"""Which items a rule is true of, and what a placement's boosts add up to: looked up, not worked out at each answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np

from recommender.catalogue import Shelf
from recommender.history import Context
from recommender.rules import Rule, Values, key_of
from recommender.stores.base import Item
from recommender.types import MINUTE, BoolArray, FloatArray

FindEntry = Callable[[str], Item | None]

MOST_SITUATIONS = 32
"""Answers of one rule that are kept; a context that is new to it costs a look at every item."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """A rule's answers for one shelf and minute, by what it tells apart of contexts."""

    shelf: Shelf | None
    minute: int
    masks: dict[tuple[object, ...], BoolArray]


@dataclass(slots=True, eq=False)
class Eligible:
    """One rule over one kind's items; in any thread.

    It is worked out once for each context that it tells apart; a rule that asks for `now`, anew each minute.
    """

    rule: Rule
    _answers: _Answers = field(default_factory=lambda: _Answers(None, 0, {}))

    def mask(self, shelf: Shelf, entry: FindEntry, context: Context) -> BoolArray:
        """Shape (n,): what the rule is true of, of a shelf. Of the time, whole minutes count."""
        minute = context.now // MINUTE if self.rule.timed else 0
        answers = self._answers
        if shelf is not answers.shelf or minute != answers.minute or len(answers.masks) > MOST_SITUATIONS:
            answers = self._answers = _Answers(shelf, minute, {})
        said = {key_of(name): context.said[name] for name in self.rule.context & context.said.keys()}
        situation = self.rule.situation(said)
        mask = answers.masks.get(situation)
        if mask is None:
            mask = answers.masks[situation] = self._look(shelf, entry, said, minute * MINUTE)
        return mask

    def _look(self, shelf: Shelf, entry: FindEntry, said: Values, now: int) -> BoolArray:
        unknown = self.rule.holds(said, now)
        found = (entry(id_) for id_ in shelf.items.ids)
        passes = (self._passes(item, said, now, unknown) for item in found)
        return np.fromiter(passes, np.bool_, shelf.items.codes.size)

    def _passes(self, item: Item | None, said: Values, now: int, unknown: bool) -> bool:
        values = values_of(item)
        return self.rule.holds({**values, **said}, now) if self.rule.names & values.keys() else unknown


@dataclass(slots=True, eq=False)
class Boosts:
    """What a placement's boosts add to the logarithm of each item's chance. parts: rules and factors."""

    parts: Sequence[tuple[Eligible, float]]
    _last: tuple[list[BoolArray], FloatArray] = field(default_factory=lambda: ([], np.zeros(0, np.float32)))

    def lift(self, shelf: Shelf, entry: FindEntry, context: Context) -> FloatArray:
        """Shape (n,): the logarithms of the factors, added up."""
        masks = [rule.mask(shelf, entry, context) for rule, _ in self.parts]
        before, lift = self._last
        if len(masks) != len(before) or any(a is not b for a, b in zip(masks, before, strict=True)):
            lift = np.zeros(shelf.items.codes.size, np.float32)
            for mask, (_, factor) in zip(masks, self.parts, strict=True):
                lift[mask] += np.float32(log(factor))
            self._last = masks, lift
        return lift


def values_of(item: Item | None) -> Values:
    """What a rule can ask of an item: its attributes, and its `id` and `title`."""
    if item is None:
        return {}
    return {**(item.attributes or {}), "id": item.id, **({"title": item.title} if item.title else {})}
