"""HTTP/1.1 as uvicorn speaks it, without its endless patience: with slow, talkative and too many senders."""

import asyncio
import random
import resource
import time
from functools import partial
from typing import Any

from starlette.responses import Response
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.limits import CAME, Overload
from serving.problems import overload_problem, problem_of
from serving.telemetry import Telemetry
from serving.turns import Turns

HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
"""From the end of the head; a route gives up before, in its own words (serving/requests.py)."""
LARGEST_HEAD = 64 * 1024
LONGEST_URL = 65_535
"""What the parser can hold."""

LINGER_SECONDS, LINGER_BYTES = 2.0, 8_000_000
"""What is still read where all is said: hanging up on somebody who still sends could cost them the answer."""
PAUSE = 1.0
"""Seconds for which a connection is not read from, at least, after a request on it was shed: who does not wait, waits.

Some wait for up to half as long again: those who were refused together are not to come back together.
"""
SPARE_FILES = 100
"""File handles left for everything but connections."""

_IDLE, _HEAD, _BODY, _LINGER, _REFUSED = range(5)
_SECONDS = {_HEAD: HEAD_SECONDS, _BODY: BODY_SECONDS, _LINGER: LINGER_SECONDS, _REFUSED: LINGER_SECONDS}


_ALWAYS = (b"/livez", b"/readyz", b"/metrics")
"""What is answered also where all else has to wait."""


class Protocol(HttpToolsProtocol):
    """One connection. It is always in one stage, and each but the idle one has its time."""

    overload: Overload
    telemetry: Telemetry
    turns: Turns

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **named)
        self._stage = self._timed = _IDLE
        self._timer: asyncio.TimerHandle | None = None
        self._read = 0
        self._shedding = False
        self.url = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= files < len(self.connections) + SPARE_FILES:
            transport.abort()
            return
        self._enter(_HEAD)
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._enter(_IDLE)
        self._time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self._stage >= _LINGER and self._read > LINGER_BYTES and not self.flow.read_paused:
            self.flow.pause_reading()
            self.transport.write_eof()
        if self._stage == _REFUSED:
            return
        super().data_received(data)
        if self._stage == _IDLE and self._answered:
            self._enter(_HEAD)  # an empty line, say, which uvicorn would wait behind for ever
        if self._stage != self._timed:
            self._time()
        if self._stage == _HEAD and self._read > LARGEST_HEAD:
            self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._enter(_HEAD)

    def on_headers_complete(self) -> None:
        if not self._answered or self.url.startswith(_ALWAYS):
            super().on_headers_complete()
        else:
            self.scope[CAME] = now = time.perf_counter()  # type: ignore[literal-required]
            self._shedding = not self.overload.admits(now)
            try:
                if not self._shedding:
                    super().on_headers_complete()
            except BaseException:  # an address that is none
                self.overload.begins(now, now)
                raise
        self._enter(_BODY)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.turns.take(self.loop, partial(super()._start_asgi_task, cycle, app))

    def on_body(self, body: bytes) -> None:
        if not self._shedding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._shedding:
            self._shed()
            return
        self._enter(_HEAD if self._stage == _LINGER else _IDLE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._answered:
            return
        if self._stage == _BODY:
            self._enter(_LINGER)
            self._time()

    def _shed(self) -> None:
        """Say no for as little as it can cost: no task, no id, no log line; and do not listen for a while."""
        self._shedding = False
        self._enter(_IDLE)
        self.telemetry.request("any", "shed", 503, 0.0)
        self.transport.write(_BUSY)
        self.flow.pause_reading()
        self.loop.call_later(PAUSE * random.uniform(1, 1.5), self._go_on)  # noqa: S311 - no secret

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not a problem document
        self._stage = _BODY if self._stage == _BODY else _HEAD
        self._refuse(431 if len(self.url) > LONGEST_URL else 400)

    @property
    def _answered(self) -> bool:
        """Whether no request waits for its answer; the newest is the last one that could."""
        return self.cycle is None or self.cycle.response_complete

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._enter(_HEAD)
            self._time()

    def _enter(self, stage: int) -> None:
        self._stage, self._read = stage, 0

    def _time(self) -> None:
        """Let the time of the stage begin."""
        if self._timer is not None:
            self._timer.cancel()
        self._timed = self._stage
        seconds = _SECONDS.get(self._stage)
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._refuse, 408)

    def _refuse(self, status: int) -> None:
        """Say why, unless something was said already, and hang up."""
        if self.transport.is_closing():
            return
        if self._stage == _HEAD and not self._answered:
            self._time()  # it is the next request that is slow; the one before has not been answered yet
            return
        said = self._stage >= _LINGER or (self._stage == _BODY and (self.pipeline or self.cycle.response_started))
        if self._stage == _BODY:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if said:
            self.transport.close()
            return
        self.transport.write(_raw(problem_of(status)))
        self.transport.write_eof()
        self._enter(_REFUSED)
        self._time()


def protocol_of(overload: Overload, telemetry: Telemetry) -> type[Protocol]:
    """The protocol of one service: uvicorn wants a class to make connections of."""
    return type("ServiceProtocol", (Protocol,), {"overload": overload, "telemetry": telemetry, "turns": Turns()})


def _raw(answer: Response, *, keep: bool = False) -> bytes:
    if not keep:
        answer.headers["connection"] = "close"
    head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
    return STATUS_LINE[answer.status_code] + head + b"\r\n" + bytes(answer.body)


_BUSY = _raw(overload_problem(), keep=True)
