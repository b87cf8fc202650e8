"""Around every request: an id, a measurement, and for a fault of ours a problem document and a log line."""

import logging
import random
import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems
from serving.limits import CAME, Overload
from serving.telemetry import LOGGER, Telemetry

ROUTE = "murmeli.route"
"""Where in the scope the template of a route is, if FastAPI's own router was not asked."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE"))
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Watch:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, overload: Overload, origins: Sequence[str]) -> None:
        self._app, self._telemetry = app, telemetry
        self._origins = frozenset(origin.encode() for origin in origins)
        self._overload = overload
        self._log = logging.getLogger(LOGGER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        if CAME in scope:
            self._overload.begins(scope[CAME], started)
        id_ = f"{random.getrandbits(64):016x}"  # no secret; asking the system would let other threads in

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", id_.encode()), *_HEADERS]
            await send(message)

        try:
            app = problems.cross_site_problem() if self._is_cross_site_write(scope) else self._app
            await app(scope, receive, send_with_id)
        except Exception:
            self._log.exception("A request failed.", extra={"fields": {"request_id": id_, "route": route_of(scope)}})
            if not status:
                await problems.internal_problem()(scope, receive, send_with_id)
        self._note(scope, id_, status, time.perf_counter() - started)

    def _is_cross_site_write(self, scope: Scope) -> bool:
        """Browsers say so (Fetch Metadata, W3C); programs do not send the header."""
        if scope["method"] in ("GET", "HEAD") or (b"sec-fetch-site", b"cross-site") not in scope["headers"]:
            return False
        return dict(scope["headers"]).get(b"origin") not in self._origins

    def _note(self, scope: Scope, id_: str, status: int, seconds: float) -> None:
        route, method = route_of(scope), scope["method"] if scope["method"] in _METHODS else "other"
        self._telemetry.request(method, route, status, seconds)
        level = logging.INFO if status >= 400 else logging.DEBUG
        if self._log.isEnabledFor(level):
            fields = {"request_id": id_, "method": method, "route": route, "status": status}
            self._log.log(level, "request", extra={"fields": fields | {"milliseconds": round(seconds * 1000, 3)}})


def route_of(scope: Scope) -> str:
    """The route's template, never the path, which may hold an id."""
    return str(scope.get(ROUTE) or getattr(scope.get("route"), "path", "none"))
