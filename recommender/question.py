"""One customer's question while it is answered: what the store said, and what is scored and taken so far."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from recommender.arrange import Offer, fill
from recommender.catalogue import Catalogue, Changes
from recommender.model import KindModel, Model
from recommender.page import Request, SlotRequest
from recommender.places import Impressions, Place
from recommender.profile import EMPTY, Profile
from recommender.ranking import Ranking, rank
from recommender.shown import Shown
from recommender.types import IMPRESSION, BoolArray, IntArray, Kind, codes64

_NONE = np.zeros(0, np.int64)
NOTHING_SHOWN = (_NONE, _NONE)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """All that the store says for one question.

    who: every identity of the customer, where it matters. last: by calm placement, the codes of what was shown there
    last. implied: the items that answers showed, codes and milliseconds UTC, where impressions matter.
    personal: whether they want anything known of them to count; else nothing of it was read.
    """

    changes: Changes | None
    profile: Profile
    who: Sequence[str]
    last: Mapping[str, IntArray]
    implied: tuple[IntArray, IntArray]
    personal: bool = True


UNREAD = Read(None, EMPTY, (), {}, NOTHING_SHOWN)
"""Where the store did not answer: nothing is known of the customer, and the catalogue is the one at hand."""


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """What questions are answered with. popular: the last resort. fault: see Recommender."""

    model: Model
    popular: Mapping[Kind, KindModel]
    catalogue: Catalogue
    shown: Shown
    fault: Callable[[Exception], None] | None


@dataclass(slots=True, eq=False)
class Question:
    """until: `time.monotonic` from which on popularity answers for what is not ranked yet."""

    means: Means
    read: Read
    request: Request
    until: float = inf
    _rankings: dict[tuple[Kind, bool], Ranking] = field(default_factory=dict)
    _impressions: dict[Kind, Impressions] = field(default_factory=dict)
    _taken: dict[Kind, list[IntArray]] = field(default_factory=dict)
    candidates: int = 0
    """How many items the slot that was filled last could show."""

    def knows(self, place: Place) -> bool:
        """Whether a place is filled for this customer, rather than for anybody."""
        return self.read.personal and place.settings.personalise

    def ranking(self, place: Place) -> Ranking:
        """The items of a place's kind, scored."""
        return self.ranked(place.settings.kind, self.knows(place))

    def ranked(self, kind: Kind, personal: bool = True) -> Ranking:
        """The items of a kind, scored; by popularity where it is late, a source fails, or nothing was read."""
        found = self._rankings.get((kind, personal))
        if found is None:
            found = self._rankings[kind, personal] = self._rank(kind, self.read.profile if personal else EMPTY)
        return found

    def _rank(self, kind: Kind, profile: Profile) -> Ranking:
        shelf, context = self.means.catalogue.shelf(kind), self.request.context
        if self.read is not UNREAD and time.monotonic() < self.until:
            try:
                return rank(shelf, self.means.model.kinds[kind], profile, context)
            except Exception as error:  # a source may be a site's own: whatever it does, the page is filled
                if self.means.fault is None:
                    raise
                self.means.fault(error)
        return rank(shelf, self.means.popular[kind], profile, context)

    def profile(self, place: Place) -> Profile:
        """What is known of the customer for a place."""
        return self.read.profile if self.knows(place) else EMPTY

    def is_late(self, place: Place) -> bool:
        """Whether popularity alone filled a place."""
        return self.ranking(place).model is self.means.popular[place.settings.kind]

    def impressions(self, place: Place) -> Impressions | None:
        """What the customer was shown of a place's kind, anywhere; None where that does not matter."""
        if not (place.counts and self.knows(place)):
            return None
        kind = place.settings.kind
        if kind not in self._impressions:
            events, (codes, times) = self.read.profile.events, self.read.implied
            reported = events.take(np.flatnonzero(events["type"] == IMPRESSION))
            at = self.ranking(place).shelf.items.positions(np.concatenate([reported["item"], codes]))
            self._impressions[kind] = Impressions(at[at >= 0], np.concatenate([reported["time"], times])[at >= 0])
        return self._impressions[kind]

    def offer(self, place: Place, slot: SlotRequest) -> tuple[Offer, BoolArray]:
        """What a place has to offer in a slot; and what of it may be pinned, whatever the customer did."""
        ranking, shown, find = self.ranking(place), self.impressions(place), self.means.catalogue.entry_of
        allowed = place.allowed(ranking, find)
        if slot.candidates is not None:
            wanted = np.zeros(allowed.size, np.bool_)
            wanted[_positions(ranking, slot.candidates)] = True
            allowed &= wanted
        allowed[_positions(ranking, (*slot.exclude, *slot.before))] = False
        if not place.settings.repeat:
            for page in self._taken.get(place.settings.kind, ()):
                allowed[page] = False
        open_ = place.personal(ranking, shown, allowed)
        return Offer(open_, place.appeal(ranking, find, shown)), allowed

    def take(self, place: Place, page: IntArray) -> None:
        """Leave the items of a page out of later slots."""
        if not place.settings.repeat:
            self._taken.setdefault(place.settings.kind, []).append(page)

    def page(self, place: Place, slot: SlotRequest) -> IntArray:
        """The positions to show in a slot, in order, after the slots before."""
        ranking, size = self.ranking(place), place.settings.size if slot.k is None else slot.k
        own, allowed = self.offer(place, slot)
        self.candidates = int(np.count_nonzero(own.open))
        more = [self.offer(other, slot)[0] for other in place.fallback]
        return fill(
            [own, *more],
            ranking.shelf.items,
            size,
            diversity=place.settings.diversity,
            stability=0 if slot.before else place.settings.stability,
            pins=self._pins(place, allowed, len(slot.before), size),
            last=None if slot.before else self.last(place),
        )

    def last(self, place: Place) -> IntArray:
        """What a calm place showed this customer last; -1 for what is not known any more."""
        codes = self.read.last.get(place.name, _NONE) if place.settings.stability else _NONE
        return self.ranking(place).shelf.items.positions(codes) if codes.size else codes

    def keep(self, place: Place, slot: SlotRequest, page: IntArray, id_: str) -> None:
        """Remember what an answer showed in a slot, where a later one goes by it. id_: the answer's."""
        implied = place.settings.implied and self.knows(place)
        if implied or (place.name in self.read.last and not slot.before):
            codes, shown = self.ranking(place).shelf.items.codes[page], self.means.shown
            who = self.read.who or (self.request.customer,)
            kept = shown.page(who, id_, place.name, self.request.context.now, codes, first=not slot.before)
            shown.keep(self.request.customer, kept, all_=implied)

    def _pins(self, place: Place, allowed: BoolArray, before: int, size: int) -> list[tuple[int, int]]:
        """Places from 0 and positions of what is pinned to this part of the list and may be shown."""
        pins = [(at - before, item) for at, item in place.pins if 0 <= at - before < size]
        if not pins:
            return []
        positions = self.ranking(place).shelf.items.positions(codes64(item for _, item in pins)).tolist()
        return [(at, where) for (at, _), where in zip(pins, positions, strict=True) if where >= 0 and allowed[where]]


def _positions(ranking: Ranking, ids: Sequence[str]) -> IntArray:
    """Where those of these items stand that are there."""
    if not ids:
        return _NONE
    found = ranking.shelf.items.positions(codes64(ids))
    return found[found >= 0]
