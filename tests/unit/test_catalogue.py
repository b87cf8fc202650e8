from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from recommender.catalogue import Catalogue, Chain, respliced, tokens_of
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
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
