from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.catalogue import Catalogue, gathered, respliced
from recommender.history import Items
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.texts import Chain
from recommender.tokens import tokens_of
from recommender.types import IntArray, Kind, code64, codes64


def store_with(*items: Item) -> MemoryStore:
    store = MemoryStore(("crm", "id"))
    store.items.put(items)
    return store


def content(id_: str, **attributes: object) -> Item:
    return Item(id_, Kind.CONTENT, attributes=attributes or None)


def shown(catalogue: Catalogue, kind: Kind = Kind.CONTENT) -> set[str]:
    shelf = catalogue.shelf(kind)
    return {shelf.items.ids[at] for at in np.flatnonzero(shelf.available).tolist()}


def test_an_item_is_on_the_shelf_of_its_kind_alone() -> None:
    catalogue = Catalogue(store_with(content("a"), Item("pay", Kind.FEATURE)).items, {})
    assert shown(catalogue) == {"a"}
    assert shown(catalogue, Kind.FEATURE) == {"pay"}


def test_trained_items_keep_their_positions_and_late_ones_follow() -> None:
    store = store_with(content("a"), content("b"), content("c"))
    codes = np.sort(codes64(["a", "b"]))
    ids = sorted(["a", "b"], key=code64)
    items = Catalogue(store.items, {Kind.CONTENT: (codes, ids)}).shelf(Kind.CONTENT).items
    assert items.known == 2
    assert list(items.ids) == [*ids, "c"]
    assert items.positions(codes64(["c", "nowhere"])).tolist() == [2, -1]


def test_a_change_of_the_catalogue_is_there_after_a_refresh() -> None:
    store = store_with(content("a"))
    catalogue = Catalogue(store.items, {})
    store.items.put([content("b"), Item("a", Kind.CONTENT, available=False)])
    assert shown(catalogue) == {"a"}
    catalogue.refresh()
    assert shown(catalogue) == {"b"}


def test_what_is_worked_out_of_the_items_stays_where_only_their_availability_changes() -> None:
    store = store_with(content("a"))
    catalogue = Catalogue(store.items, {Kind.CONTENT: (codes64(["a"]), ["a"])})
    before = catalogue.shelf(Kind.CONTENT)
    store.items.put([Item("a", Kind.CONTENT, available=False)])
    catalogue.refresh()
    assert shown(catalogue) == set()
    assert catalogue.shelf(Kind.CONTENT).items is before.items
    assert before.available.tolist() == [True]


def test_a_deleted_item_leaves_also_where_a_model_knows_it() -> None:
    store = store_with(content("a"))
    catalogue = Catalogue(store.items, {Kind.CONTENT: (codes64(["a"]), ["a"])})
    store.items.delete("a")
    catalogue.refresh()
    assert shown(catalogue) == set()
    store.items.put([content("a")])
    catalogue.refresh()
    assert shown(catalogue) == {"a"}


@pytest.mark.parametrize("models", [{}, {Kind.CONTENT: (codes64(["a"]), ["a"])}], ids=["late", "trained"])
def test_an_item_that_comes_back_as_another_kind_is_on_that_shelf_alone(
    models: Mapping[Kind, tuple[IntArray, Sequence[str]]],
) -> None:
    store = store_with(content("a"))
    catalogue = Catalogue(store.items, models)
    store.items.delete("a")
    store.items.put([Item("a", Kind.FEATURE)])
    for now in (catalogue, Catalogue(store.items, models)):
        now.refresh()
        assert shown(now) == set()
        assert shown(now, Kind.FEATURE) == {"a"}
    store.items.delete("a")
    store.items.put([content("a")])
    catalogue.refresh()
    assert shown(catalogue) == {"a"}
    assert shown(catalogue, Kind.FEATURE) == set()


NAMES = "abcdef"
OPENS = {"available_from": "2026-01-01"}
changes = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(Kind), st.booleans(), st.sampled_from([None, OPENS, {"topic": "x"}])
    ),
    max_size=12,
)


def model_of(ids: str) -> dict[Kind, tuple[IntArray, Sequence[str]]]:
    """A model that was trained on these items as content, and on some others as features."""
    parts = {Kind.CONTENT: sorted(ids, key=code64), Kind.FEATURE: sorted({"a", "b"} - set(ids), key=code64)}
    return {kind: (codes64(part), part) for kind, part in parts.items()}


