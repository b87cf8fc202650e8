"""Kin by hand: cups and lamps, and the same prediction from a dense ridge regression."""

import math
from dataclasses import replace

import numpy as np
import pytest

from recommender.catalogue import Catalogue, kin_table
from recommender.history import Items, Kin, Query
from recommender.ranker import Ranker
from recommender.sources.attributes import Attributes
from recommender.sources.base import Scores
from recommender.sources.habit import Habit
from recommender.sources.text import KIN, RIDGE
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.tokens import pieces_of
from recommender.types import IntArray, Kind, code64
from tests.unit.steps import asked
from training.dataset import items_of
from training.fit.text import COLUMN, REACH, fit_text, reach_new

COLOURS = ("red", "blue", "green", "pink")
TITLES = [f"{colour} {thing}" for thing in ("cup", "lamp") for colour in COLOURS]
LATE = ["white cup", "white lamp"]
RANDOM = np.random.default_rng(3)


def content(title: str, **attributes: object) -> Item:
    return Item(title, Kind.CONTENT, title, attributes or None)


def known_items(*entries: Item) -> Items:
    return items_of([item.id for item in entries], None, [pieces_of(item) for item in entries])


SHOP = known_items(*map(content, TITLES))
TEXT = fit_text(SHOP)


def names(at: IntArray, items: Items = SHOP) -> set[str]:
    return {items.ids[place] for place in at.tolist()}


def shop_with_late() -> Items:
    found = [TEXT.kin(pieces_of(content(title))) for title in LATE]
    codes = np.concatenate([SHOP.codes, [code64(title) for title in LATE]])
    return Items(codes, SHOP.known, [*SHOP.ids, *LATE], np.zeros(11, np.int64), SHOP.tokens, kin=kin_table(found))


def test_a_token_weighs_the_logarithm_of_how_few_items_have_it() -> None:
    three = known_items(content("red cup"), content("red lamp"), content("red cups lit"))
    text = fit_text(three)
    weight = dict(zip(text.key.tolist(), text.weight.tolist(), strict=True))
    assert weight[code64("piece=cup")] == pytest.approx(math.log(3 / 2))
    assert code64("word=red") not in weight  # of all
    assert code64("word=lamp") not in weight  # of one alone
    place = int(text.starts[np.searchsorted(text.key, code64("piece=cup"))])
    assert names(text.item[place : place + 2].astype(np.int64), three) == {"red cup", "red cups lit"}


def test_the_kin_of_a_cup_are_cups() -> None:
    at, weight = TEXT.kin(pieces_of(content("white cup")))
    assert names(at) == set(TITLES[:4])
    assert (weight > 0).all()


