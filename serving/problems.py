"""Every error as an RFC 9457 problem document that shows nothing of what the caller sent."""

from collections.abc import Sequence
from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from recommender.errors import (
    ArtefactError,
    ConflictError,
    ErasedError,
    MurmeliError,
    NotFoundError,
    RefusedError,
    StoreError,
    StoreFullError,
    UsageError,
)
from serving.schemas import FIELD_NAMES

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:murmeli:problem:"
MOST_ERRORS = 20
RETRY_AFTER = 1


class BusyError(MurmeliError):
    """More is waiting to be written than fits into memory, or the service is stopping: HTTP 503."""


class ForbiddenError(MurmeliError):
    """The caller's key does not go so far: HTTP 403."""


_OURS: dict[type[MurmeliError], tuple[int, str, str]] = {
    UsageError: (400, "usage", "This cannot be asked"),
    ForbiddenError: (403, "forbidden", "This key may not do that"),
    NotFoundError: (404, "not-found", "There is no such thing"),
    ErasedError: (410, "erased", "This identity was erased"),
    ConflictError: (409, "conflict", "Two truths about one thing"),
    RefusedError: (409, "refused", "The gate refused"),
    ArtefactError: (409, "model-damaged", "The model must not be loaded"),
    BusyError: (503, "busy", "Too much is waiting"),
    StoreFullError: (507, "store-full", "There is no room left to write"),
    StoreError: (503, "store", "The store cannot do its work"),
    MurmeliError: (500, "internal", "Something went wrong here"),
}

_THEIRS = {
    400: ("bad-request", "The body could not be read."),
    401: ("no-key", "Send a valid key: `Authorization: Bearer KEY`."),
    404: ("no-such-route", "There is no such route. GET /docs lists those there are."),
    405: ("method-not-allowed", "This route has other methods. GET /docs lists them."),
    408: ("too-slow", "The request took too long to arrive. Send it again, in smaller parts."),
    429: ("too-many-calls", "This caller asks too often. Wait for Retry-After seconds."),
    431: ("head-too-large", "The address and the headers are larger than 64 KB. Send a POST where there is one."),
    413: ("body-too-large", "The body is larger than 1 MB, or has too many parts. Send it in several calls."),
}


def problem(status: int, code: str, title: str, detail: str, retry: int = 0, **more: Sequence[object]) -> Response:
    """One problem document; retry: after so many seconds; more: extension members, left out where empty."""
    content: dict[str, Any] = {"type": TYPE + code, "title": title, "status": status, "detail": detail}
    content |= {name: list(values) for name, values in more.items() if values}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry = retry or RETRY_AFTER
    headers = {"Retry-After": str(retry)} if retry else None
    return Response(orjson.dumps(content), status, headers, MEDIA_TYPE)


def problem_of(status: int) -> Response:
    """What is to say of a status as such."""
    title = HTTPStatus(status).phrase
    code, detail = _THEIRS.get(status, (title.lower().replace(" ", "-"), title + "."))
    return problem(status, code, title, detail)


def internal_problem() -> Response:
    """What a caller sees of a fault of ours; the log has the rest under the request's id."""
    return problem(
        500, "internal", "Something went wrong here", "The fault is on this side; the log has it by X-Request-Id."
    )


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem document."""
    app.add_exception_handler(MurmeliError, _of_ours)
    app.add_exception_handler(HTTPException, _of_theirs)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_a_fault)


async def _of_ours(_: Request, error: Exception) -> Response:
    status, code, title = next(_OURS[kind] for kind in type(error).__mro__ if kind in _OURS)
    return problem(status, code, title, str(error), reasons=error.reasons if isinstance(error, RefusedError) else ())


async def _of_theirs(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker: it is registered for this type
    answer = problem_of(error.status_code)
    if allow := (error.headers or {}).get("Allow"):
        answer.headers["Allow"] = allow
    return answer


async def _of_a_fault(_: Request, __: Exception) -> Response:
    return internal_problem()


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    found = error.errors()
    if isinstance(error.body, bytes) and "json" not in request.headers.get("content-type", ""):
        return problem(415, "media-type", "The body is not said to be JSON", "Send `content-type: application/json`.")
    if any(one["type"] == "json_invalid" for one in found):
        return unreadable_json()
    errors = [{"at": _place(one["loc"]), "code": one["type"], "detail": one["msg"]} for one in found]
    distinct = list({one["at"]: one for one in reversed(errors)}.values())[::-1][:MOST_ERRORS]
    return problem(422, "invalid", "The request does not fit", "See `errors`: where, what, and why.", errors=distinct)


def customer_token_problem() -> Response:
    """A front end whose token is missing, wrong or too old."""
    return problem(
        401,
        "customer-token",
        "For whom is not known",
        "A frontend key acts for one customer: send `X-Customer-Token`, signed by your back end and still valid.",
    )


def too_often_problem(wait: float) -> Response:
    """A caller who is beyond their rate. wait: seconds."""
    return problem(429, _THEIRS[429][0], "Too many calls", _THEIRS[429][1], retry=ceil(wait))


def overload_problem() -> Response:
    """More is asked than can be answered; what waited too long is not done any more."""
    return problem(503, "busy", "Too much is waiting", "More is asked than can be answered now.")


def cross_site_problem() -> Response:
    """A browser asks on behalf of a page of another site, which the settings do not know."""
    return problem(403, "cross-site", "Another site's page asks", "Pages of another site may not write here.")


def unreadable_json() -> Response:
    """The body is not JSON: broken off, too deep, not UTF-8, or with a number or a character that JSON lacks."""
    return problem(
        400,
        "invalid-json",
        "The body is not JSON",
        "Wanted: UTF-8 JSON without NaN or Infinity, numbers that fit a double, whole characters, no deep nesting.",
    )


def _place(location: Sequence[str | int]) -> str:
    """Where the fault is, as far as the names are ours: a caller's own key is a value too."""
    place: list[str] = []
    for part in location:
        if isinstance(part, str) and part not in FIELD_NAMES:
            break
        place.append(str(part))
    return ".".join(place)
