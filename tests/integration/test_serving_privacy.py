"""Consent, export and erasure as a caller has them, and what is left on the disk."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender.profile import Profile
from recommender.rejects import FILE
from tests.integration.serving_world import FEATURES, PAGE, client_of, event, shown, site_of

CRM = "/v1/customers/crm:1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A site on disk, and a customer who uses `cards`, which strangers see last."""
    with client_of(tmp_path, "sqlite") as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        for n in range(5):
            opened.post("/v1/events", json=event(n, "cards", session=f"session-{n}"))
        yield opened


def refuse(client: TestClient, customer: str = "crm:1") -> None:
    said = client.put(f"/v1/customers/{customer}/consent", json={"personalise": False})
    assert said.status_code == 200, said.text


def exported(client: TestClient, customer: str = "crm:1") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/customers/{customer}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


# Consent.


def test_consent_is_written_per_purpose_and_shown_with_its_history(client: TestClient) -> None:
    assert client.get(f"{CRM}/consent").json() == {"consent": {"personalise": True, "marketing": False}, "history": []}
    client.put(f"{CRM}/consent", json={"marketing": True})
    now = client.put(f"{CRM}/consent", json={"personalise": False}).json()
    assert now == client.get(f"{CRM}/consent").json()
    assert now["consent"] == {"personalise": False, "marketing": True}
    assert [(one["purpose"], one["given"]) for one in now["history"]] == [("marketing", True), ("personalise", False)]
    assert client.get(CRM).json()["consent"] == now["consent"]


@pytest.mark.parametrize(
    "body", [{}, {"personalise": None}, {"personalise": "no"}, {"personalise": 0}, {"ads": True}, []]
)
def test_consent_that_says_nothing_clear_is_refused(client: TestClient, body: object) -> None:
    answer = client.put(f"{CRM}/consent", json=body)
    assert answer.status_code == 422
    assert client.get(f"{CRM}/consent").json()["history"] == []


def calls(client: TestClient, customer: str) -> list[Any]:
    """Every answer that could know somebody, without what differs between any two answers."""
    page = client.post("/v1/recommend", json=PAGE | {"customer": customer}).json()
    one = client.get("/v1/recommend/home.features", params={"customer": customer}).json()
    ranked = client.post("/v1/rank", json={"customer": customer, "candidates": list(FEATURES)}).json()
    why = [
        client.get("/v1/explain", params={"customer": customer, "item": item, "placement": "home.features"}).json()
        for item in FEATURES
    ]
    return [{k: v for k, v in said.items() if k != "recommendation_id"} for said in (page, one, ranked, *why)]