@given(changes, changes, st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_a_catalogue_that_goes_on_from_another_models_is_as_one_that_begins_anew(
    first: list[tuple[str, Kind, bool, dict[str, object] | None]],
    then: list[tuple[str, Kind, bool, dict[str, object] | None]],
    before: set[str],
    after: set[str],
) -> None:
    store = MemoryStore(())
    earlier = Catalogue(store.items, model_of("".join(before)))
    models = model_of("".join(after))
    went_on = earlier
    for part in (first, then):
        for name, kind, put, attributes in part:
            if put:
                store.items.delete(name)
                store.items.put([Item(name, kind, name, attributes, available=attributes is None or name < "c")])
            else:
                store.items.delete(name)
            went_on.refresh()
        went_on = went_on if went_on is not earlier else Catalogue(store.items, models, before=earlier)
    anew = Catalogue(store.items, models)
    for kind in Kind:
        one, other = went_on.shelf(kind), anew.shelf(kind)
        assert list(one.items.ids) == list(other.items.ids)
        known = [np.flatnonzero(shelf.available).tolist() for shelf in (one, other)]
        assert known[0] == known[1]
        assert one.open(0).tolist() == other.open(0).tolist()
        assert [tokens_at(one.items, at) for at in known[0]] == [tokens_at(other.items, at) for at in known[0]]


def tokens_at(items: Items, at: int) -> list[int]:
    tokens: list[int] = items.tokens[items.token_starts[at] : items.token_starts[at + 1]].tolist()
    return tokens


def test_rows_that_are_gathered_lie_end_to_end_and_minus_one_is_an_empty_row() -> None:
    starts, values = np.array([0, 2, 2, 5]), np.array([1, 2, 3, 4, 5])
    begins, found = gathered(starts, values, np.array([2, -1, 0, 1]))
    assert (begins.tolist(), found.tolist()) == ([0, 3, 3, 5, 5], [3, 4, 5, 1, 2])
    begins, found = gathered(starts[:1], values[:0], np.array([-1]))
    assert (begins.tolist(), found.tolist()) == ([0, 0], [])


def test_tokens_lie_beside_their_items_trained_or_late() -> None:
    store = store_with(content("old", topic="loans"), content("new", topic="funds"))
    catalogue = Catalogue(store.items, {Kind.CONTENT: (codes64(["old"]), ["old"])})
    items = catalogue.shelf(Kind.CONTENT).items
    for at, item in enumerate(["old", "new"]):
        entry = catalogue.entry(item)
        assert entry is not None
        assert items.tokens[items.token_starts[at] : items.token_starts[at + 1]].tolist() == tokens_of(entry).tolist()


def test_numbers_of_one_size_share_a_token_and_words_ignore_case() -> None:
    assert tokens_of(content("x", price=95)).tolist() == tokens_of(content("x", price=99.0)).tolist()
    assert tokens_of(content("x", price=95)).tolist() != tokens_of(content("x", price=9)).tolist()
    assert tokens_of(Item("1", Kind.CONTENT, title="Red CUP")).tolist() == tokens_of(content("red cup")).tolist()


def test_a_chain_reads_as_one_list() -> None:
    chain = Chain(["a", "b"], ["c"])
    assert (len(chain), chain[1], chain[2], chain[-1], chain[1:], list(chain)) == (
        3,
        "b",
        "c",
        "c",
        ["b", "c"],
        ["a", "b", "c"],
    )


def test_rows_that_change_are_laid_out_as_if_all_were_laid_out_anew() -> None:
    rows = [np.array(row, np.int64) for row in ([1, 2], [], [3], [4, 5, 6], [])]
    new = {0: np.array([9], np.int64), 1: np.array([7, 8], np.int64), 4: np.array([5], np.int64), 3: rows[1]}
    starts, values = np.cumsum([0, *map(len, rows)]), np.concatenate(rows)
    for changed in ([], [0], [1, 4], [0, 1, 3, 4]):
        got = respliced(starts, values, np.array(changed, np.int64), [new[row] for row in changed])
        wanted = [new[row] if row in changed else rows[row] for row in range(len(rows))]
        assert got[0].tolist() == np.cumsum([0, *map(len, wanted)]).tolist()
        assert got[1].tolist() == np.concatenate(wanted).tolist()
