"""Which items a rule is true of, and what a placement's boosts add up to: looked up, not worked out at each answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from threading import Lock

import numpy as np

from recommender.groups import FindEntry, Groups
from recommender.history import Context
from recommender.rules import Rule, key_of
from recommender.shelf import Shelf
from recommender.types import MINUTE, BoolArray, FloatArray

MOST_SITUATIONS = 32
"""Answers of one rule that are kept; a context that is new to it costs a look at every group."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """A rule's answers for one shelf and minute, by what it tells apart of contexts."""

    groups: Groups
    minute: int
    masks: dict[tuple[object, ...], BoolArray]


@dataclass(slots=True, eq=False)
class Eligible:
    """One rule over one kind's items; in any thread.

    It is worked out once for each context that it tells apart; a rule that asks for `now`, anew each minute.
    """

    rule: Rule
    _answers: _Answers | None = None
    _turn: Lock = field(default_factory=Lock)

    def mask(self, shelf: Shelf, find: FindEntry, context: Context) -> BoolArray:
        """Shape (n,): what the rule is true of, of a shelf. Of the time, whole minutes count."""
        minute = context.now // MINUTE if self.rule.timed else 0
        answers = self._answers
        if answers is None or shelf is not answers.groups.shelf:
            with self._turn:
                groups = Groups.of(shelf, sorted(self.rule.names), find, answers.groups if answers else None)
            answers = self._answers = _Answers(groups, minute, {})
        elif minute != answers.minute or len(answers.masks) > MOST_SITUATIONS:
            answers = self._answers = _Answers(answers.groups, minute, {})
        said = {key_of(name): context.said[name] for name in self.rule.context & context.said.keys()}
        situation = self.rule.situation(said)
        mask = answers.masks.get(situation)
        if mask is None:
            holds = [self.rule.holds({**values, **said}, minute * MINUTE) for values in answers.groups.values]
            mask = answers.masks[situation] = np.array(holds, np.bool_)[answers.groups.group]
        return mask


@dataclass(slots=True, eq=False)
class Boosts:
    """What a placement's boosts add to the logarithm of each item's chance. parts: rules and factors."""

    parts: Sequence[tuple[Eligible, float]]
    _last: tuple[list[BoolArray], FloatArray] = field(default_factory=lambda: ([], np.zeros(0, np.float32)))

    def lift(self, shelf: Shelf, find: FindEntry, context: Context) -> FloatArray:
        """Shape (n,): the logarithms of the factors, added up."""
        masks = [rule.mask(shelf, find, context) for rule, _ in self.parts]
        before, lift = self._last
        if len(masks) != len(before) or any(a is not b for a, b in zip(masks, before, strict=True)):
            lift = np.zeros(shelf.items.codes.size, np.float32)
            for mask, (_, factor) in zip(masks, self.parts, strict=True):
                lift[mask] += np.float32(log(factor))
            self._last = masks, lift
        return lift