def test_weights_of_kin_are_those_of_a_ridge_regression_from_texts() -> None:
    """What is predicted from kin is x (X'X + r)^-1 X'y; here by the normal equations, in the space of tokens."""
    pieces = [RANDOM.choice(40, 6, replace=False).astype(np.int64) for _ in range(30)]
    items = items_of([str(number) for number in range(30)], None, pieces)
    text = fit_text(items)
    own = RANDOM.choice(40, 6, replace=False)
    vectors = np.zeros((31, text.key.size))
    for row, of_item in enumerate([*np.split(items.pieces, items.piece_starts[1:-1]), own]):
        vectors[row, np.isin(text.key, of_item)] = text.weight[np.isin(text.key, of_item)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    x, rows = vectors[-1], vectors[:-1]
    near = np.flatnonzero(rows @ x > 0)
    rows = rows[near]
    expected = x @ np.linalg.inv(rows.T @ rows + RIDGE * np.eye(text.key.size)) @ rows.T
    at, weight = text.kin(own)
    assert at.tolist() == near[expected > 0].tolist()
    np.testing.assert_allclose(weight, expected[expected > 0], rtol=1e-3)


def test_what_kin_lend_is_the_mean_moved_by_each_of_them() -> None:
    kin = Kin(np.array([[0, 2], [1, 0]]), np.array([[0.5, 0.25], [0, 0]], np.float32))
    lent = kin.lend(np.array([[1, 2, 6], [0, 0, 3]], np.float32))
    np.testing.assert_allclose(lent, [[3 + 0.5 * -2 + 0.25 * 3, 3], [1 + 0.5 * -1 + 0.25 * 2, 1]])


def test_a_customer_of_cups_is_shown_the_new_cup() -> None:
    items = shop_with_late()
    history = items.positions(np.array([code64(title) for title in TITLES[:2]]))
    query = _query(items, history)
    score = TEXT.score([query])[0].dense(10)[0]
    assert score[8] > score[9] == 0
    assert not score[:8].any()


def _query(items: Items, history: IntArray) -> Query:
    empty = asked(items, "")
    same = np.zeros(history.size, np.int64)
    return replace(empty, history=replace(empty.history, item=history, time=same, week=same, channel=same))


def test_late_items_get_what_their_kin_have_and_leave_the_known_alone() -> None:
    items = shop_with_late()
    likes = np.array([[1 if name in TITLES[:4] else 0 for name in items.ids]], np.float32)
    taste = Scores(likes, None, np.zeros(1, np.float32), known=True)
    ranker = Ranker(("one.taste",), np.array([[2]], np.float32))
    query = _query(items, np.zeros(0, np.int64))
    score = ranker.blend(query, [taste])
    np.testing.assert_array_equal(score[:8], 2 * taste.values[0, :8])
    assert score[8] > 1 > score[9]
    lift = ranker.contributions(query, [taste], np.arange(10))
    np.testing.assert_allclose(lift.sum(axis=0), score - score.mean(), atol=1e-6)


@pytest.mark.parametrize("weight", [-2.0, 0.0, 1.0])
def test_a_new_item_with_kin_still_never_falls_by_its_use(weight: float) -> None:
    items, habit = shop_with_late(), Habit()
    columns = (*(f"habit.{name}" for name in habit.columns), COLUMN)
    ranker = Ranker(columns, np.array([[weight] * len(habit.columns) + [REACH]], np.float32))
    cups = items.positions(np.array([code64(title) for title in TITLES[:2]]))
    before, after = (
        ranker.probabilities(ranker.blend(query, [source.score([query])[0] for source in (habit, TEXT)]))
        for query in (_query(items, cups), _query(items, np.append(cups, 8)))
    )
    assert after[8] > before[8]


@pytest.mark.parametrize("title", ["", " ", "!?", "unheard", "日本"])
def test_what_shares_nothing_has_no_kin(title: str) -> None:
    at, weight = TEXT.kin(pieces_of(Item("0", Kind.CONTENT, title)))
    assert at.size == weight.size == 0


def test_words_are_alike_in_any_case_and_script() -> None:
    assert set(pieces_of(content("ÄÄNI Straße"))) == set(pieces_of(content("ääni STRASSE")))
    assert np.isin(pieces_of(content("日本茶")), pieces_of(content("日本茶 茶"))).all()


def test_words_of_a_long_attribute_count_as_those_of_a_title() -> None:
    assert code64("word=cup") in pieces_of(content("x", description="a cup for tea"))


def test_an_id_is_cut_into_pieces_only_where_it_is_a_text() -> None:
    assert code64("piece=cup") in pieces_of(Item("red cup", Kind.CONTENT))
    assert pieces_of(Item("12345", Kind.CONTENT)).tolist() == [code64("word=12345")]


def test_kin_are_few_however_much_is_said() -> None:
    many = known_items(*(content(f"cup {number} " + "tea " * number) for number in range(200)))
    at, _ = fit_text(many).kin(pieces_of(content("cup tea " + " ".join(map(str, range(400))))))
    assert at.size <= KIN


def test_a_catalogue_without_texts_has_a_source_that_says_nothing() -> None:
    text = fit_text(items_of(["a", "b"]))
    assert [part.size for part in text.kin(pieces_of(content("a")))] == [0, 0]


def test_kin_are_looked_up_once_for_each_item_that_came_later() -> None:
    asked_for: list[int] = []

    def find(pieces: IntArray) -> tuple[IntArray, np.ndarray]:
        asked_for.append(pieces.size)
        return TEXT.kin(pieces)

    store = MemoryStore(("id",))
    store.items.put([content(title) for title in (*TITLES, *LATE)])
    catalogue = Catalogue(store.items, {Kind.CONTENT: (SHOP.codes, SHOP.ids)}, {Kind.CONTENT: find})
    assert len(asked_for) == 2
    store.items.put([content("brown cup")])
    catalogue.refresh()
    assert len(asked_for) == 3
    items = catalogue.shelf(Kind.CONTENT).items
    assert items.kin is not None
    cup = items.positions(np.array([code64("brown cup")]))[0] - items.known
    assert names(items.kin.at[cup][items.kin.weight[cup] > 0], items) == set(TITLES[:4])
    for title in ("brown cup", *LATE):
        store.items.delete(title)
    catalogue.refresh()
    assert catalogue.shelf(Kind.CONTENT).items.kin is None


def test_the_weight_of_text_is_set_where_there_is_text() -> None:
    ranker = Ranker(("popularity.popularity", COLUMN), np.array([[1, 0]], np.float32))
    assert reach_new(ranker).weights.tolist() == [[1, REACH]]
    without = Ranker(("popularity.popularity",), np.ones((1, 1), np.float32))
    assert reach_new(without) is without


def test_texts_whose_parts_do_not_fit_are_refused() -> None:
    text = fit_text(items_of(["a", "b", "c"], None, [np.array([1, 2]), np.array([1, 3]), np.array([2, 3])]))
    of_other_type = text.weight.astype(np.float64)
    for wrong in (
        {"weight": text.weight[1:]},
        {"key": text.key[1:]},
        {"norm": text.norm[:1]},
        {"weight": of_other_type},
    ):
        with pytest.raises(ValueError, match="do not fit"):
            replace(text, **wrong)


def test_attributes_without_a_weight_for_each_token_are_refused() -> None:
    with pytest.raises(ValueError, match="one for each"):
        Attributes(np.array([1, 2, 3]), np.ones(2, np.float32), np.array(1, np.float32))
