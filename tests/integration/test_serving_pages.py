"""What a page call can ask for, over HTTP: context, candidates, attributes, the next part, and nothing personal."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from recommender.page import RankedItem, Recommendation, Slot, new_recommendation_id
from recommender.settings import Placement, Settings
from recommender.types import Kind
from serving.answers import RecommendationOut
from serving.pages import page
from serving.schemas import RecommendCall
from tests.integration.serving_world import ANYONE, client_of, event, site_of

ITEMS = "abcdefgh"
PLACES = {
    "menu": Placement(kind=Kind.FEATURE, size=3),
    "more": Placement(kind=Kind.FEATURE, size=2, stability=0),
    "all": Placement(kind=Kind.FEATURE, size=8, repeat=True),
    "small": Placement(kind=Kind.FEATURE, filter="not context.device == 'watch' or letter < 'c'"),
    "mail": Placement(kind=Kind.FEATURE, size=1, cap=1, implied=True),
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, settings=Settings(placements=PLACES)) as opened:
        opened.put("/v1/items", json=[feature(name) for name in ITEMS])
        opened.post("/v1/events", json=[event(n, item) for n, item in enumerate("aaaaaaaabbbbbbcccccddddeeeffg")])
        yield opened


def feature(name: str) -> dict[str, Any]:
    return {"id": name, "kind": "feature", "title": name.upper(), "attributes": {"letter": name}}


def call(client: TestClient, *slots: str | dict[str, Any], **more: object) -> dict[str, Any]:
    asked = [slot if isinstance(slot, dict) else {"placement": slot} for slot in slots]
    answer = client.post("/v1/recommend", json={"customer": "crm:1", "slots": asked} | more)
    assert answer.status_code == 200, answer.text
    RecommendationOut.model_validate_json(answer.content)
    content: dict[str, Any] = answer.json()
    return content


def listed(answer: dict[str, Any]) -> str:
    return " ".join("".join(item["item"] for item in slot["items"]) for slot in answer["slots"])


def test_what_is_declared_of_a_context_can_be_said_and_asked_for_in_rules(client: TestClient) -> None:
    assert listed(call(client, "small", context={"device": "watch"})) == "ab"
    assert len(listed(call(client, "small", context={"device": "phone"}))) == 8
    answer = client.get("/v1/recommend/small", params={"customer": "crm:1", "context.device": "watch"})
    assert listed(answer.json()) == "ab"
    why = {"customer": "crm:1", "item": "c", "placement": "small", "context.device": "watch"}
    assert "filter" in client.get("/v1/explain", params=why).json()["hidden"]


@pytest.mark.parametrize("said", [{"mood": "secret"}, {"device": "secret" * 20}, {"device": ["secret"]}])
def test_what_is_not_declared_or_does_not_fit_is_refused_without_being_shown(
    client: TestClient, said: dict[str, object]
) -> None:
    page = {"customer": "crm:1", "slots": [{"placement": "small"}], "context": said}
    answers = [client.post("/v1/recommend", json=page)]
    if isinstance(value := next(iter(said.values())), str):
        query = {"customer": "crm:1", f"context.{next(iter(said))}": value}
        answers.append(client.get("/v1/recommend/small", params=query))
    assert {answer.status_code for answer in answers} <= {400, 422}
    assert "secret" not in "".join(answer.text for answer in answers)


def test_a_slot_may_bring_its_own_candidates(client: TestClient) -> None:
    assert listed(call(client, {"placement": "menu", "candidates": ["g", "b", "nobody"]})) == "bg"


def test_items_come_with_their_attributes_when_asked(client: TestClient) -> None:
    (item, *_) = call(client, "menu", attributes=True)["slots"][0]["items"]
    assert (item["title"], item["attributes"]) == ("A", {"letter": "a"})
    assert "title" not in call(client, "menu")["slots"][0]["items"][0]
    answer = client.get("/v1/recommend/menu?customer=crm:1&attributes=true").json()
    assert answer["slots"][0]["items"][0]["title"] == "A"


def test_an_answer_that_goes_on_repeats_nothing_of_all_before(client: TestClient) -> None:
    first = call(client, "menu", "more")
    second = call(client, "menu", after=first["recommendation_id"])
    third = call(client, "menu", "more", after=second["recommendation_id"])
    assert [listed(answer) for answer in (first, second, third)] == ["abc de", "fgh", " "]
    assert listed(call(client, "all", after=first["recommendation_id"])) == "abcdefgh", "it may repeat"
    assert listed(call(client, "menu")) == "abc", "calm goes on from the first part"
    client.portal.call(site_of(client).ledger.flush)  # type: ignore[union-attr]
    query = {"customer": "crm:1", "after": first["recommendation_id"]}
    assert listed(client.get("/v1/recommend/menu", params=query).json()) == "fgh"


def test_an_answer_that_another_process_has_just_given_is_waited_for(client: TestClient) -> None:
    site = site_of(client)
    slot = Slot("menu", (RankedItem("a", 0.5, "habit"),))
    given = Recommendation(new_recommendation_id(), "main/1", (), (slot,))

    async def elsewhere() -> str:
        later = asyncio.get_running_loop().call_later
        kept = {"recommendation_id": given.recommendation_id, "at": 1, "customer": "crm:1", "slots": [asdict(slot)]}
        later(0.3, lambda: site.store.ledger.write([kept]))
        asked = RecommendCall.model_validate(
            {"customer": "crm:1", "slots": [{"placement": "menu"}], "after": given.recommendation_id}
        )
        return listed(orjson.loads(orjson.dumps(await page(site, asked, ANYONE))))

    assert client.portal
    assert client.portal.call(elsewhere) == "bcd"


def test_nobody_goes_on_from_anothers_answer(client: TestClient) -> None:
    id_ = call(client, "menu")["recommendation_id"]
    for customer, after in (("crm:2", id_), ("crm:1", "none")):
        page = {"customer": customer, "slots": [{"placement": "menu"}], "after": after}
        assert client.post("/v1/recommend", json=page).status_code == 404
    client.post("/v1/identities/link", json={"a": "web:1", "b": "crm:1"})
    assert listed(call(client, "menu", customer="web:1", after=id_)) == "def"


def test_without_personalising_everybody_gets_the_same_and_no_profile_is_read(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError

    call(client, "menu", "mail")
    store = site_of(client).store
    monkeypatch.setattr(store.events, "profile", read)
    monkeypatch.setattr(store.consents, "known", read)
    monkeypatch.setattr(store.identities, "find", read)
    monkeypatch.setattr(store.ledger, "given", read)
    slots = ["menu", "more", "mail"]
    answers = [call(client, *slots, customer=who, personalise=False) for who in ("crm:1", "crm:1", "web:new")]
    assert answers[0]["slots"] == answers[1]["slots"] == answers[2]["slots"]
    assert {item["reason"] for slot in answers[0]["slots"] for item in slot["items"]} == {"popular"}
    ranks = [
        client.post("/v1/rank", json={"customer": who, "candidates": list("cab"), "personalise": False}).json()["items"]
        for who in ("crm:1", "web:new")
    ]
    assert ranks[0] == ranks[1]
    query = {"customer": "crm:1", "personalise": "false"}
    assert client.get("/v1/recommend/menu", params=query).json()["slots"][0] == answers[0]["slots"][0]
    kept = client.portal.call(site_of(client).ledger.find, answers[0]["recommendation_id"])  # type: ignore[union-attr]
    assert kept["personalised"] is False


def test_an_explained_page_says_why_in_words_and_which_rule_moved_what(client: TestClient) -> None:
    (page,) = call(client, {"placement": "menu", "exclude": ["b"]}, explain=True)["slots"]
    told = [(item["item"], item["reason"], item["why"], item["rules"]) for item in page["items"]]
    assert told[0] == ("a", "habit", "You use this often.", [])
    assert [item for item, *_ in told] == ["a", "c", "d"]
    assert all(item["parts"].keys() == {"habit", "popularity"} for item in page["items"])


def test_caps_count_at_once_and_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(placements=PLACES)
    with client_of(tmp_path, "sqlite", settings=settings) as client:
        client.put("/v1/items", json=[feature(name) for name in "abc"])
        client.post("/v1/events", json=[event(n, item) for n, item in enumerate("aab")])
        assert [listed(call(client, "mail")) for _ in range(2)] == ["a", "b"]
    with client_of(tmp_path, "sqlite", settings=settings) as client:
        assert [listed(call(client, "mail")) for _ in range(2)] == ["c", ""]


def test_a_page_whose_only_item_was_shown_and_is_gone_is_empty(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        client.put("/v1/items", json=[{"id": "only", "kind": "feature"}])
        page = {"customer": "crm:1", "slots": [{"placement": "home.features"}]}
        assert client.post("/v1/recommend", json=page).json()["slots"][0]["items"][0]["item"] == "only"
        client.delete("/v1/items/only")
        assert client.post("/v1/recommend", json=page).json()["slots"][0]["items"] == []
