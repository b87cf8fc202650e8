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


class LimitedRequest(Request):
    """A request whose body is at most LARGEST_BODY bytes and arrives within BODY_SECONDS."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await _read(self)
        return self._body

    async def json(self) -> object:
        return orjson.loads(await self.body())


class Route(APIRoute):
    """A route that asks for the caller's role before it looks at anything, and whose handlers get a LimitedRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.path not in OPEN and not allowed(caller_of(request.scope).key.role, request.method, self.path):
                raise ForbiddenError("The role of this key may not make this call.")
            return await handler(LimitedRequest(request.scope, request.receive))

        return handle


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
