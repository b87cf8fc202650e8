"""A page goes out in time whatever happens behind it, and says what it had to do without."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from recommender.errors import StoreError
from recommender.history import Query
from recommender.keys import new_key
from recommender.secrets import Secret
from recommender.sources.base import Scores
from recommender.sources.habit import Habit
from recommender.types import Role
from serving.app import create_app
from serving.reads import FAILURES, Reads
from serving.site import Site
from tests.integration.serving_world import FEATURES, PAGE, client_of, event, key_to, publish, site_in, site_of


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish(tmp_path, "loan")
    with client_of(tmp_path) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        opened.post("/v1/events", json=[event(n) for n in range(5)])
        opened.post("/v1/models/main/1/promote", json={"force": "a test"})
        yield opened


def unreadable(*_: object) -> None:
    raise StoreError("no")


def counted(client: TestClient, part: str) -> float:
    name = f'murmeli_answers_degraded_total{{part="{part}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_without_its_profile_a_page_is_popular_says_so_and_is_counted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(site_of(client).store.consents, "known", unreadable)
        answer = client.post("/v1/recommend", json=PAGE)
        assert (answer.status_code, answer.json()["degraded"]) == (200, ["profile"])
        shown = answer.json()["slots"][0]["items"]
        assert (shown[0]["item"], shown[0]["reason"]) == ("loan", "popular")
        ranked = client.post("/v1/rank", json={"customer": "crm:1", "candidates": list(FEATURES), "kind": "feature"})
        assert (ranked.json()["degraded"], ranked.json()["items"][0]["item"]) == (["profile"], "loan")
        assert "profile" in client.get("/readyz").json()["degraded"]
        assert counted(client, "profile") == 2
    assert client.post("/v1/recommend", json=PAGE).json()["degraded"] == []
    assert "profile" not in client.get("/readyz").json()["degraded"]


def test_a_remote_store_that_hangs_holds_up_no_page_beyond_its_deadline(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, site = threading.Event(), site_of(client)
    monkeypatch.setattr(site.reads, "_threads", Reads(remote=True)._threads)
    monkeypatch.setattr(site.store.consents, "known", lambda *_: go.wait(60))
    try:
        assert client.post("/v1/recommend", json=PAGE).json()["degraded"] == ["profile"]
        assert client.get("/livez").status_code == 200
    finally:
        go.set()


def test_a_store_that_failed_a_few_times_is_left_alone_for_a_moment_and_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, asked = Reads(remote=False), []

    def fail() -> str:
        asked.append(1)
        raise StoreError("no")

    async def ask(now: float) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: now)
        assert await reads.before(now + 1, fail) is None

    for now in (*[0.0] * (FAILURES + 3), 60.0):
        asyncio.run(ask(now))
    assert (len(asked), reads.failing) == (FAILURES + 1, True)
    assert asyncio.run(reads.before(1e9, lambda: "read")) is None
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    assert asyncio.run(reads.before(1e9, lambda: "read")) == "read"
    assert not reads.failing


@pytest.mark.parametrize("reason", ["late", "broken"])
def test_a_slot_that_cannot_be_ranked_is_popular_and_is_named(tmp_path: Path, reason: str) -> None:
    with client_of(tmp_path) as client, pytest.MonkeyPatch.context() as patched:
        client.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        if reason == "late":
            patched.setattr("serving.pages.deadline", lambda _: time.monotonic() - 1)
        else:
            patched.setattr(Habit, "score", broken)
        answer = client.post("/v1/recommend", json=PAGE)
        assert answer.status_code == 200
        assert answer.json()["degraded"] == ["model", "placement:home.features"]
        assert len(answer.json()["slots"][0]["items"]) == len(FEATURES)
        assert counted(client, "placement:home.features") == 1


def broken(_: Habit, __: list[Query]) -> list[Scores]:
    raise ZeroDivisionError


def test_a_degraded_answer_is_on_the_ledger_as_such(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    site: Site = site_of(client)
    monkeypatch.setattr(site.store.consents, "known", unreadable)
    id_ = client.post("/v1/recommend", json=PAGE).json()["recommendation_id"]
    assert client.portal
    kept = client.portal.call(site.ledger.find, id_)
    assert kept
    assert kept["degraded"] == ["profile"]


def test_keys_of_another_secret_are_told_until_they_are_revoked(tmp_path: Path) -> None:
    with site_in(tmp_path) as site, TestClient(create_app(site), headers=key_to(site)) as client:
        other, _ = new_key(site.store.keys, Secret(tmp_path / "elsewhere"), Role.DATA)
        site.keyring.refresh()
        assert "keys" in client.get("/readyz").json()["degraded"]
        site.store.keys.revoke(other.prefix, 1)
        site.keyring.refresh()
        assert "keys" not in client.get("/readyz").json()["degraded"]
