"""The HTTP application of one site: a watch around every request, a gate, a short way for hot ones, the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

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

_ROOMS = (events, recommend, items, identities, customers, models, health, docs)
_PROBLEM = {"description": "A problem document (RFC 9457)", "content": {problems.MEDIA_TYPE: {}}, "model": Problem}


class _App(FastAPI):
    """FastAPI, whose document says what each call needs."""

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
    app.add_middleware(Shortcut, site=site)
    limits = site.settings.serving
    app.add_middleware(Gate, keyring=site.keyring, rates=Rates(limits.key_rate, limits.customer_rate))
    if limits.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=limits.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("authorization", "content-type", "x-customer-token"),
            expose_headers=("retry-after", "x-request-id"),
        )
    app.add_middleware(Watch, telemetry=site.telemetry, overload=site.overload, origins=limits.origins)
    if spans:
        app.add_middleware(Traced, provider=spans)
    return app
