"""What two models would show, on worlds whose answer fits on paper."""

from typing import Any

import pytest

from recommender.model import Model
from recommender.stores.memory import MemoryStore
from recommender.types import Kind
from tests.contracts.worlds import Event, batch
from tests.integration.serving_world import favouring
from training.difference import difference

LOAN, CARDS = favouring("loan"), favouring("cards")


def store_of(*events: Event) -> MemoryStore:
    store = MemoryStore(("crm",))
    store.events.append(batch(events))
    return store


def use(customer: int, item: str, number: int = 0) -> Event:
    return Event(f"crm:{customer}", f"e{number}", number, item, kind=Kind.FEATURE)


THREE = store_of(use(1, "cards"), use(2, "cards"), use(3, "loan"), use(3, "pay-bill", 1))


def found(a: Model, b: Model, *, customers: int = 9, k: int = 1, store: MemoryStore = THREE) -> Any:  # noqa: ANN401 - any JSON document
    kinds = difference(store, a, b, customers=customers, k=k, seed=7, progress=lambda *_: None)
    assert list(kinds) == ["feature"], "nothing else was used"
    return kinds["feature"]


def test_a_model_does_not_differ_from_itself() -> None:
    same = found(LOAN, LOAN, k=2)
    assert [same[name] for name in ("overlap", "same_list", "same_first")] == [1, 1, 1]
    assert (same["movers"], same["vanished"], same["appeared"]) == ([], 0, 0)


def test_who_gains_and_which_items_move_are_those_counted_by_hand() -> None:
    """Popularity decides: the favoured first, the others tied behind it, where a tie counts as the last of them."""
    other = found(LOAN, CARDS)
    assert [other[name] for name in ("customers", "overlap", "same_first", "vanished", "appeared")] == [3, 0, 0, 1, 1]
    (everybody, new) = other["who"]
    assert (everybody["n"], everybody["gain"], everybody["lose"]) == (3, 2, 1)
    assert everybody["mrr_a"] == pytest.approx((1 / 3 + 1 / 3 + (1 + 1 / 3) / 2) / 3)
    assert everybody["mrr_b"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert new["customers"] == "new"
    cards = {"item": "cards", "title": None, "shown_a": 0, "shown_b": 3, "place_a": 2, "place_b": 1}
    assert other["appeared_most"] == [cards]
    assert cards in other["movers"]


def test_two_lists_overlap_by_the_items_that_both_hold() -> None:
    """Of three items the favoured one and one of the tied others: the lower code, the same for both models."""
    assert found(LOAN, CARDS, k=3)["overlap"] == 1
    assert found(LOAN, CARDS, k=2)["overlap"] in (0.5, 1)


def test_no_more_customers_are_asked_than_wanted_and_each_time_the_same() -> None:
    many = store_of(*(use(n, "cards" if n % 2 else "loan") for n in range(40)))
    few = [found(LOAN, CARDS, customers=10, store=many) for _ in range(2)]
    assert few[0]["customers"] == 10
    assert few[0] == few[1]


def test_an_empty_store_has_nothing_to_compare() -> None:
    assert difference(MemoryStore(()), LOAN, CARDS, customers=9, k=3, seed=7, progress=lambda *_: None) == {}
