"""What is remembered of a customer, what they agreed to, and their right to see it and to have it ended."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from recommender.consent import Purpose
from recommender.events import system_clock
from recommender.persons import export
from recommender.rejects import remove as remove_rejects
from recommender.types import instant
from serving.answers import ConsentOut, CustomerOut, ErasedOut
from serving.requests import Route, answer
from serving.schemas import ConsentCall, Identity
from serving.security import caller_of
from serving.site import Site, site_of

router = APIRouter(route_class=Route, tags=["customers"])

NDJSON = "application/x-ndjson"
CHUNK = 500
"""Records of an export that are in memory at a time."""

_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"description": "One record a line; `record` says of which kind.", "content": {NDJSON: {}}}
}


@router.put("/v1/customers/{customer:path}/consent", response_model=ConsentOut, summary="Say what a customer agreed to")
async def state(request: Request, customer: Identity, call: ConsentCall) -> Response:
    """For every identity that the customer has now, from the next answer on; what is left out stays as it is.

    Of two identities that are linked later, the stricter statement holds.
    """
    site = site_of(request)
    given = {Purpose(name): said for name, said in call.model_dump(exclude_none=True).items()}
    by = caller_of(request.scope).key.prefix
    await site.writer.run(lambda: site.store.consents.state(customer, given, system_clock(), by))
    return await consent(request, customer)


@router.get("/v1/customers/{customer:path}/consent", response_model=ConsentOut, summary="What a customer agreed to")
async def consent(request: Request, customer: Identity) -> Response:
    """What holds now, and every statement with its time."""
    site = site_of(request)
    return answer(await site.reads.ask(lambda: _consent(site, customer)))


def _consent(site: Site, customer: str) -> dict[str, Any]:
    consents = site.store.consents
    history = [
        {"identity": one.identity, "purpose": one.purpose, "given": one.given, "at": instant(one.at), "by": one.by}
        for one in consents.history(customer)
    ]
    return {"consent": {purpose.value: consents.allows(customer, purpose) for purpose in Purpose}, "history": history}


@router.get(
    "/v1/customers/{customer:path}/export",
    response_class=Response,
    responses=_EXPORT,
    summary="All that is kept of a customer",
)
async def export_(request: Request, customer: Identity) -> Response:
    """Line by line: identities, consent, events, profiles, answers, rejected rows; the last, `end`, has their number.

    It is read as it goes out: what comes meanwhile may be in it, and what is erased meanwhile is not.
    """
    site = site_of(request)
    await site.ledger.flush()
    chunks = _chunks(export(site.store, site.home, customer))
    first = await asyncio.to_thread(next, chunks)  # what fails, fails before the answer has begun

    def lines() -> Iterator[bytes]:
        yield first
        yield from chunks

    return StreamingResponse(lines(), media_type=NDJSON)


def _chunks(records: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    while chunk := [orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in islice(records, CHUNK)]:
        yield b"".join(chunk)


@router.delete("/v1/customers/{customer:path}", response_model=ErasedOut, summary="Erase a customer")
async def erase_(request: Request, customer: Identity) -> Response:
    """All of it, with all identities, for good: when this answers, nothing of it is on disk, served or exported.

    Events that come later are rejected as `erased`, also those of the future. Doing it again changes nothing.
    """
    site = site_of(request)
    identities = await site.reads.ask(lambda: site.store.identities.find(customer))
    rows = await asyncio.to_thread(remove_rejects, site.home, identities)  # first: later nobody knows who they were
    removed = await site.writer.run(lambda: site.store.persons.erase(customer, system_clock()))
    site.ledger.forget(identities)
    site.live.forget(identities)
    return answer(removed | {"rejects": rows})


@router.get("/v1/customers/{customer:path}", response_model=CustomerOut, summary="What is remembered")
async def remembered(
    request: Request, customer: Identity, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> Response:
    """Identities, habits by kind, the newest events, and what is agreed to, of the customer behind an identity."""
    site = site_of(request)
    recommender = site.live.recommender
    return answer(await site.reads.ask(lambda: recommender.remembered(customer, limit)))
