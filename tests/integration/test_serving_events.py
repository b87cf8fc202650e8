from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient

from recommender.errors import StoreFullError
from serving.requests import LARGEST_BODY
from serving.schemas import MOST_EVENTS
from tests.integration.serving_world import client_of, event, shown, site_of

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(params=["memory", "sqlite"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, request.param) as opened:
        yield opened


def receipt(client: TestClient, body: object, **headers: str) -> tuple[int, int, list[tuple[int, str]]]:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = client.post("/v1/events", content=content, headers=headers or {"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["accepted"], found["duplicate"], [(one["index"], one["code"]) for one in found["rejected"]]


def test_one_event_an_array_and_lines_are_all_taken(client: TestClient) -> None:
    assert receipt(client, event(1)) == (1, 0, [])
    assert receipt(client, [event(2), event(3)]) == (2, 0, [])
    assert receipt(client, b"\n".join(orjson.dumps(event(n)) for n in (4, 5)), **NDJSON) == (2, 0, [])
    assert client.get("/v1/customers/crm:1").json()["events"] == 5


def test_lines_are_recognised_without_their_content_type(client: TestClient) -> None:
    assert receipt(client, b"\n".join([orjson.dumps(event(1)), b"", orjson.dumps(event(2)), b""])) == (2, 0, [])


def test_an_empty_array_is_taken_and_is_nothing(client: TestClient) -> None:
    assert receipt(client, []) == (0, 0, [])


def test_each_row_has_its_own_outcome_and_a_bad_one_costs_no_other(client: TestClient) -> None:
    rows = [event(1), {**event(2), "customer": "x" * 300}, 7, event(1), event(1, "loan"), {"type": "use"}, event(3)]
    assert receipt(client, rows) == (
        2,
        1,
        [(1, "bad_customer"), (2, "not_an_object"), (4, "conflict"), (5, "no_customer")],
    )


def test_a_repeated_event_is_a_duplicate_and_changes_nothing(client: TestClient) -> None:
    receipt(client, event(1))
    before = client.get("/v1/customers/crm:1").json()
    assert receipt(client, event(1)) == (0, 1, [])
    assert client.get("/v1/customers/crm:1").json() == before


@pytest.mark.parametrize("wrong", [b"NaN", b"1e999", rb'"\ud800"', b'"\xff"', b"[" * 5000])
def test_a_line_that_is_not_json_is_rejected_alone(client: TestClient, wrong: bytes) -> None:
    bad = b'{"event_id":"e2","customer":"crm:1","type":"use","value":' + wrong + b"}"
    lines = b"\n".join([orjson.dumps(event(1)), bad, orjson.dumps(event(3))])
    assert receipt(client, lines, **NDJSON) == (2, 0, [(1, "not_json")])


def test_a_null_is_json_but_no_event_whichever_way_it_comes(client: TestClient) -> None:
    assert receipt(client, [event(1), None]) == (1, 0, [(1, "not_an_object")])
    assert receipt(client, [None, event(2)]) == (1, 0, [(0, "not_an_object")])
    assert receipt(client, orjson.dumps(event(3)) + b"\nnull", **NDJSON) == (1, 0, [(1, "not_an_object")])


def test_a_nul_in_an_id_is_rejected_alone(client: TestClient) -> None:
    assert receipt(client, [event(1), event(2, "a\0b")]) == (1, 0, [(1, "bad_item")])


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[1e999]", rb'["\ud800"]', b"[" * 5000 + b"]" * 5000, b"\xff"])
def test_a_body_that_is_not_json_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/events", content=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:murmeli:problem:invalid-json")


@pytest.mark.parametrize("body", [b"7", b'"text"', b"null", b"true"])
def test_json_that_is_no_event_is_a_problem(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/events", content=body).status_code == 400


def test_too_much_is_refused_whole_with_the_remedy(client: TestClient) -> None:
    many = client.post("/v1/events", json=[event(n) for n in range(MOST_EVENTS + 1)])
    large = client.post("/v1/events", content=b" " * (LARGEST_BODY + 1))
    streamed = client.post("/v1/events", content=iter([b" " * LARGEST_BODY, b" "]))
    assert [answer.status_code for answer in (many, large, streamed)] == [413] * 3
    assert all("several calls" in answer.json()["detail"] for answer in (many, large, streamed))
    assert client.get("/v1/customers/crm:1").json()["events"] == 0


def test_as_many_as_are_allowed_are_taken(client: TestClient) -> None:
    assert receipt(client, [event(n) for n in range(MOST_EVENTS)]) == (MOST_EVENTS, 0, [])


def test_an_event_counts_in_the_next_answer_every_time(client: TestClient) -> None:
    for n in range(50):
        client.post("/v1/events", json=[event(2 * n, f"item-{n}"), event(2 * n + 1, f"item-{n}")])
        assert f"item-{n}" in shown(client)
        assert client.get("/v1/customers/crm:1").json()["recent"][0]["item"] == f"item-{n}"


def test_late_events_give_what_ordered_ones_give(client: TestClient) -> None:
    times = ("2026-01-01T08:00:00Z", "2026-01-02T09:00:00Z", "2026-01-03T10:00:00Z")
    days = [event(n, f"item-{n}", at=at) for n, at in enumerate(times)]
    client.post("/v1/events", json=days)
    client.post("/v1/events", json=[day | {"customer": "crm:2"} for day in reversed(days)])
    first, second = (client.get(f"/v1/customers/crm:{n}").json() for n in (1, 2))
    assert first["habits"] == second["habits"]
    assert [one["item"] for one in first["recent"]] == [one["item"] for one in second["recent"]]


def test_a_full_store_is_507_while_reading_goes_on_and_it_recovers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise StoreFullError("No room left. Make room on the disk.")

    receipt(client, event(1))
    with monkeypatch.context() as patched:
        patched.setattr(site_of(client).store.events, "append", full)
        answer = client.post("/v1/events", json=event(2))
        assert (answer.status_code, answer.json()["type"]) == (507, "urn:murmeli:problem:store-full")
        assert shown(client) == ["pay-bill"]
        assert "store" in client.get("/readyz").json()["degraded"]
    assert receipt(client, event(2)) == (1, 0, [])
    assert "store" not in client.get("/readyz").json()["degraded"]
