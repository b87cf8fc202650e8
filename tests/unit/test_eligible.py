"""A placement's filter is worked out once, and anew where something changed."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.catalogue import Catalogue
from recommender.eligible import Eligible
from recommender.errors import UsageError
from recommender.history import Context
from recommender.model import untrained
from recommender.page import Request, SlotRequest
from recommender.recommender import Recommender
from recommender.rules import read_rule
from recommender.settings import Placement, Settings
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.types import HOUR, MINUTE, Kind, codes64
from tests.contracts.worlds import Event, batch

SETTINGS = Settings(
    placements={"cheap": Placement(kind=Kind.CONTENT, filter="price < 50"), "all": Placement(kind=Kind.CONTENT)}
)


def store_with(*items: Item) -> MemoryStore:
    store = MemoryStore(("crm", "id"))
    store.items.put(items)
    return store


def goods(id_: str, **attributes: object) -> Item:
    return Item(id_, Kind.CONTENT, attributes=attributes or None)


def passing(rule: Eligible, catalogue: Catalogue, now: int = 0) -> set[str]:
    shelf = catalogue.shelf(Kind.CONTENT)
    return {shelf.items.ids[at] for at in np.flatnonzero(rule.mask(shelf, catalogue.entry_of, Context(now))).tolist()}


def shown(recommender: Recommender, *placements: str, now: int = 0) -> list[Sequence[str]]:
    request = Request("crm:1", tuple(SlotRequest(name) for name in placements), Context(now))
    return [[item.item for item in slot.items] for slot in recommender.recommend(request).slots]


def test_a_filter_lets_through_what_its_rule_is_true_of() -> None:
    catalogue = Catalogue(store_with(goods("a", price=10), goods("b", price=90), goods("c")).items, {})
    assert passing(Eligible(read_rule("price < 50")), catalogue) == {"a"}
    assert passing(Eligible(read_rule("not price < 50")), catalogue) == {"b", "c"}
    assert passing(Eligible(read_rule("id in ['b', 'c']")), catalogue) == {"b", "c"}


def test_the_first_items_of_all_are_looked_at() -> None:
    store = store_with()
    catalogue, rule = Catalogue(store.items, {}), Eligible(read_rule("price < 50"))
    assert passing(rule, catalogue) == set()
    store.items.put([goods("a", price=10)])
    catalogue.refresh()
    assert passing(rule, catalogue) == {"a"}


def test_a_changed_item_is_looked_at_again() -> None:
    store = store_with(goods("a", price=10), goods("b", price=90))
    catalogue, rule = Catalogue(store.items, {}), Eligible(read_rule("price < 50"))
    assert passing(rule, catalogue) == {"a"}
    store.items.put([goods("b", price=9), goods("new", price=1)])
    catalogue.refresh()
    assert passing(rule, catalogue) == {"a", "b", "new"}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from([None, 10, 90, True, "x", ["x"]])), max_size=30),
    st.lists(st.sampled_from("abcdefg"), max_size=5),
)
def test_what_follows_the_catalogue_is_what_a_look_at_all_of_it_finds(
    changes: list[tuple[str, object]], gone: list[str]
) -> None:
    store = store_with(goods("a", price=10), goods("b", price=1.0), goods("c"))
    known = np.sort(codes64("ab"))
    catalogue = Catalogue(store.items, {Kind.CONTENT: (known, sorted("ab", key=lambda id_: int(codes64([id_])[0])))})
    rules = [Eligible(read_rule(text)) for text in ("price < 50", "not price == 1", "has(price) or id == 'd'")]
    for step, (id_, price) in enumerate(changes):
        store.items.put([goods(id_, price=price) if price is not None else goods(id_)])
        if step % 3 == 0:
            for other in gone:
                store.items.delete(other)
        catalogue.refresh()
        for rule in rules:
            assert passing(rule, catalogue) == passing(Eligible(rule.rule), catalogue)


def test_a_window_opens_and_closes_to_the_minute() -> None:
    catalogue = Catalogue(store_with(goods("a", since="1970-01-01T01:00", until="1970-01-01T02:00")).items, {})
    rule = Eligible(read_rule("since <= now < until"))
    assert passing(rule, catalogue, HOUR - 1) == set()
    assert passing(rule, catalogue, HOUR) == {"a"}
    assert passing(rule, catalogue, 2 * HOUR - 1) == {"a"}
    assert passing(rule, catalogue, 2 * HOUR + MINUTE) == set()


def test_pages_and_explanations_keep_to_the_filter() -> None:
    store = store_with(goods("a", price=10), goods("b", price=90))
    store.events.append(batch([Event("crm:1", "e", item="b", type="view")]))
    recommender = Recommender(store, untrained(), SETTINGS)
    assert shown(recommender, "cheap", "all") == [["a"], ["b"]]
    why = recommender.explain("crm:1", "b", "cheap", Context(0))
    assert why.rank is None
    assert why.hidden == "the placement's filter leaves it out: price < 50"
    assert recommender.explain("crm:1", "b", "all", Context(0)).rank == 1


def test_a_rule_that_cannot_be_read_is_a_wrong_setting() -> None:
    with pytest.raises(ValueError, match="This is no rule"):
        Placement(kind=Kind.CONTENT, filter="price <")
    with pytest.raises(UsageError):
        read_rule("price <")
