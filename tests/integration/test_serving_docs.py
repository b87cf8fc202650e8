import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.routes.docs import curl
from tests.integration.serving_world import FEATURES, client_of, event


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        opened.post("/v1/events", json=event(1))
        yield opened


def operations(client: TestClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_documented_example_works(client: TestClient) -> None:
    api = client.get("/openapi.json").json()
    tried = 0
    for path, method, operation in operations(client):
        if path.startswith("/v1/models/"):
            continue
        words = shlex.split(curl(api, "", path, method, operation))
        url = next(word for word in words[1:] if word.startswith("/"))
        body = words[words.index("-d") + 1] if "-d" in words else None
        answer = client.request(method, url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code < 300, (words, answer.text)
        tried += 1
    assert tried >= 14


def test_every_example_of_events_is_taken(client: TestClient) -> None:
    body = client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]["requestBody"]
    for example in body["content"]["application/json"]["examples"].values():
        answer = client.post("/v1/events", json=example["value"]).json()
        assert answer["rejected"] == []
        assert answer["accepted"] >= 1


def test_every_call_says_what_it_is_for_and_how_it_fails(client: TestClient) -> None:
    for path, _, operation in operations(client):
        assert operation["summary"], path
        assert operation["description"], path
        assert {"4XX", "5XX"} <= operation["responses"].keys(), path


def test_every_call_says_what_key_it_needs(client: TestClient) -> None:
    api = client.get("/openapi.json").json()
    assert api["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, method, operation in operations(client):
        without = client.request(method, path.replace("{", "").replace("}", ""), headers={"authorization": ""})
        assert (without.status_code == 401) == bool(operation["security"]), path
    needed = api["paths"]["/v1/recommend"]["post"]["security"]
    assert needed == [{"key": []}, {"key": [], "customer_token": []}]


def test_the_page_lists_every_call_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    for path, method, _ in operations(client):
        assert f"<b>{method}</b><code>{path}</code>" in page
    assert not re.search(r"<script|<link|src=|@import", page)


def test_metrics_name_routes_and_no_ids(client: TestClient) -> None:
    client.get("/v1/customers/crm:secret-id")
    client.get("/secret-id")
    text = client.get("/metrics").text
    assert 'route="/v1/customers/{customer:path}"' in text
    assert 'murmeli_events_total{outcome="accepted"} 1.0' in text
    assert "secret-id" not in text
