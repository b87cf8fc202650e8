"""The page call behind its routes: what it goes on from, the answer, what is told with it, and the record of it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from recommender.errors import NotFoundError, UsageError
from recommender.events import system_clock
from recommender.page import Note, Recommendation, SlotRequest
from recommender.page import Request as Question
from recommender.question import UNREAD, Read
from recommender.recommender import Recommender
from recommender.stores.base import first_id
from serving.ledger import RECORDED
from serving.schemas import RecommendCall
from serving.security import Caller
from serving.site import Site

MOST_EXPLAINED = 50
"""Items explained by one call, about a fifth of a millisecond each."""

LOOK_AGAIN = 0.2
"""Seconds between two looks for an answer that is not on the ledger yet."""

MOST_PAGES = 50
"""Answers that go on from one another."""


async def page(site: Site, call: RecommendCall, caller: Caller) -> Recommendation | dict[str, Any]:
    """The answer to a call; it is on the ledger then.

    Raises ForbiddenError, UsageError and NotFoundError before anything is done.
    """
    caller.act_for(call.customer)
    context = site.context(call.context.channel, call.context.at, call.context.model_extra)
    slots: Sequence[SlotRequest] = [
        SlotRequest(
            slot.placement, slot.k, tuple(slot.exclude), None if slot.candidates is None else tuple(slot.candidates)
        )
        for slot in call.slots
    ]
    recommender = site.live.recommender
    if call.explain:
        _check_explained(recommender, slots)
    if call.after is not None:
        slots = going_on(recommender, slots, await _answers(site, call.customer, call.after))
    question = Question(call.customer, tuple(slots), context, call.personalise)
    given, notes = await _recommend(site, recommender, question, call)
    if not (call.explain or call.attributes):
        return given
    content = asdict(given)
    for slot, told in zip(content["slots"], notes, strict=False):
        slot["items"] = [item | asdict(note) for item, note in zip(slot["items"], told, strict=True)]
    if call.attributes:
        _describe(recommender, content)
    return content


async def _recommend(
    site: Site, recommender: Recommender, question: Question, call: RecommendCall
) -> tuple[Recommendation, list[list[Note]]]:
    until = deadline(site)
    read = await site.reads.before(until, lambda: recommender.read(question)) or UNREAD
    if call.explain:
        given, notes = await asyncio.to_thread(recommender.explained, question, read)  # some 10 ms: others go on
    else:
        given, notes = recommender.recommend(question, read, until), []
    degraded = site.degraded_answer(given.degraded)
    if degraded != given.degraded:
        given = replace(given, degraded=degraded)
    site.record("recommend", answered(question, read), given, call.after)
    return given, notes


def answered(question: Question, read: Read) -> Question:
    """The question as it was answered: whoever does not agree was not personalised, whatever the call said."""
    return question if read.personal else replace(question, personalise=False)


def deadline(site: Site) -> float:
    """The moment, of `time.monotonic`, from which on popularity answers."""
    return time.monotonic() + site.settings.serving.deadline_ms / 1000


async def _answers(site: Site, customer: str, after: str) -> list[dict[str, Any]]:
    """The answers that the next one goes on from, newest first. NotFoundError where they are not this customer's."""
    found: list[dict[str, Any]] = []
    own: Sequence[str] = (customer,)
    next_: str | None = after
    while next_:
        answer = await _recorded(site, next_)
        if answer is not None and answer["customer"] not in own:
            own = await site.reads.ask(lambda: site.store.identities.find(customer))
        if answer is None or answer["customer"] not in own:
            raise NotFoundError("The ledger has no answer of this id for this customer. Ask without `after`.")
        found.append(answer)
        if len(found) == MOST_PAGES:
            raise UsageError(f"A page goes on up to {MOST_PAGES} times. Ask for more items at a time with `k`.")
        next_ = answer.get("after")
    return found


async def _recorded(site: Site, id_: str) -> dict[str, Any] | None:
    """An answer by its id; one that another process has just given is waited for until it must be on the ledger."""
    while True:
        answer, now, most = await site.ledger.find(id_), system_clock(), int(RECORDED * 1000)
        if answer is not None or not first_id(now - most) < id_ < first_id(now + most):
            return answer
        await asyncio.sleep(LOOK_AGAIN)


def going_on(
    recommender: Recommender, slots: Sequence[SlotRequest], answers: Sequence[dict[str, Any]]
) -> list[SlotRequest]:
    """The same slots, where answers were given already: what these showed is not shown again.

    answers: newest first. In a placement that may repeat, what other placements showed may be.
    """
    shown: dict[str, list[str]] = {}
    for answer in reversed(answers):
        for slot in answer["slots"]:
            shown.setdefault(slot["placement"], []).extend(item["item"] for item in slot["items"])
    next_: list[SlotRequest] = []
    for slot in slots:
        place = recommender.settings.placements.get(slot.placement)
        alone = place is not None and place.repeat
        others = [item for name, items in shown.items() if name != slot.placement and not alone for item in items]
        before = tuple(shown.get(slot.placement, ()))
        next_.append(replace(slot, exclude=(*slot.exclude, *others), before=before))
    return next_


def _describe(recommender: Recommender, content: dict[str, Any]) -> None:
    """Add to each item what the catalogue says of it."""
    for slot in content["slots"]:
        for item in slot["items"]:
            entry = recommender.catalogue.entry(item["item"])
            item |= {"title": entry.title if entry else None, "attributes": (entry and entry.attributes) or {}}


def _check_explained(recommender: Recommender, slots: Sequence[SlotRequest]) -> None:
    placements = recommender.settings.placements
    sizes = [slot.k or placements[slot.placement].size for slot in slots if slot.placement in placements]
    if sum(sizes) > MOST_EXPLAINED:
        raise UsageError(f"One call explains up to {MOST_EXPLAINED} items; ask for fewer with `k`.")
