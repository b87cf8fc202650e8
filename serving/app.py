"""The HTTP application of one site: a watch around every request, a gate, a short way for hot ones, the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving import problems
from serving.answers import Problem
from serving.limits import Rates
from serving.requests import Route
from serving.roles import check_all, declare
from serving.routes import customers, docs, events, health, identities, items, models, recommend
from serving.security import Gate
from serving.shortcut import Shortcut
from serving.site import Site
from serving.tracing import Traced, provider
from serving.watch import Watch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ROOMS = (events, recommend, items, identities, customers, models, health, docs)
_PROBLEM = {"description": "A problem document (RFC 9457)", "content": {problems.MEDIA_TYPE: {}}, "model": Problem}


class _App(FastAPI):
    """FastAPI behind what a request passes first; its document says what each call needs."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            declare(super().openapi())
        return super().openapi()


def create_app(site: Site) -> FastAPI:
    """The application; it runs the site from start to stop."""
    spans = provider() if site.settings.serving.tracing else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with site.running():
            yield
        if spans:
            await asyncio.to_thread(spans.shutdown)  # the last ones are sent

    app = _App(
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
        check_all(room.router.routes, Route)
        app.include_router(room.router)
    problems.install(app)
    app.front = _front(site, partial(FastAPI.__call__, app), spans)
    return app


def _front(site: Site, app: ASGIApp, spans: "TracerProvider | None") -> ASGIApp:
    """What a request passes before FastAPI, from the inside out: most are answered on the way."""
    limits = site.settings.serving
    app = Gate(Shortcut(app, site), site.keyring, Rates(limits.key_rate, limits.customer_rate))
    if limits.origins:
        app = CORSMiddleware(
            app,
            allow_origins=limits.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("authorization", "content-type", "x-customer-token"),
            expose_headers=("retry-after", "x-request-id"),
        )
    app = Watch(app, site.telemetry, site.overload, limits.origins)
    return Traced(app, spans) if spans else app