def test_whoever_declines_gets_what_a_stranger_gets_and_no_profile_is_read(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(client)[0] == "cards"
    stranger = calls(client, "web:stranger")
    assert calls(client, "crm:1") != stranger
    refuse(client)
    store = site_of(client).store

    def read(*what: object) -> Profile:
        raise AssertionError(f"{what} was read")

    monkeypatch.setattr(store.events, "profile", read)
    monkeypatch.setattr("recommender.stores.sqlite.consents.add_up", read)
    monkeypatch.setattr(store.identities, "find", read)
    monkeypatch.setattr(store.ledger, "given", read)
    assert calls(client, "crm:1") == stranger
    agreeing = client.post("/v1/recommend", json=PAGE | {"customer": "crm:2"})
    assert agreeing.status_code == 500  # somebody's who agrees is read, as this test notices


def test_the_ledger_says_who_was_not_personalised(client: TestClient) -> None:
    calls(client, "crm:1")
    refuse(client)
    calls(client, "crm:1")
    answers = [one for one in exported(client) if one["record"] == "answer"]
    assert [one["personalised"] for one in answers] == [True] * 3 + [False] * 3


def test_consent_that_is_given_again_counts_in_the_next_answer_with_all_that_came_meanwhile(client: TestClient) -> None:
    refuse(client)
    client.post("/v1/events", json=event(9, "pay-bill"))
    assert shown(client)[-1] == "cards"
    client.put(f"{CRM}/consent", json={"personalise": True})
    assert client.get(CRM).json()["events"] == 6
    assert shown(client)[0] == "cards"


# Export.


def test_an_export_has_all_that_the_site_keeps_also_what_is_not_on_disk_yet(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/identities/link", json={"a": "crm:1", "b": "web:1"})
    refuse(client)
    page = client.post("/v1/recommend", json=PAGE | {"customer": "web:1"}).json()
    rows = [{"customer": "crm:1", "at": "soon"}, {"customer": "crm:2", "at": "soon"}]
    (tmp_path / FILE).write_text("".join(json.dumps({"line": 1, "row": row}) + "\n" for row in rows))
    told = exported(client)
    kinds = [one["record"] for one in told]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "identity": 2,
        "consent": 2,
        "event": 5,
        "profile": 2,
        "answer": 1,
        "reject": 1,
        "end": 1,
    }
    assert told[-1] == {"record": "end", "records": len(told) - 1}
    assert [one["recommendation_id"] for one in told if one["record"] == "answer"] == [page["recommendation_id"]]
    assert "crm:2" not in str(told)


def test_every_table_that_holds_people_is_in_the_export() -> None:
    """A table that is added must be added to the export and to the erasure, or to those that hold nobody."""
    import apsw

    from recommender.stores.sqlite.schema import LEDGER, MAIN, prepare

    names = set()
    for steps in (MAIN, LEDGER):
        connection = apsw.Connection(":memory:")
        prepare(connection, steps)
        names |= {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        connection.close()
    exported_ = {"identities", "events", "parts", "consents", "answers"}
    of_nobody = {"names", "items", "totals", "keys", "tombstones", "erasing"}
    assert names - {"sqlite_sequence"} == exported_ | of_nobody


def test_a_long_export_comes_in_parts(client: TestClient) -> None:
    for start in range(0, 3_000, 500):
        body = [event(n, "loan", customer="web:long") for n in range(start, start + 500)]
        assert client.post("/v1/events", json=body).json()["accepted"] == 500
    with client.stream("GET", "/v1/customers/web:long/export") as answer:
        parts = list(answer.iter_raw())
    assert len(parts) > 3
    told = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert {one["event_id"] for one in told if one["record"] == "event"} == {f"e{n}" for n in range(3_000)}


# Erasure.


def test_after_an_erasure_nobody_is_served_exported_or_remembered(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/identities/link", json={"a": "crm:1", "b": "web:1"})
    assert shown(client)[0] == "cards"  # on the ledger, and in memory as what was shown last
    (tmp_path / FILE).write_text(json.dumps({"line": 1, "row": {"customer": "web:1"}}) + "\n")
    stranger = calls(client, "web:stranger")
    answer = client.delete("/v1/customers/web:1")
    assert answer.status_code == 200
    assert answer.json() == {"identities": 2, "events": 5, "statements": 0, "answers": 0, "rejects": 1}
    for customer in ("crm:1", "web:1"):
        assert [one["record"] for one in exported(client, customer)] == ["end"]
        assert client.get(f"/v1/customers/{customer}").json()["events"] == 0
        assert calls(client, customer) == stranger
        assert [one["record"] for one in exported(client, customer)] == ["end"]  # the answers just given are not kept
    assert client.delete(CRM).json() == dict.fromkeys(answer.json(), 0)


def test_late_events_are_rejected_as_erased_and_the_others_of_the_call_are_taken(client: TestClient) -> None:
    client.delete(CRM)
    late = [event(1, "cards"), event(99, "loan"), event(1, "loan", customer="crm:2")]
    receipt = client.post("/v1/events", json=late).json()
    assert receipt["accepted"] == 1
    assert [(one["index"], one["code"]) for one in receipt["rejected"]] == [(0, "erased"), (1, "erased")]
    assert "crm:1" not in str(receipt)
    for answer in (
        client.post("/v1/identities/link", json={"a": "crm:2", "b": "crm:1"}),
        client.put(f"{CRM}/consent", json={"personalise": True}),
    ):
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (410, "erased")


def test_nothing_of_an_erased_person_is_left_in_any_file(client: TestClient, tmp_path: Path) -> None:
    """Not in a freed page, not in a journal, not in the buffer of answers; the tombstone is a hash."""
    who = "crm:Unmistakable-Person"
    for start in range(0, 2_000, 500):  # enough to split pages and to rewrite parts
        rows = [
            event(n, FEATURES[n % 3], customer=who, session=f"Secret-Session-{n}") for n in range(start, start + 500)
        ]
        others = [event(n, FEATURES[n % 3], customer=f"web:{n % 7}") for n in range(start, start + 300)]
        assert client.post("/v1/events", json=rows).json()["accepted"] == 500
        client.post("/v1/events", json=others)
        shown(client, who)
        exported(client, "crm:1")  # writes the ledger
        refuse(client, who)
    shown(client, who)
    words = (b"Unmistakable-Person", b"Secret-Session", who.encode())
    before = {path.name for path in tmp_path.iterdir() if path.is_file() and any(w in path.read_bytes() for w in words)}
    assert {"murmeli.db", "ledger.db"} <= {name.removesuffix("-wal") for name in before}
    records = [
        body
        for (body,) in _rows(
            tmp_path,
            "SELECT substr(record, 1, 16) FROM events e JOIN identities i ON i.id = e.identity WHERE i.name = ?",
            who,
        )
    ]
    assert len(records) == 2_000
    assert client.delete(f"/v1/customers/{who}").json()["events"] == 2_000
    exported(client, "crm:1")
    for path in tmp_path.iterdir():
        content = path.read_bytes() if path.is_file() else b""
        assert not any(word in content for word in words), path.name
        assert not any(record in content for record in records), path.name
    assert client.get(CRM).json()["events"] == 5


def _rows(home: Path, query: str, *values: str) -> list[tuple[bytes]]:
    import apsw

    connection = apsw.Connection(str(home / "murmeli.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(query, values))
    finally:
        connection.close()
