"""Senders that never finish, and a disk that comes back."""

import asyncio
import threading
from pathlib import Path

import pytest
from starlette.types import Message

from recommender.errors import StoreError
from recommender.page import Recommendation
from serving import requests
from serving.app import create_app
from serving.ledger import WriteBehind
from serving.site import Site
from tests.integration.serving_world import PAGE, client_of, key_to, site_in, site_of

JSON = (b"content-type", b"application/json")


def scope(path: str, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": list(headers), "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip


async def status_of(home: Path, path: str, received: list[Message], *headers: tuple[bytes, bytes]) -> int:
    """The status where the sender says this much, and then nothing more."""
    sent: list[int] = []

    async def receive() -> Message:
        return received.pop(0) if received else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message.get("status", 0))

    with site_in(home) as site:
        async with site.running():
            (key,) = key_to(site).values()
            await create_app(site)(scope(path, *headers, (b"authorization", key.encode())), receive, send)
    return sent[0]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommend", "/v1/rank"])
@pytest.mark.parametrize("received", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
def test_a_body_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, received: list[Message]
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0)
    assert asyncio.run(status_of(tmp_path, path, list(received), JSON)) == 408


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommend", "/v1/rank"])
def test_a_sender_who_goes_away_is_no_fault_of_ours(tmp_path: Path, path: str) -> None:
    assert asyncio.run(status_of(tmp_path, path, [{"type": "http.disconnect"}] * 2, JSON)) == 400


def test_answers_wait_in_memory_while_the_ledger_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise StoreError("no")

    with client_of(tmp_path) as client:
        site = site_of(client)
        assert client.portal
        with monkeypatch.context() as patched:
            patched.setattr(site.store.ledger, "write", full)
            ids = [client.post("/v1/recommend", json=PAGE).json()["recommendation_id"] for _ in range(3)]
            client.portal.call(site.ledger.flush)
            assert "ledger" in client.get("/readyz").json()["degraded"]
            assert client.portal.call(site.ledger.find, ids[0]) is not None
        client.portal.call(site.ledger.flush)
        assert "ledger" not in client.get("/readyz").json()["degraded"]
        assert all(site.store.ledger.read(id_) for id_ in ids)


def test_what_does_not_fit_in_memory_is_lost_oldest_first_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.ledger.MOST_PENDING", 2)

    async def no_background(_: WriteBehind) -> None:
        """Nothing is written unless the test says so."""

    monkeypatch.setattr(WriteBehind, "run", no_background)
    with client_of(tmp_path) as client:
        ids = [client.post("/v1/recommend", json=PAGE).json()["recommendation_id"] for _ in range(3)]
        assert "murmeli_ledger_lost_total 1.0" in client.get("/metrics").text
        assert client.portal
        assert client.portal.call(site_of(client).ledger.find, ids[0]) is None
        assert client.portal.call(site_of(client).ledger.find, ids[1]) is not None


def test_a_write_that_is_given_up_when_the_service_stops_loses_no_answer(tmp_path: Path) -> None:
    async def stop_behind_other_work(site: Site) -> None:
        go = threading.Event()
        other = asyncio.create_task(site.writer.run(go.wait))
        site.record("recommend", None, Recommendation("r1", "untrained", (), ()))
        flush = asyncio.create_task(site.ledger.flush())
        while site.ledger._pending:
            await asyncio.sleep(0)
        flush.cancel()
        go.set()
        await asyncio.gather(other, flush, return_exceptions=True)
        await site.ledger.flush()

    with site_in(tmp_path) as site:
        asyncio.run(stop_behind_other_work(site))
        assert site.store.ledger.read("r1") is not None


def test_what_is_too_old_is_forgotten_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.ledger.LARGEST_GROUP", 2)
    with site_in(tmp_path) as site:
        site.store.ledger.write([{"recommendation_id": f"r{n}", "at": n} for n in range(7)])
        asyncio.run(site.ledger.prune())
        assert site.store.ledger.state()["answers"] == 0
