"""`murmeli.toml` is followed while pages are served, and a wrong one changes nothing."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from recommender.settings import FILE, load_settings
from tests.integration.serving_world import FEATURES, client_of, event, publish, shown, site_of

MENU = '[placements."home.features"]\nkind = "feature"\nstability = 0\n'


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    (tmp_path / FILE).write_text(MENU)
    with client_of(tmp_path, settings=load_settings(tmp_path)) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        opened.post("/v1/events", json=event(1, "loan"))
        yield opened


def edit(client: TestClient, home: Path, text: str | None) -> None:
    (home / FILE).unlink() if text is None else (home / FILE).write_text(text)
    catch_up(client)


def catch_up(client: TestClient) -> None:
    assert client.portal
    client.portal.call(site_of(client).edited.catch_up)


def degraded(client: TestClient) -> list[str]:
    found: list[str] = client.get("/readyz").json()["degraded"]
    return found


def test_a_changed_placement_is_in_the_next_answer(client: TestClient, tmp_path: Path) -> None:
    assert shown(client)[0] == "loan"
    edit(client, tmp_path, MENU + 'pins = {cards = 1}\n[placements.new]\nkind = "feature"\nsize = 1')
    assert shown(client)[:2] == ["cards", "loan"]
    assert len(client.get("/v1/recommend/new?customer=crm:1").json()["slots"][0]["items"]) == 1
    edit(client, tmp_path, MENU)
    assert shown(client)[0] == "loan"
    assert client.get("/v1/recommend/new?customer=crm:1").status_code == 404


@pytest.mark.parametrize("wrong", [MENU + "colour = 1", MENU + "filter = 'price <'", "[placements", None])
def test_a_wrong_file_changes_nothing_and_is_told_of_until_it_is_right(
    client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str | None
) -> None:
    edit(client, tmp_path, MENU + "pins = {cards = 1}")
    with caplog.at_level(logging.INFO, "murmeli"):
        edit(client, tmp_path, wrong)
        catch_up(client)
    assert [record.message for record in caplog.records] == ["The settings are refused; those in use go on."]
    assert shown(client)[0] == "cards"
    assert "settings" in degraded(client)
    edit(client, tmp_path, MENU)
    assert "settings" not in degraded(client)
    assert shown(client)[0] == "loan"


def test_a_change_outlives_a_new_model_and_what_wants_a_restart_is_told(
    client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "murmeli"):
        edit(client, tmp_path, 'zone = "Europe/Helsinki"\n' + MENU + "pins = {cards = 1}")
    assert [record.fields for record in caplog.records] == [{"restart_for": ["zone"]}]  # type: ignore[attr-defined]
    publish(tmp_path, "loan")
    client.post("/v1/models/main/1/promote", json={"force": "a test"})
    assert shown(client)[:2] == ["cards", "loan"]
