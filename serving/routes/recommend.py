"""The answers: a page, one slot, the caller's own list, similar items, and why."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from recommender.errors import UsageError
from recommender.history import Context
from recommender.model import Model
from recommender.page import RankedItem, Recommendation, Slot, SlotRequest, new_recommendation_id
from recommender.page import Request as Question
from recommender.question import UNREAD, Read
from recommender.recommender import Recommender
from recommender.types import Kind
from serving.answers import ExplanationOut, RankingOut, RecommendationOut
from serving.requests import Route, answer
from serving.schemas import MOST_IDS, At, Channel, Identity, ItemId, K, PlacementName, RankCall, RecommendCall
from serving.site import Site, site_of

router = APIRouter(route_class=Route, tags=["answers"])

MOST_EXPLAINED = 50
"""Items explained by one call: each is ranked anew, about a millisecond."""

SIMILAR = 10


@router.post("/v1/recommend", response_model=RecommendationOut, summary="Fill a page")
async def recommend(request: Request, call: RecommendCall) -> Response:
    """What this customer needs first, in each slot, in this channel, now. Slots are filled in their order."""
    return answer(await page(site_of(request), call))


async def page(site: Site, call: RecommendCall) -> Recommendation | dict[str, Any]:
    """The answer to a call; it is on the ledger then. Raises UsageError and NotFoundError before anything is done."""
    context = site.context(call.context.channel, call.context.at)
    slots = tuple(SlotRequest(slot.placement, slot.k, tuple(slot.exclude)) for slot in call.slots)
    if call.explain:
        _check_explained(site, slots)
    given = await _recommend(site, Question(call.customer, slots, context))
    return await site.reads.ask(lambda: _explained(site, call.customer, context, given)) if call.explain else given


@router.get("/v1/recommend/{placement}", response_model=RecommendationOut, summary="Fill one slot")
async def recommend_one(
    request: Request,
    placement: PlacementName,
    customer: Identity,
    k: K | None = None,
    channel: Channel | None = None,
    at: At | None = None,
    exclude: Annotated[list[ItemId], Query(max_length=MOST_IDS)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """The same for one slot."""
    site = site_of(request)
    slot = SlotRequest(placement, k, tuple(exclude))
    return answer(await _recommend(site, Question(customer, (slot,), site.context(channel, at))))


@router.post("/v1/rank", response_model=RankingOut, summary="Rank a list")
async def rank(request: Request, call: RankCall) -> Response:
    """The caller's own candidates, best first; those that nobody ever heard of come last."""
    site = site_of(request)
    context = site.context(call.context.channel, call.context.at)
    recommender = site.live.recommender
    question = Question(call.customer, (), context)
    read = await site.reads.before(_deadline(site), lambda: recommender.read(question)) or UNREAD
    kind = call.kind or _kind_of(recommender, call.candidates, read)
    ranked = recommender.rank(call.customer, call.candidates, kind, context, read)
    missing = ("profile",) if read is UNREAD else ()
    return _ranking(site, recommender.model, "rank", call.customer, context, ranked, missing)


@router.get("/v1/similar", response_model=RankingOut, summary="Similar items")
async def similar(request: Request, item: ItemId, k: K = SIMILAR) -> Response:
    """What goes with an item, by how it was used and by its attributes; nobody's own history counts."""
    site = site_of(request)
    recommender = site.live.recommender
    found = await site.reads.ask(lambda: recommender.similar(item, k))
    return _ranking(site, recommender.model, "similar", None, None, found)


@router.get("/v1/explain", response_model=ExplanationOut, summary="Why, or why not")
async def explain(
    request: Request,
    customer: Identity,
    item: ItemId,
    placement: PlacementName,
    channel: Channel | None = None,
    at: At | None = None,
) -> Response:
    """Why an item stands where it stands for a customer, or why it does not stand there."""
    site = site_of(request)
    context, recommender = site.context(channel, at), site.live.recommender
    return answer(await site.reads.ask(lambda: recommender.explain(customer, item, placement, context)))


async def _recommend(site: Site, question: Question) -> Recommendation:
    until, recommender = _deadline(site), site.live.recommender
    read = await site.reads.before(until, lambda: recommender.read(question)) or UNREAD
    given = recommender.recommend(question, read, until)
    degraded = _degraded(site, given.degraded)
    if degraded != given.degraded:
        given = replace(given, degraded=degraded)
    site.record(
        given.recommendation_id, "recommend", question.customer, question.context, given.slots, degraded, given.model
    )
    return given


def _deadline(site: Site) -> float:
    """The moment, of `time.monotonic`, from which on popularity answers."""
    return time.monotonic() + site.settings.serving.deadline_ms / 1000


def _ranking(
    site: Site,
    model: Model,
    call: str,
    customer: str | None,
    context: Context | None,
    ranked: list[RankedItem],
    missing: tuple[str, ...] = (),
) -> Response:
    degraded = _degraded(site, (*(() if model.trained else ("model",)), *missing))
    id_ = new_recommendation_id()
    site.record(id_, call, customer, context, [Slot("", tuple(ranked))], degraded, model.label)
    return answer({"recommendation_id": id_, "model": model.label, "degraded": degraded, "items": ranked})


def _degraded(site: Site, own: tuple[str, ...]) -> tuple[str, ...]:
    return (*own, "champion") if site.live.refused else own


def _kind_of(recommender: Recommender, candidates: list[str], read: Read) -> Kind:
    if read.changes is not None:
        recommender.catalogue.take(read.changes)
    entries = map(recommender.catalogue.entry, candidates)
    return next((entry.kind for entry in entries if entry), Kind.CONTENT)


def _explained(site: Site, customer: str, context: Context, given: Recommendation) -> dict[str, Any]:
    content = asdict(given)
    for slot in content["slots"]:
        for item in slot["items"]:
            why = site.live.recommender.explain(customer, item["item"], slot["placement"], context)
            item |= {"parts": why.parts, "rules": why.rules}
    return content


def _check_explained(site: Site, slots: Sequence[SlotRequest]) -> None:
    placements = site.settings.placements
    sizes = [slot.k or placements[slot.placement].size for slot in slots if slot.placement in placements]
    if sum(sizes) > MOST_EXPLAINED:
        raise UsageError(f"One call explains up to {MOST_EXPLAINED} items; ask for fewer with `k`.")
