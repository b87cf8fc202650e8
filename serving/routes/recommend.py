"""The answers: a page, one slot, the caller's own list, similar items, and why."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from recommender.errors import UsageError
from recommender.model import Model
from recommender.page import RankedItem, Recommendation, Slot, new_recommendation_id
from recommender.page import Request as Question
from recommender.question import UNREAD, Read
from recommender.recommender import Recommender
from recommender.types import Kind
from serving.answers import ExplanationOut, RankingOut, RecommendationOut
from serving.pages import answered, deadline, page
from serving.requests import Route, answer
from serving.schemas import (
    LONGEST_SAID,
    At,
    Channel,
    Identity,
    ItemId,
    K,
    PlacementName,
    RankCall,
    RecommendCall,
    SlotInQuery,
)
from serving.security import caller_of
from serving.site import Site, site_of

router = APIRouter(route_class=Route, tags=["answers"])

SIMILAR = 10


@router.post("/v1/recommend", response_model=RecommendationOut, summary="Fill a page")
async def recommend(request: Request, call: RecommendCall) -> Response:
    """What this customer needs first, in each slot, in this channel, now. Slots are filled in their order."""
    return answer(await page(site_of(request), call, caller_of(request.scope)))


@router.get("/v1/recommend/{placement}", response_model=RecommendationOut, summary="Fill one slot")
async def recommend_one(request: Request, placement: PlacementName, asked: Annotated[SlotInQuery, Query()]) -> Response:
    """The same for one slot. What the site declares of a context is asked for as `context.NAME`."""
    call = asked.call(placement, said_in(request))
    return answer(await page(site_of(request), call, caller_of(request.scope)))


@router.post("/v1/rank", response_model=RankingOut, summary="Rank a list")
async def rank(request: Request, call: RankCall) -> Response:
    """The caller's own candidates, best first; those that nobody ever heard of come last."""
    caller_of(request.scope).act_for(call.customer)
    site = site_of(request)
    context = site.context(call.context.channel, call.context.at, call.context.model_extra)
    recommender = site.live.recommender
    question = Question(call.customer, (), context, call.personalise)
    read = await site.reads.before(deadline(site), lambda: recommender.read(question)) or UNREAD
    kind = call.kind or _kind_of(recommender, call.candidates, read)
    ranked = recommender.rank(call.customer, call.candidates, kind, context, read)
    missing = ("profile",) if read is UNREAD else ()
    return _ranking(site, recommender.model, "rank", answered(question, read), ranked, missing)


@router.get("/v1/similar", response_model=RankingOut, summary="Similar items")
async def similar(request: Request, item: ItemId, k: K = SIMILAR) -> Response:
    """What goes with an item, by how it was used and by its attributes; nobody's own history counts."""
    site = site_of(request)
    recommender = site.live.recommender
    found = await site.reads.ask(lambda: recommender.similar(item, k))
    return _ranking(site, recommender.model, "similar", None, found)


@router.get("/v1/explain", response_model=ExplanationOut, summary="Why, or why not")
async def explain(
    request: Request,
    customer: Identity,
    item: ItemId,
    placement: PlacementName,
    channel: Channel | None = None,
    at: At | None = None,
    personalise: bool = True,
) -> Response:
    """Why an item stands where it stands for a customer, or why it does not stand there."""
    site = site_of(request)
    context, recommender = site.context(channel, at, said_in(request)), site.live.recommender
    why = await asyncio.to_thread(recommender.explain, customer, item, placement, context, personalise)
    return answer(why)


def said_in(request: Request) -> dict[str, str]:
    """What a query says of the context, as `context.NAME`; as little as a body may."""
    prefix = "context."
    said = {name.removeprefix(prefix): value for name, value in request.query_params.items() if name.startswith(prefix)}
    if any(len(value) > LONGEST_SAID or not value.isprintable() for value in said.values()):
        raise UsageError(f"What is said of the context has up to {LONGEST_SAID} characters, none of them control ones.")
    return said


def _ranking(
    site: Site,
    model: Model,
    call: str,
    question: Question | None,
    ranked: list[RankedItem],
    missing: tuple[str, ...] = (),
) -> Response:
    degraded = site.degraded_answer((*(() if model.trained else ("model",)), *missing))
    given = Recommendation(new_recommendation_id(), model.label, degraded, (Slot("", tuple(ranked)),))
    site.record(call, question, given)
    return answer(
        {"recommendation_id": given.recommendation_id, "model": model.label, "degraded": degraded, "items": ranked}
    )


def _kind_of(recommender: Recommender, candidates: list[str], read: Read) -> Kind:
    if read.changes is not None:
        recommender.catalogue.take(read.changes)
    entries = map(recommender.catalogue.entry, candidates)
    return next((entry.kind for entry in entries if entry), Kind.CONTENT)
