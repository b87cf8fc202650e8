"""An item that was put into the catalogue a moment ago, in the next answer."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from recommender.registry import Registry
from recommender.settings import Settings, Training
from recommender.stores import open_store
from recommender.stores.base import Item
from recommender.types import DAY, Kind
from tests.contracts.worlds import Event, batch
from tests.integration.serving_world import client_of
from training.pipeline import train

COLOURS = ("red", "blue", "green", "pink", "black", "grey")
THINGS = ("cup", "lamp")
SMALL = Settings(training=Training(factors=4, iterations=3, threads=1))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A shop of cups and lamps: even customers buy cups, odd ones lamps, each all but two of them."""
    home: Path = tmp_path_factory.mktemp("shop")
    with closing(open_store(home, strong=SMALL.strong)) as store:
        titles = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
        store.items.put([Item(title, Kind.CONTENT, title) for title in titles])
        bought = [
            Event(f"crm:{customer}", f"e{day}", DAY * day + customer, titles[number], "purchase", kind=Kind.CONTENT)
            for customer in range(40)
            for day in range(1, 31)
            if ((number := 6 * (customer % 2) + day % 6) + customer // 2) % 3
        ]
        store.events.append(batch(bought))
        train(store, Registry(home / "models"), SMALL, promote=True, progress=lambda *_: None)
    with client_of(home, "sqlite") as opened:
        yield opened


def page(client: TestClient, customer: str) -> list[str]:
    slots = [{"placement": "home.content", "k": 50}]
    answer = client.post("/v1/recommend", json={"customer": customer, "slots": slots})
    assert answer.status_code == 200, answer.text
    return [item["item"] for item in answer.json()["slots"][0]["items"]]


@pytest.mark.parametrize("customer", [0, 1])
def test_a_new_item_is_in_the_next_answer_where_its_text_says_it_belongs(client: TestClient, customer: int) -> None:
    mine, other = THINGS[customer % 2], THINGS[1 - customer % 2]
    before = [title for title in page(client, f"crm:{customer}") if title.split()[0] in COLOURS]
    put = client.put(
        "/v1/items",
        json=[{"id": f"sku-{thing}", "kind": "content", "title": f"violet {thing}"} for thing in THINGS],
    )
    assert put.json() == {"stored": 2}
    after = page(client, f"crm:{customer}")
    assert after.index(f"sku-{mine}") < after.index(f"sku-{other}")
    others = [after.index(title) for title in after if title.split()[-1] == other]
    assert after.index(f"sku-{mine}") < min(others)
    assert [title for title in after if title.split()[0] in COLOURS] == before


def test_a_new_item_is_like_its_kin(client: TestClient) -> None:
    client.put("/v1/items", json=[{"id": "sku-cup", "kind": "content", "title": "violet cup"}])
    why = client.get("/v1/explain", params={"customer": "crm:0", "item": "sku-cup", "placement": "home.content"}).json()
    assert why["parts"]["text"] > 0
    assert why["rank"] is not None


def test_a_stranger_sees_a_new_item_of_what_is_popular_before_one_of_nothing_known(client: TestClient) -> None:
    titles = {"sku-known": "violet cup", "sku-odd": "zzz"}
    client.put("/v1/items", json=[{"id": id_, "kind": "content", "title": title} for id_, title in titles.items()])
    shown = page(client, "web:nobody")
    assert {"sku-known", "sku-odd"} <= set(shown)
