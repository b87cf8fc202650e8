"""What operators see of a service from outside."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.integration.serving_world import FEATURES, PAGE, client_of, event, publish, site_of


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        yield opened


def metric(client: TestClient, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_each_slot_is_timed_and_its_candidates_counted_under_its_placement(client: TestClient) -> None:
    slots = [{"placement": "home.features", "exclude": ["loan"]}, {"placement": "home.content"}]
    client.post("/v1/recommend", json=PAGE | {"slots": slots})
    for placement, candidates in (("home.features", len(FEATURES) - 1), ("home.content", 0)):
        label = f'{{placement="{placement}"}}'
        assert metric(client, f"murmeli_slot_duration_seconds_count{label}") == 1
        assert metric(client, f"murmeli_slot_candidates_sum{label}") == candidates


def test_the_lag_of_events_is_that_of_the_middle_one(client: TestClient) -> None:
    client.post("/v1/events", json=[event(n, at="2026-01-01T00:00:00Z") for n in range(3)])
    assert metric(client, "murmeli_event_lag_seconds") > 86_400
    client.post("/v1/events", json=event(9))
    assert metric(client, "murmeli_event_lag_seconds") < 60


def test_the_age_of_a_model_is_that_of_its_newest_event(client: TestClient, tmp_path: Path) -> None:
    assert metric(client, "murmeli_model_age_seconds") == 0
    publish(tmp_path, "loan")
    client.post("/v1/models/main/1/promote", json={"force": "a test"})
    manifest = site_of(client).live.recommender.model.manifest
    assert manifest
    assert (metric(client, "murmeli_model_age_seconds") > 0) == (manifest.log.last > 0)


def test_the_ledgers_lag_is_nothing_once_it_is_written(client: TestClient) -> None:
    client.post("/v1/recommend", json=PAGE)
    assert client.portal
    client.portal.call(site_of(client).ledger.flush)
    assert metric(client, "murmeli_ledger_lag_seconds") == 0
