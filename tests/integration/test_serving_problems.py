from collections.abc import Iterator

import orjson
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.types import Kind
from serving.answers import Problem
from tests.integration.serving_world import PAGE, client_of, event

CANARY = "greta-4711@person.example"
LONG = f"{CANARY}-" * 20
CONTROL = f"{CANARY}\n"

BODIES: list[object] = [
    CANARY,
    [CANARY],
    {CANARY: CANARY},
    {"customer": LONG, "slots": [{"placement": CANARY, "k": CANARY, CANARY: 1}], "context": {"at": [CANARY]}},
    {"customer": f"{CANARY}:x", "slots": CANARY, "candidates": [CONTROL], "kind": CANARY, "context": CANARY},
    {"customer": "crm:1", "slots": [{"placement": CANARY}]},
    {"customer": "crm:1", "candidates": [{CANARY: 1}, "a"], "context": {"channel": CONTROL}},
    {"customer": "crm:1", "slots": [{"placement": "home.features"}], "context": {"at": CANARY}},
    {"a": f"{CANARY}:x", "b": LONG, "identity": CONTROL},
    {"a": {"x": CANARY}, "b": 7, CANARY: 1},
    [{"id": LONG, "kind": CANARY, "title": 1, "attributes": {CANARY: {CANARY: 1}, LONG: [1, CANARY]}}],
    [{"id": CONTROL, "kind": "content", CANARY: None}],
]
WRITES = [
    ("POST", "/v1/recommend"),
    ("POST", "/v1/rank"),
    ("PUT", "/v1/items"),
    ("POST", "/v1/identities/link"),
    ("POST", "/v1/identities/unlink"),
]
READS = [
    f"/v1/{CANARY}",
    f"/v1/recommend/{CANARY}?customer=crm:1",
    f"/v1/recommend/home.features?customer={CANARY}:x&k={CANARY}&at={CANARY}",
    f"/v1/recommend/home.features?customer=crm:1&at={CANARY}",
    f"/v1/recommend/home.features?customer=crm:1&exclude={LONG}",
    "/v1/recommend/home.features",
    f"/v1/similar?item={CANARY}",
    f"/v1/similar?item={CANARY}%00",
    f"/v1/explain?customer={LONG}&item={LONG}&placement={CANARY}",
    f"/v1/explain?customer=crm:1&item=a&placement={CANARY}",
    f"/v1/items/{CANARY}",
    f"/v1/items/{LONG}",
    f"/v1/customers/{CANARY}:x",
    f"/v1/customers/{LONG}",
    f"/v1/customers/crm:1?limit={CANARY}",
]
OTHERS = [
    ("POST", f"/v1/models/{CANARY}/1/promote"),
    ("POST", "/v1/models/greta-4711/1/promote"),
    ("POST", "/v1/models/greta-4711/champion/promote"),
    ("POST", "/v1/models/greta-4711/rollback"),
    ("POST", f"/v1/models/main/{CANARY}/promote"),
    ("POST", f"/v1/models/{CANARY}/rollback"),
    ("DELETE", f"/v1/items/{CANARY}"),
    ("DELETE", f"/v1/events?{CANARY}"),
    ("PATCH", f"/v1/items/{CANARY}"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(tmp_path_factory.mktemp("home")) as opened:
        yield opened


def assert_problem(client: TestClient, method: str, url: str, content: bytes = b"", **headers: str) -> None:
    answer = client.request(method, url, content=content, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = Problem.model_validate_json(answer.content)
    assert document.status == answer.status_code
    assert document.type.startswith("urn:murmeli:problem:")
    assert "greta" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("method", "url"), WRITES)
def test_no_problem_shows_what_a_body_held(client: TestClient, method: str, url: str, body: object) -> None:
    assert_problem(client, method, url, orjson.dumps(body), **{"content-type": "application/json"})


@pytest.mark.parametrize("content", [b'{"customer": "%s' % CANARY.encode(), b"NaN", b"1e999", b"[" * 5000, b"\xff"])
@pytest.mark.parametrize(("method", "url"), WRITES)
def test_no_problem_shows_what_a_broken_body_held(client: TestClient, method: str, url: str, content: bytes) -> None:
    assert_problem(client, method, url, content, **{"content-type": "application/json"})


@pytest.mark.parametrize(("method", "url"), WRITES)
def test_a_body_that_is_not_said_to_be_json_or_is_too_large_is_a_problem(
    client: TestClient, method: str, url: str
) -> None:
    assert_problem(client, method, url, orjson.dumps(PAGE))
    assert_problem(client, method, url, b" " * 1_000_001, **{"content-type": "application/json"})


@pytest.mark.parametrize("url", READS)
def test_no_problem_shows_what_an_address_held(client: TestClient, url: str) -> None:
    assert_problem(client, "GET", url)


@pytest.mark.parametrize(("method", "url"), OTHERS)
def test_no_problem_shows_what_another_call_held(client: TestClient, method: str, url: str) -> None:
    assert_problem(client, method, url)


def test_no_reject_shows_what_a_row_held(client: TestClient) -> None:
    wrong = {"customer": LONG, "type": LONG, "item": CONTROL, "kind": CANARY, "at": CANARY, "channel": LONG}
    wrong |= {"session": LONG, "recommendation_id": CONTROL, "position": CANARY, "value": CANARY, "properties": CANARY}
    rows: list[object] = [event(1) | {name: value} for name, value in wrong.items()]
    rows += [{CANARY: 1}, CANARY, event(2) | {"event_id": LONG}, event(3) | {CANARY: 1}]
    answer = client.post("/v1/events", json=rows)
    assert len(answer.json()["rejected"]) == len(rows)
    assert "greta" not in answer.text


def test_a_page_of_another_site_may_not_write(client: TestClient) -> None:
    assert_problem(client, "POST", "/v1/events", orjson.dumps(event(1)), **{"sec-fetch-site": "cross-site"})


def test_a_fault_of_ours_is_a_problem_too_and_its_message_is_in_no_log(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fault(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("serving.routes.recommend._kind_of", fault)
    answer = client.post("/v1/rank", json={"customer": "crm:1", "candidates": ["a"]})
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:murmeli:problem:internal")
    assert answer.headers["x-request-id"]
    assert "greta" not in answer.text + "".join(capfd.readouterr())


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "customer slots context explain candidates kind a b identity id title attributes available event_id type item at"
)
LIKE_OURS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS.split(), JSON | st.sampled_from(["crm:1", *Kind])))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=st.sampled_from([*WRITES, ("POST", "/v1/events")]), body=JSON | LIKE_OURS | st.lists(LIKE_OURS, max_size=3))
def test_whatever_json_comes_it_is_no_fault_of_ours(client: TestClient, call: tuple[str, str], body: object) -> None:
    answer = client.request(*call, content=orjson.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code < 500, (body, answer.text)
