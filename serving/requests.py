"""What every route asks first, and how a body is read.

First: may the caller's role call it? Then the body: with a limit, with a
deadline, and by a parser that knows no NaN and no bottomless depth.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from serving.problems import ForbiddenError
from serving.roles import OPEN, allowed
from serving.security import caller_of

LARGEST_BODY = 1_000_000
BODY_SECONDS = 20.0
MOST_VALUES = 50_000
"""In a body, about: a megabyte of empty arrays would be 25 MB of memory, and a second of the collector's time."""
MOST_NAMES = 100
"""In an object that pydantic validates: each name that it does not know costs it a kilobyte and 10 us."""


_CONTAINERS = (dict, list)


class LimitedRequest(Request):
    """A request whose body is at most LARGEST_BODY bytes and arrives within BODY_SECONDS."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await _read(self)
        return self._body

    async def json(self) -> object:
        return read(await self.body())


class Route(APIRoute):
    """A route that asks for the caller's role before it looks at anything, and whose handlers get a LimitedRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.path not in OPEN and not allowed(caller_of(request.scope).key.role, request.method, self.path):
                raise ForbiddenError("The role of this key may not make this call.")
            return await handler(LimitedRequest(request.scope, request.receive))

        return handle


def parsed(body: bytes) -> object:
    """The JSON of a body. Raises JSONDecodeError, and HTTPException where it has too many parts."""
    if len(body) > MOST_VALUES and body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise HTTPException(413)
    return orjson.loads(body)


def read(body: bytes) -> object:
    """The JSON of a body, fit to be validated. Raises JSONDecodeError, and HTTPException where it holds too much."""
    content = parsed(body)
    return content if body.count(b":") <= MOST_NAMES else checked(content)


def checked(content: object) -> object:
    """The same, fit to be validated. Raises HTTPException where an object in it has too many names."""
    left = [content]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if len(one) > MOST_NAMES:
                raise HTTPException(413)
            one = one.values()
        elif not isinstance(one, list):
            continue
        left += [inner for inner in one if type(inner) in _CONTAINERS]
    return content


async def _read(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415)  # a megabyte of zip may hold a gigabyte
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > LARGEST_BODY:
        raise HTTPException(413)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > LARGEST_BODY:
                    raise HTTPException(413)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None  # nobody is there to read it; it is no fault of ours
    return b"".join(parts)


def answer(content: object) -> Response:
    """What orjson makes of dictionaries, lists and dataclasses; a NaN would become null."""
    return Response(orjson.dumps(content), media_type="application/json")
