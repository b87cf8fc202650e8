"""Why an item stands where it stands in a placement, or why it does not: what is told is tried out.

Each rule is taken away to see what it did, each source and the customer's own events to see what they were worth.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from recommender.causes import cause_of
from recommender.eligible import Boosts
from recommender.page import Explanation, Note, SlotRequest
from recommender.places import Place
from recommender.question import Question
from recommender.settings import MOST_BOOST
from recommender.sources.popularity import Popularity
from recommender.types import IntArray, codes64, instant
from recommender.words import POPULAR, why

STEPS = 12
"""Halvings of the range in which a boost is looked for."""


def explain(question: Question, place: Place, item: str) -> Explanation:
    """Why this item, or why not, for a page of this place alone."""
    ranking = question.ranking(place)
    found = ranking.shelf.items.positions(codes64([item]))
    if found[0] < 0:
        other = question.means.catalogue.entry(item)
        kind = place.settings.kind
        why_not = f"it is of kind {other.kind}, the placement of kind {kind}" if other else "it is not known"
        return Explanation(item, place.name, None, 0.0, "unknown", {}, why_not)
    at = int(found[0])
    slot = SlotRequest(place.name, max(place.settings.size, question.last(place).size))
    here = _Standing(question, place, slot)
    rank, (row, cause) = here.rank(at), cause_of(ranking, question.profile(place), at) or (None, None)
    return Explanation(
        item,
        place.name,
        rank,
        float(ranking.score[at]),
        Popularity.reason if row is None else ranking.model.sources[row].reason,
        {name: round(float(part[0]), 4) for name, part in ranking.parts(found).items()},
        None if rank else "; ".join(_obstacles(question, place, at)),
        _moved(question, place, slot, found)[0],
        POPULAR if row is None else why(ranking, row, at, place.settings.kind, question.means.catalogue.title),
        tuple(one.name for one, so in zip(ranking.model.sources, ranking.proposed(at), strict=True) if so),
        cause,
        _needed(question, place, slot, at) if rank and rank > here.page.size else None,
        None if rank else here.otherwise(at),
    )


def notes(question: Question, place: Place, slot: SlotRequest, page: IntArray) -> list[Note]:
    """What is told of each item of a slot, asked before the slot is taken."""
    if page.size == 0:
        return []
    ranking, title, kind = question.ranking(place), question.means.catalogue.title, place.settings.kind
    parts, lost = ranking.parts(page), ranking.losses(page)
    rows = zip(lost.argmax(axis=0).tolist(), ranking.missed(lost).tolist(), page.tolist(), strict=True)
    words = [why(ranking, row, at, kind, title) if missed else POPULAR for row, missed, at in rows]
    told = [{name: round(float(part[n]), 4) for name, part in parts.items()} for n in range(page.size)]
    return [Note(*note) for note in zip(told, _moved(question, place, slot, page), words, strict=True)]


class _Standing:
    """How the items stand in a slot: first the page as it is shown, then all others that may be, by their appeal."""

    def __init__(self, question: Question, place: Place, slot: SlotRequest) -> None:
        self.page = question.page(place, slot)
        self._offer = question.offer(place, slot)[0]

    def rank(self, at: int) -> int | None:
        """From 1; None for what is not shown."""
        shown = np.flatnonzero(self.page == at)
        if shown.size:
            return int(shown[0]) + 1
        if not self._offer.open[at]:
            return None
        open_, appeal = self._offer.open, self._offer.appeal
        better = open_ & (appeal > appeal[at])
        better[:at] |= open_[:at] & (appeal[:at] == appeal[at])
        better[self.page] = False
        return int(self.page.size + better.sum()) + 1

    def otherwise(self, at: int) -> int:
        """The rank by appeal, were this one among those that may be shown."""
        return int((self._offer.open & (self._offer.appeal > self._offer.appeal[at])).sum()) + 1


def _moved(question: Question, place: Place, slot: SlotRequest, positions: IntArray) -> list[tuple[str, ...]]:
    """For each position, the rules without which it would stand elsewhere."""
    here = _Standing(question, place, slot)
    others = [(name, _Standing(question, other, slot)) for name, other in _without(place)]
    ranks = [(here.rank(at), at) for at in positions.tolist()]
    return [tuple(name for name, there in others if rank is not None and there.rank(at) != rank) for rank, at in ranks]


def _without(place: Place) -> Iterator[tuple[str, Place]]:
    """The place without each of the rules that may move an item."""
    settings = place.settings
    if place.pins:
        yield "pins", replace(place, pins=())
    if place.boosts:
        for boost, (rule, _) in zip(settings.boosts, place.boosts.parts, strict=True):
            left = [part for part in place.boosts.parts if part[0] is not rule]
            yield f"boost: {boost.when}", replace(place, boosts=Boosts(left) if left else None)
    if place.fallback:
        yield "fallback", replace(place, fallback=())
    for name in ("rotate", "diversity", "stability"):
        if getattr(settings, name):
            yield name, replace(place, settings=settings.model_copy(update={name: 0}))


def _needed(question: Question, place: Place, slot: SlotRequest, at: int) -> float | None:
    """The least boost, to a few per cent, that puts a position on the page; None where the largest does not."""

    def enough(factor: float) -> bool:
        return bool((question.page(replace(place, raised=(at, factor)), slot) == at).any())

    low, high = 1.0, float(MOST_BOOST)
    if not enough(high):
        return None
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(f"{high:.3g}") if enough(float(f"{high:.3g}")) else high


def _obstacles(question: Question, place: Place, at: int) -> Iterator[str]:
    """Everything that keeps a position out."""
    ranking, find = question.ranking(place), question.means.catalogue.entry_of
    shelf, context = ranking.shelf, question.request.context
    if not shelf.available[at]:
        yield "it is not available"
    elif shelf.opens is not None and shelf.closes is not None:
        if context.now < shelf.opens[at]:
            yield f"it is available from {instant(int(shelf.opens[at]))} on"
        elif context.now >= shelf.closes[at]:
            yield f"it was available until {instant(int(shelf.closes[at]))}"
    if place.filter and not place.filter.mask(shelf, find, context)[at]:
        yield f"the placement's filter leaves it out: {place.filter.rule.text}"
    history = ranking.query.history
    if place.settings.hide_used and (at in history.item or at in history.older_item):
        yield "it was used"
    shown = question.impressions(place)
    if place.settings.cap and shown and at in place.capped(ranking, shown):
        yield f"it was shown {place.settings.cap} times within {place.settings.shown_days:g} days"
