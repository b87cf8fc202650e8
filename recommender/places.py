"""Placements made ready to fill: what may be shown in one, and in which order, as arrays over one kind's items."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log

import numpy as np

from recommender.catalogue import Catalogue
from recommender.eligible import Boosts, Eligible
from recommender.errors import NotFoundError
from recommender.groups import FindEntry
from recommender.history import Context
from recommender.ranking import Ranking
from recommender.rules import read_rule
from recommender.settings import Placement, Settings
from recommender.types import DAY, BoolArray, FloatArray, IntArray

LAP = np.float32(1000)
"""What a lap costs in logarithms of chances: more than any two scores differ by."""


@dataclass(frozen=True, slots=True, eq=False)
class Impressions:
    """What a customer was shown of one kind, reported or implied: positions and milliseconds UTC, shapes (s,), (s,)."""

    item: IntArray
    time: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One placement.

    fallback: the places whose items fill up what would stay empty. raised: a position, and a factor that its chance is
    multiplied by: what would be if.
    """

    name: str
    settings: Placement
    filter: Eligible | None
    boosts: Boosts | None
    pins: tuple[tuple[int, str], ...]
    fallback: "tuple[Place, ...]" = ()
    raised: tuple[int, float] | None = None

    @property
    def counts(self) -> bool:
        """Whether it matters what the customer was shown."""
        return bool(self.settings.cap or self.settings.rotate)

    def allowed(self, ranking: Ranking, find: FindEntry) -> BoolArray:
        """Shape (n,), to be written on: what may be shown there to anybody."""
        context = ranking.context
        mask = ranking.shelf.open(context.now)
        if self.filter:
            mask &= self.filter.mask(ranking.shelf, find, context)
        return mask

    def appeal(self, ranking: Ranking, find: FindEntry, shown: Impressions | None) -> FloatArray:
        """Shape (n,): what orders the items there; the logarithm of each one's chance, but for a common term."""
        appeal = ranking.blended
        if self.boosts:
            appeal = appeal + self.boosts.lift(ranking.shelf, find, ranking.context)
        if self.settings.rotate and shown and shown.item.size:
            item, laps = self._laps(ranking, shown)
            appeal = appeal.copy()
            appeal[item] -= LAP * laps
        if self.raised:
            at, factor = self.raised
            appeal = appeal.copy()
            appeal[at] += np.float32(log(factor))
        return appeal

    def _laps(self, ranking: Ranking, shown: Impressions) -> tuple[IntArray, FloatArray]:
        """Which items were shown often and not used since, and how often each went to the end for it."""
        history = ranking.query.history
        used = np.full(ranking.blended.size, np.iinfo(np.int64).min)
        used[history.item] = history.time
        vain = (shown.time > self._since(ranking)) & (shown.time > used[shown.item])
        item, times = np.unique(shown.item[vain], return_counts=True)
        return item, (times // self.settings.rotate).astype(np.float32)

    def personal(self, ranking: Ranking, shown: Impressions | None, allowed: BoolArray) -> BoolArray:
        """Shape (n,): what of it this customer may be shown: not what was used, or seen often enough."""
        if not (self.settings.hide_used or (self.settings.cap and shown)):
            return allowed
        left = allowed.copy()
        if self.settings.hide_used:
            left[ranking.query.history.item] = False
            left[ranking.query.history.older_item] = False
        if self.settings.cap and shown:
            left[self.capped(ranking, shown)] = False
        return left

    def capped(self, ranking: Ranking, shown: Impressions) -> IntArray:
        """The positions that were shown often enough."""
        recent = shown.item[shown.time > self._since(ranking)]
        if recent.size < self.settings.cap:
            return recent[:0]
        return np.flatnonzero(np.bincount(recent) >= self.settings.cap)

    def _since(self, ranking: Ranking) -> int:
        return ranking.context.now - int(self.settings.shown_days * DAY)


class Places:
    """All placements of a site's settings."""

    def __init__(self, settings: Settings) -> None:
        places = {name: _place(name, one) for name, one in settings.placements.items()}
        self._all = {name: _with_fallback(place, places) for name, place in places.items()}
        self.implied = frozenset(name for name, place in settings.placements.items() if place.implied)
        self.longest = max((place.settings.shown_days for place in places.values() if place.counts), default=0.0)

    def warm(self, catalogue: Catalogue) -> None:
        """Work out beforehand what the rules make of all items, for a call that says nothing of its context."""
        context = Context(time.time_ns() // 1_000_000)
        for place in self._all.values():
            shelf = catalogue.shelf(place.settings.kind)
            if place.filter:
                place.filter.mask(shelf, catalogue.entry_of, context)
            if place.boosts:
                place.boosts.lift(shelf, catalogue.entry_of, context)

    def find(self, name: str) -> Place:
        """The place of a name. Raises NotFoundError where the settings have none."""
        try:
            return self._all[name]
        except KeyError:
            known = ", ".join(sorted(self._all))
            raise NotFoundError(f"There is no such placement. The settings have: {known}.") from None


def _place(name: str, settings: Placement) -> Place:
    filter_ = Eligible(read_rule(settings.filter)) if settings.filter else None
    boosts = [(Eligible(read_rule(boost.when)), boost.by) for boost in settings.boosts]
    pins = sorted((position - 1, item) for item, position in settings.pins.items())
    return Place(name, settings, filter_, Boosts(boosts) if boosts else None, tuple(pins))


def _with_fallback(place: Place, places: Mapping[str, Place]) -> Place:
    if not place.settings.fallback:
        return place
    fallback = tuple(places[name] for name in place.settings.fallback)
    return replace(place, fallback=fallback)
