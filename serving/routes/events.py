"""POST /v1/events: what customers did, durable when it is acknowledged."""

from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from recommender.errors import UsageError
from recommender.identity import parse_identity
from serving.answers import Receipt
from serving.ingest import RowOutcomes, RowReject
from serving.problems import problem, unreadable_json
from serving.requests import Route, answer, parsed
from serving.schemas import EVENT_EXAMPLES, MOST_EVENTS, Event
from serving.security import Caller, caller_of
from serving.site import site_of

router = APIRouter(route_class=Route, tags=["events"])

_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_UNREADABLE = object()
"""What stands for a line that is not JSON; the door takes objects alone, so it cannot come in."""

_SCHEMA = Event.model_json_schema()
_BODY: dict[str, Any] = {
    "required": True,
    "description": f"One event, an array of up to {MOST_EVENTS}, or as many lines of NDJSON; at most 1 MB.",
    "content": {
        "application/json": {
            "schema": {"oneOf": [_SCHEMA, {"type": "array", "items": _SCHEMA, "maxItems": MOST_EVENTS}]},
            "examples": EVENT_EXAMPLES,
        },
        "application/x-ndjson": {"schema": {"type": "string"}},
    },
}


@router.post("/v1/events", response_model=Receipt, openapi_extra={"requestBody": _BODY}, summary="Take events in")
async def take(request: Request) -> Response:
    """Each event is accepted, a duplicate, or rejected with a reason; `index` counts from 0.

    Sending the same events again changes nothing, so repeat a call whose answer you did not see.
    """
    body = await request.body()
    try:
        rows = _rows(body, request.headers.get("content-type", ""))
    except orjson.JSONDecodeError:
        return unreadable_json()
    if len(rows) > MOST_EVENTS:
        return problem(
            413, "too-many-events", "Too many events", f"A call takes up to {MOST_EVENTS} events. Send several calls."
        )
    act_for_all(rows, caller_of(request.scope))
    outcomes = await site_of(request).ingest.submit(rows) if rows else RowOutcomes()
    outcomes.rejected = [_reworded(reject, rows) for reject in outcomes.rejected]
    return answer(outcomes)


def act_for_all(rows: Sequence[object], caller: Caller) -> None:
    """Raises ForbiddenError where a row is another's than the customer whom the caller may act for."""
    if caller.customer is not None:
        for row in rows:
            caller.act_for(_customer_of(row))


def _customer_of(row: object) -> str:
    customer = row.get("customer") if isinstance(row, dict) else None
    try:
        return parse_identity(customer) if isinstance(customer, str) else ""
    except UsageError:
        return ""


def _rows(body: bytes, media_type: str) -> list[object]:
    """The events as parsed JSON. Raises JSONDecodeError where the body is neither JSON nor lines of it."""
    if media_type.partition(";")[0].strip().lower() in _NDJSON:
        return _lines(body)
    try:
        content = parsed(body)
    except orjson.JSONDecodeError:
        first, _, more = body.strip().partition(b"\n")
        if not more or not isinstance(_line(first), dict):
            raise
        return _lines(body)
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        return [content]
    raise UsageError("The body is neither an event nor an array of events.")


def _lines(body: bytes) -> list[object]:
    lines = (line for line in BytesIO(body) if line.strip())
    return [_line(line) for line in islice(lines, MOST_EVENTS + 1)]


def _line(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _UNREADABLE


def _reworded(reject: RowReject, rows: list[object]) -> RowReject:
    if rows[reject.index] is not _UNREADABLE:
        return reject
    return RowReject(reject.index, "not_json", "This line is not JSON: broken off, not UTF-8, or not a JSON number.")
