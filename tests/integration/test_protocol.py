"""Senders who are too slow, say too much, or do not speak HTTP, over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from serving import protocol
from serving.limits import Overload
from serving.protocol import LARGEST_HEAD, protocol_of
from serving.telemetry import Telemetry

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how long the body is; /early answers before it has read it."""
    size = 0
    while scope["path"] != "/early":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def talk(what: Talk, overload: Overload | None = None) -> bytes:
    async def run() -> bytes:
        config, state = uvicorn.Config(application, log_config=None, ws="none"), ServerState()
        config.load()
        made = protocol_of(overload or Overload(), Telemetry())
        server = await asyncio.get_running_loop().create_server(lambda: made(config, state, {}), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await what(reader, writer)
        finally:
            writer.close()
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()
            for _ in range(3):
                await asyncio.sleep(0)  # what was aborted is gone after that

    return asyncio.run(run())


def sent(*parts: bytes) -> Talk:
    """Send these and read until the other side hangs up."""

    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for part in parts:
            writer.write(part)
        return await reader.read()

    return what


def at_once(monkeypatch: pytest.MonkeyPatch, stage: int) -> None:
    monkeypatch.setitem(protocol._SECONDS, stage, 0.0)


@pytest.mark.parametrize("parts", [[], [b"POST / HTTP"], [b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: "]])
def test_a_head_that_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch, parts: list[bytes]) -> None:
    at_once(monkeypatch, protocol._HEAD)
    answer = talk(sent(*parts))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"urn:murmeli:problem:too-slow" in answer


def test_a_body_that_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch, protocol._BODY)
    assert talk(sent(HEAD % 10, b"12345")).startswith(b"HTTP/1.1 408 ")


def test_a_connection_on_which_an_empty_line_follows_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD % 0)
        await reader.readuntil(b"\r\n\r\n0")
        at_once(monkeypatch, protocol._HEAD)
        writer.write(b"\r\n")
        return await reader.read()

    assert talk(what).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_is_too_large_is_refused() -> None:
    line = b"x-long: " + b"y" * 8000 + b"\r\n"
    answer = talk(sent(b"POST / HTTP/1.1\r\nhost: x\r\n", *[line] * (LARGEST_HEAD // 8000 + 40)))
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(("url", "status"), [(b"/" + b"x" * 70_000, 431), (b"/\xff", 400)])
def test_an_address_that_is_too_long_or_none_is_refused(url: bytes, status: int) -> None:
    assert talk(sent(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % url)).startswith(b"HTTP/1.1 %d " % status)


def test_who_does_not_speak_http_gets_a_problem_document() -> None:
    answer = talk(sent(b"\x16\x03\x01 hello\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_a_body_that_is_not_what_its_head_says_is_refused() -> None:
    answer = talk(sent(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_of_a_body_that_was_answered_already_little_more_is_read() -> None:
    answer = talk(
        sent(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n", *[b"z" * 1_000_000] * 12)
    )
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_body_that_was_answered_already_and_ends_costs_no_connection() -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        first = await reader.readuntil(b"\r\n\r\n0")
        writer.write(b"1234" + HEAD % 3 + b"abc")
        return first + await reader.readuntil(b"\r\n\r\n3")

    assert talk(what).count(b"HTTP/1.1 200 ") == 2


def test_requests_that_come_together_are_answered_in_their_order() -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD % 1 + b"a" + HEAD % 2 + b"bb" + HEAD % 3 + b"ccc")
        return b"".join([await reader.readuntil(b"\r\n\r\n%d" % size) for size in (1, 2, 3)])

    assert talk(what).count(b"HTTP/1.1 200 ") == 3


class Full(Overload):
    """Refuses everything until it is told otherwise."""

    full = True

    def admits(self, now: float) -> bool:  # noqa: ARG002 - whenever it is
        return not self.full


CALL = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nbb"
CHUNKED = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbb\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "refusals"),
    [
        ((HEAD % 2 + b"bb",), 1),
        ((CALL,), 1),
        ((CALL[:9], CALL[9:]), 1),
        ((CALL[:-1], CALL[-1:]), 1),
        ((CALL + CALL,), 2),
        ((CALL + CALL[:20], CALL[20:]), 2),
        ((CHUNKED,), 1),
        ((CHUNKED[:-5], CHUNKED[-5:]), 1),
        ((b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",), 1),
    ],
)
def test_whose_request_was_shed_is_heard_again_later(
    parts: tuple[bytes, ...], refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PAUSE", 0.0)
    overload = Full()

    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        refused = b"".join([await reader.readuntil(b"}") for _ in range(refusals)])
        overload.full = False
        writer.write(CALL)
        return refused + await reader.readuntil(b"\r\n\r\n2")

    answer = talk(what, overload)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.count(b"HTTP/1.1 503 ") == answer.count(b"retry-after: 1") == refusals
    assert answer.count(b"HTTP/1.1 200 ") == 1


def test_health_and_metrics_are_answered_whatever_is_going_on() -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for path in (b"/livez", b"/readyz", b"/metrics"):
            writer.write(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % path)
        return b"".join([await reader.readuntil(b"\r\n\r\n0") for _ in range(3)])

    assert talk(what, Full()).count(b"HTTP/1.1 200 ") == 3


def test_more_connections_than_there_are_handles_for_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (protocol.SPARE_FILES, 0))
    with suppress(ConnectionResetError):
        assert talk(sent(HEAD % 0)) == b""
