"""Why an item stands where it stands in a placement, or why it does not: each rule is taken away to see what it did."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from recommender.page import Explanation, SlotRequest
from recommender.places import Place
from recommender.question import Question
from recommender.types import codes64, instant


def explain(question: Question, place: Place, item: str) -> Explanation:
    """Why this item, or why not, for a page of this place alone."""
    ranking = question.ranking(place)
    at = ranking.shelf.items.positions(codes64([item]))
    if at[0] < 0:
        other = question.means.catalogue.entry(item)
        kind = place.settings.kind
        why_not = f"it is of kind {other.kind}, the placement of kind {kind}" if other else "it is not known"
        return Explanation(item, place.name, None, 0.0, "unknown", {}, why_not)
    rank = _rank(question, place, int(at[0]))
    parts = {name: round(float(part[0]), 4) for name, part in ranking.parts(at).items()}
    hidden = None if rank else "; ".join(_obstacles(question, place, int(at[0])))
    moved = tuple(name for name, other in _without(place) if _rank(question, other, int(at[0])) != rank)
    score, reason = float(ranking.score[at[0]]), ranking.reasons(at)[0]
    return Explanation(item, place.name, rank, score, reason, parts, hidden, moved if rank else ())


def _rank(question: Question, place: Place, at: int) -> int | None:
    """The rank of a position: first the page as it is shown, then all others that may be, by what orders them."""
    slot = SlotRequest(place.name, max(place.settings.size, question.last(place).size))
    page = question.page(place, slot)
    shown = np.flatnonzero(page == at)
    if shown.size:
        return int(shown[0]) + 1
    offer, _ = question.offer(place, slot)
    if not offer.open[at]:
        return None
    better = offer.open & (offer.appeal > offer.appeal[at])
    better[:at] |= offer.open[:at] & (offer.appeal[:at] == offer.appeal[at])
    better[page] = False
    return int(page.size + better.sum()) + 1


def _without(place: Place) -> Iterator[tuple[str, Place]]:
    """The place without each of the rules that may move an item."""
    settings = place.settings
    if place.pins:
        yield "pins", replace(place, pins=())
    if place.boosts:
        for boost, (rule, _) in zip(settings.boosts, place.boosts.parts, strict=True):
            left = [part for part in place.boosts.parts if part[0] is not rule]
            yield f"boost: {boost.when}", replace(place, boosts=type(place.boosts)(left))
    if place.fallback:
        yield "fallback", replace(place, fallback=())
    for name in ("rotate", "diversity", "stability"):
        if getattr(settings, name):
            yield name, replace(place, settings=settings.model_copy(update={name: 0}))


def _obstacles(question: Question, place: Place, at: int) -> Iterator[str]:
    """Everything that keeps a position out."""
    ranking, entry = question.ranking(place), question.means.catalogue.entry
    shelf, now = ranking.shelf, question.request.context.now
    if not shelf.available[at]:
        yield "it is not available"
    elif shelf.opens is not None and shelf.closes is not None:
        if now < shelf.opens[at]:
            yield f"it is available from {instant(int(shelf.opens[at]))} on"
        elif now >= shelf.closes[at]:
            yield f"it was available until {instant(int(shelf.closes[at]))}"
    if place.filter and not place.filter.mask(shelf, entry, question.request.context)[at]:
        yield f"the placement's filter leaves it out: {place.filter.rule.text}"
    history = ranking.query.history
    if place.settings.hide_used and (at in history.item or at in history.older_item):
        yield "it was used"
    shown = question.impressions(place)
    if place.settings.cap and shown and at in place.capped(ranking, shown):
        yield f"it was shown {place.settings.cap} times within {place.settings.shown_days:g} days"
