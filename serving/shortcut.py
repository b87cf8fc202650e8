"""The short way for the calls that come by the thousand: what is plainly well-formed is answered here.

Anything unusual (a body in several parts, another content type, a field that
does not fit, an error) falls through, body and all, to FastAPI's way, which
then says what is wrong. So there is one place that refuses and one function
behind both ways, and the short way costs what a bare ASGI application costs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.errors import MurmeliError
from serving import requests
from serving.pages import page
from serving.problems import problem_of
from serving.roles import allowed
from serving.routes.events import act_for_all
from serving.schemas import MOST_EVENTS, RecommendCall
from serving.security import Caller, caller_of
from serving.site import Site
from serving.watch import ROUTE

_JSON = (b"content-type", b"application/json")

Short = Callable[[bytes, Caller], Awaitable[object]]
"""A body in, the answer's content out; None for what is unusual."""


class Shortcut:
    """Answers the hot calls, and hands everything else on."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site
        self._ways: dict[str, Short] = {"/v1/recommend": self._recommend, "/v1/events": self._events}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._ways.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if way is None or _JSON not in scope["headers"] or not _may(scope):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(requests.BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            await problem_of(408)(scope, receive, send)
            return
        content = await self._content(way, message, caller_of(scope))
        if content is None:
            await self._app(scope, _replayed(message, receive), send)
            return
        scope[ROUTE] = scope["path"]
        await _send(send, content)

    async def _content(self, way: Short, message: Message, caller: Caller) -> object:
        body = message.get("body", b"")
        if message.get("more_body", False) or len(body) > requests.LARGEST_BODY:
            return None
        try:
            return await way(body, caller)
        except (orjson.JSONDecodeError, HTTPException, ValidationError, MurmeliError):
            return None

    async def _recommend(self, body: bytes, caller: Caller) -> object:
        return await page(self._site, RecommendCall.model_validate(requests.read(body)), caller)

    async def _events(self, body: bytes, caller: Caller) -> object:
        content: Any = requests.parsed(body)
        rows = content if isinstance(content, list) else [content]
        if not 0 < len(rows) <= MOST_EVENTS or not isinstance(rows[0], dict):
            return None
        act_for_all(rows, caller)
        return await self._site.ingest.submit(rows)


def _may(scope: Scope) -> bool:
    return allowed(caller_of(scope).key.role, scope["method"], scope["path"])


def _replayed(first: Message, receive: Receive) -> Receive:
    """The same request once more, from its first message on."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return first

    return again


async def _send(send: Send, content: object) -> None:
    body = orjson.dumps(content)
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
