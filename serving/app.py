"""The HTTP application of one site: the routes, around each request a watch, and problem documents for what fails."""

import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems
from serving.answers import Problem
from serving.routes import customers, docs, events, health, identities, items, models, recommend
from serving.site import Site
from serving.telemetry import LOGGER, Telemetry

_ROOMS = (events, recommend, items, identities, customers, models, health)
_PROBLEM = {"description": "A problem document (RFC 9457)", "content": {problems.MEDIA_TYPE: {}}, "model": Problem}


def create_app(site: Site) -> FastAPI:
    """The application; it runs the site from start to stop."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with site.running():
            yield

    app = FastAPI(
        title="Murmeli",
        summary="Ranks the content and the features that each customer needs first, in every channel.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
        # Its logs would hold bodies that failed validation (fastapi/telemetry); /metrics has what we measure.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.site = site
    for room in _ROOMS:
        app.include_router(room.router)
    app.include_router(docs.router)
    problems.install(app)
    app.add_middleware(Watch, telemetry=site.telemetry)
    return app


class Watch:
    """Gives each request an id, measures it, and turns a fault of ours into a problem document and a log line."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app, self._telemetry = app, telemetry
        self._log = logging.getLogger(LOGGER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id_, started, status = secrets.token_hex(8), time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = id_
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            app = problems.cross_site_problem() if _cross_site_write(scope) else self._app
            await app(scope, receive, send_with_id)
        except Exception:
            self._log.exception("A request failed.", extra={"fields": {"request_id": id_, "route": _route(scope)}})
            if not status:
                await problems.internal_problem()(scope, receive, send_with_id)
        self._note(scope, id_, status, time.perf_counter() - started)

    def _note(self, scope: Scope, id_: str, status: int, seconds: float) -> None:
        route = _route(scope)
        self._telemetry.requests.labels(_method(scope), route, str(status)).inc()
        self._telemetry.seconds.labels(route).observe(seconds)
        level = logging.INFO if status >= 400 else logging.DEBUG
        if self._log.isEnabledFor(level):
            fields = {"request_id": id_, "method": _method(scope), "route": route, "status": status}
            self._log.log(level, "request", extra={"fields": fields | {"milliseconds": round(seconds * 1000, 3)}})


def _cross_site_write(scope: Scope) -> bool:
    """Browsers say so (Fetch Metadata, W3C); programs do not send the header."""
    return scope["method"] not in ("GET", "HEAD") and (b"sec-fetch-site", b"cross-site") in scope["headers"]


def _route(scope: Scope) -> str:
    """The route's template, never the path, which may hold an id."""
    return getattr(scope.get("route"), "path", "none")


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "DELETE") else "other"
