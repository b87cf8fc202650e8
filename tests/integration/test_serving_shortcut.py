"""The short way and FastAPI's way are one service."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.serving_world import FEATURES, client_of, event

SHORT = {"content-type": "application/json"}
LONG = {"content-type": "application/json; charset=utf-8"}
AT = {"context": {"at": "2030-01-01T00:00:00Z"}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(tmp_path_factory.mktemp("home")) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        opened.post("/v1/events", json=event(1))
        yield opened


def both(client: TestClient, path: str, body: object) -> list[tuple[int, Any]]:
    """Status and content by each way; ids of answers, which are new each time, taken out."""
    found = []
    for headers in (SHORT, LONG):
        answer = client.post(path, content=orjson.dumps(body), headers=headers)
        content = answer.json()
        content.pop("recommendation_id", None)
        found.append((answer.status_code, content))
    return found


SLOT = st.fixed_dictionaries(
    {"placement": st.sampled_from(["home.features", "home.content", "nowhere", 7])},
    optional={
        "k": st.sampled_from([1, 2, 0, 1001, "2", None, True, 1.0]),
        "exclude": st.lists(st.sampled_from(["loan", "", "x" * 257, 3]), max_size=2),
        "other": st.none(),
    },
)
CALL = st.fixed_dictionaries(
    {"customer": st.sampled_from(["crm:1", "1", "", "X:1", 1]), "slots": st.lists(SLOT, max_size=2)},
    optional={
        "context": st.sampled_from([{"channel": "web"}, {"at": "noon"}, {"at": 1}, {"channel": ""}, None, {}]),
        "explain": st.sampled_from([True, False, "yes", 2]),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=CALL)
def test_both_ways_give_the_same_page_or_the_same_problem(client: TestClient, call: dict[str, Any]) -> None:
    short, long = both(client, "/v1/recommend", AT | call)
    assert short == long


@pytest.mark.parametrize("body", [[], {}, 7, None, [7, event(1)], [event(1), 7], event(1) | {"x": 1}, [event(1)] * 501])
def test_both_ways_give_the_same_receipt_or_the_same_problem(client: TestClient, body: object) -> None:
    short, long = both(client, "/v1/events", body)
    assert short == long


def test_both_ways_count_as_the_same_route(client: TestClient) -> None:
    def count() -> float:
        lines = client.get("/metrics").text.splitlines()
        name = 'murmeli_http_requests_total{method="POST",route="/v1/recommend",status="200"} '
        return float(next((line.removeprefix(name) for line in lines if line.startswith(name)), "0"))

    before = count()
    both(client, "/v1/recommend", {"customer": "crm:1", "slots": [{"placement": "home.features"}]})
    assert count() == before + 2
