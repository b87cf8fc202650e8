import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recommender.errors import StoreError
from recommender.types import DAY
from serving.answers import ExplanationOut, Problem, RankingOut, RecommendationOut
from tests.integration.serving_world import FEATURES, PAGE, client_of, event, publish, shown, site_of


@pytest.fixture(params=["memory", "sqlite"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, request.param) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        yield opened


@pytest.mark.parametrize("id_", ["a/b", "/", "a//b/", "über/日本 🌊", "50% off?&x=1#y", "../etc", "a+b"])
def test_an_id_may_hold_any_character(client: TestClient, id_: str) -> None:
    path = "/v1/items/" + "".join(f"%{byte:02X}" for byte in id_.encode())
    assert client.put("/v1/items", json=[{"id": id_, "kind": "content", "title": "T"}]).json() == {"stored": 1}
    assert client.get(path).json()["id"] == id_
    assert client.get("/v1/similar", params={"item": id_}).status_code == 200
    client.post("/v1/events", json=event(1, customer=f"web:{id_}"))
    customer = client.get("/v1/customers/web:" + "".join(f"%{byte:02X}" for byte in id_.encode())).json()
    assert customer["identities"] == [f"web:{id_}"]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


def test_a_page_shows_no_item_twice_and_leaves_out_what_it_is_told(client: TestClient) -> None:
    slots = [{"placement": "home.features", "k": 1}, {"placement": "home.features", "exclude": ["loan"]}]
    answer = client.post("/v1/recommend", json={"customer": "crm:1", "slots": slots}).json()
    first, second = ([item["item"] for item in slot["items"]] for slot in answer["slots"])
    assert len(first) == 1
    assert sorted({*first, *second, "loan"}) == sorted(FEATURES)
    assert not {*first} & {*second}


def test_get_and_post_give_the_same_items(client: TestClient) -> None:
    client.post("/v1/events", json=event(1, "loan"))
    page = client.post("/v1/recommend", json=PAGE).json()
    assert [item["item"] for item in page["slots"][0]["items"]] == shown(client)
    assert page["slots"][0]["items"][0]["item"] == "loan"


def test_answers_fit_their_documentation(client: TestClient) -> None:
    client.post("/v1/events", json=event(1))
    RecommendationOut.model_validate_json(client.post("/v1/recommend", json=PAGE | {"explain": True}).content)
    RankingOut.model_validate_json(
        client.post("/v1/rank", json={"customer": "crm:1", "candidates": ["x", "loan"]}).content
    )
    RankingOut.model_validate_json(client.get("/v1/similar?item=loan").content)
    why = {"customer": "crm:1", "item": "loan", "placement": "home.features"}
    ExplanationOut.model_validate_json(client.get("/v1/explain", params=why).content)


def test_the_callers_own_list_comes_back_ranked_and_whole(client: TestClient) -> None:
    client.post("/v1/events", json=event(1, "loan"))
    call = {"customer": "crm:1", "candidates": ["nobody-knows", "cards", "loan"]}
    items = [item["item"] for item in client.post("/v1/rank", json=call).json()["items"]]
    assert items == ["loan", "cards", "nobody-knows"]


def test_a_new_item_can_be_shown_from_the_next_answer_on_and_a_deleted_one_is_not(client: TestClient) -> None:
    client.put("/v1/items", json=[{"id": "new", "kind": "feature"}])
    assert "new" in shown(client)
    client.delete("/v1/items/new")
    assert "new" not in shown(client)


def test_an_item_keeps_its_kind(client: TestClient) -> None:
    answer = client.put("/v1/items", json=[{"id": "loan", "kind": "content"}])
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:murmeli:problem:conflict")


def test_an_unknown_placement_is_404_and_names_those_there_are(client: TestClient) -> None:
    answer = client.get("/v1/recommend/secret-place?customer=crm:1")
    assert answer.status_code == 404
    assert "home.features" in answer.json()["detail"]
    assert "secret-place" not in answer.text


def test_an_instant_may_be_given_in_any_form_or_is_refused(client: TestClient) -> None:
    for at in ("2026-11-22T16:00:00+02:00", "2026-11-22 16:00", 1_700_000_000, 1_700_000_000_000):
        assert client.post("/v1/recommend", json=PAGE | {"context": {"at": at}}).status_code == 200
    assert client.post("/v1/recommend", json=PAGE | {"context": {"at": "noon"}}).status_code == 400
    assert client.post("/v1/recommend", json=PAGE | {"context": {"at": True}}).status_code == 422


def test_linking_gives_one_page_and_unlinking_gives_each_its_own_back(client: TestClient) -> None:
    client.post("/v1/events", json=[event(1, "loan", customer="web:x"), event(2, "cards", customer="crm:y")])
    apart = shown(client, "web:x"), shown(client, "crm:y")
    assert apart[0][0] == "loan"
    assert apart[1][0] == "cards"
    linked = client.post("/v1/identities/link", json={"a": "web:x", "b": "crm:y"}).json()
    assert linked == {"identities": ["crm:y", "web:x"]}
    assert shown(client, "web:x") == shown(client, "crm:y")
    assert set(shown(client, "web:x")[:2]) == {"loan", "cards"}
    assert client.post("/v1/identities/unlink", json={"identity": "web:x"}).json() == {"identities": ["web:x"]}
    assert (shown(client, "web:x"), shown(client, "crm:y")) == apart


def test_a_page_stays_calm_over_a_restart_and_a_model_that_takes_over(tmp_path: Path) -> None:
    def places(client: TestClient) -> dict[str, tuple[int, list[str]]]:
        page = client.post("/v1/recommend", json=PAGE | {"explain": True}).json()["slots"][0]["items"]
        return {item["item"]: (place, item["rules"]) for place, item in enumerate(page)}

    with client_of(tmp_path, "sqlite") as client:
        client.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        first, second, third = shown(client)
        client.post("/v1/events", json=event(1, third))
        calm = {third: (0, []), second: (1, ["stability"]), first: (2, ["stability"])}
        assert places(client) == calm
        publish(tmp_path, third)
        client.post("/v1/models/main/1/promote")
        assert places(client).keys() == calm.keys()
        assert [*places(client)] == [*calm]
    with client_of(tmp_path, "sqlite") as client:
        assert [*places(client)] == [*calm]
        assert shown(client, "web:nobody")[0] == third


def test_a_ledger_that_cannot_be_read_costs_the_calm_and_not_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise StoreError("no")

    with client_of(tmp_path) as client:
        monkeypatch.setattr(site_of(client).store.ledger, "given", broken)
        client.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        assert sorted(shown(client)) == sorted(FEATURES)
        assert 'murmeli_answers_degraded_total{part="ledger"} 1.0' in client.get("/metrics").text


def test_two_strong_identities_of_two_people_are_never_linked(client: TestClient) -> None:
    client.post("/v1/events", json=[event(1, customer="crm:1"), event(2, customer="crm:2")])
    answer = client.post("/v1/identities/link", json={"a": "crm:1", "b": "crm:2"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:murmeli:problem:conflict")


def test_every_answer_is_on_the_ledger(client: TestClient) -> None:
    calls = [
        client.post("/v1/recommend", json=PAGE),
        client.get("/v1/recommend/home.features?customer=crm:1"),
        client.post("/v1/rank", json={"customer": "crm:1", "candidates": ["loan"]}),
        client.get("/v1/similar?item=loan"),
    ]
    ids = [call.json()["recommendation_id"] for call in calls]
    assert ids == sorted(set(ids))
    ledger = site_of(client).ledger
    kept = [client.portal.call(ledger.find, id_) for id_ in ids]  # type: ignore[union-attr]
    client.portal.call(ledger.flush)  # type: ignore[union-attr]
    assert [site_of(client).store.ledger.read(id_) for id_ in ids] == kept
    assert [one["call"] for one in kept if one] == ["recommend", "recommend", "rank", "similar"]
    assert kept[0] is not None
    assert kept[0]["slots"][0]["items"] == calls[0].json()["slots"][0]["items"]


def test_the_ledger_forgets_after_its_days(client: TestClient) -> None:
    ledger = site_of(client).store.ledger
    ledger.write([{"recommendation_id": "old", "at": 0}])
    id_ = client.post("/v1/recommend", json=PAGE).json()["recommendation_id"]
    client.portal.call(site_of(client).ledger.flush)  # type: ignore[union-attr]
    client.portal.call(site_of(client).ledger.prune)  # type: ignore[union-attr]
    assert ledger.read("old") is None
    assert ledger.read(id_) is not None
    assert ledger.state()["oldest"] > DAY


def test_a_promoted_model_answers_next_and_a_rollback_brings_back_the_one_before(
    client: TestClient, tmp_path: Path
) -> None:
    for item in ("loan", "cards"):
        publish(tmp_path, item)
    for version, item in ((1, "loan"), (2, "cards")):
        answer = client.post(f"/v1/models/main/{version}/promote").json()
        assert answer == {"champion": f"main/{version}", "serving": f"main/{version}"}
        assert shown(client)[0] == item
    assert client.post("/v1/models/main/rollback").json()["serving"] == "main/1"
    assert shown(client)[0] == "loan"
    found: dict[str, Any] = client.get("/v1/models").json()
    assert found["serving"] == "main/1"
    assert [(one["version"], one["ok"]) for one in found["models"][0]["versions"]] == [(1, True), (2, True)]


def test_what_the_gate_refuses_is_a_problem_with_its_reasons_and_force_is_recorded(
    client: TestClient, tmp_path: Path
) -> None:
    publish(tmp_path, "loan", behind=-0.1)
    refused = client.post("/v1/models/main/1/promote")
    problem = Problem.model_validate_json(refused.content)
    assert (refused.status_code, problem.type) == (409, "urn:murmeli:problem:refused")
    assert problem.reasons is not None
    assert problem.reasons[0].startswith("feature: worse than most-used: mrr 0.5000 against 0.6000")
    assert client.get("/v1/models").json()["models"][0]["champion"] is None
    for force in ("", "two\nlines", 7):
        assert client.post("/v1/models/main/1/promote", json={"force": force}).status_code == 422
    assert client.post("/v1/models/main/1/promote", json={"force": "The owner says so."}).json()["serving"] == "main/1"
    (record,) = client.get("/v1/models").json()["models"][0]["forced"]
    assert (record["version"], record["who"], record["reason"]) == (1, "http", "The owner says so.")
    assert record["objections"] == problem.reasons


def test_a_damaged_champion_is_refused_and_the_old_one_goes_on(
    client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path, "loan")
    client.post("/v1/models/main/1/promote")
    publish(tmp_path, "cards")
    next((tmp_path / "models/main/2").glob("*.npy")).write_bytes(b"gone")
    assert client.post("/v1/models/main/2/promote").json()["type"] == "urn:murmeli:problem:model-damaged"
    (tmp_path / "models/main/aliases.json").write_text('{"champion": 2, "challenger": null, "history": [1]}')
    with caplog.at_level(logging.INFO, "murmeli"):
        client.portal.call(site_of(client).live.catch_up)  # type: ignore[union-attr]
    assert "refused" in caplog.text
    assert shown(client)[0] == "loan"
    assert client.get("/readyz").json() == {"status": "ready", "model": "main/1", "degraded": ["champion"]}
    assert client.post("/v1/recommend", json=PAGE).json()["degraded"] == ["champion"]
    assert client.post("/v1/models/main/1/promote").json()["serving"] == "main/1"
    assert client.get("/readyz").json()["degraded"] == []


def test_a_service_starts_with_the_newest_whole_champion(tmp_path: Path) -> None:
    for item in ("loan", "cards"):
        publish(tmp_path, item)
    (tmp_path / "models/main/aliases.json").write_text('{"champion": 2, "challenger": null, "history": [1]}')
    (tmp_path / "models/main/2/manifest.json").write_text("{}")
    with client_of(tmp_path) as client:
        assert client.get("/readyz").json() == {"status": "ready", "model": "main/1", "degraded": ["champion"]}


def test_without_a_model_it_is_ready_and_says_what_is_missing(client: TestClient) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready", "model": "untrained", "degraded": ["model"]}
