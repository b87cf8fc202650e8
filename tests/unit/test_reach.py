"""How far what kin lend should reach, where one column knows and another one only says something."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from recommender.errors import ArtefactError
from recommender.history import Context, History, Items, Kin, Query
from recommender.lent import with_lent
from recommender.model import Model, model_arrays, model_from
from recommender.ranker import Ranker
from recommender.sources.base import Scores, Source
from recommender.stores.base import Item
from recommender.tokens import pieces_of
from recommender.types import FloatArray, IntArray, Kind
from tests.contracts.models import bank, manifest_of
from training.dataset import items_of
from training.fit.reach import ENOUGH, FOLDS, Lent, fit_reach, folds_of, lent_pages, without
from training.fit.text import fit_text
from training.questions import Asked

TITLES = [
    f"{thing} {letter}" for thing, letters in (("cup", "abcdefghij"), ("lamp", "klmnopqrst")) for letter in letters
]
SHOP = items_of(TITLES, None, [pieces_of(Item(title, Kind.CONTENT, title)) for title in TITLES])
CUPS = np.array([title.startswith("cup") for title in SHOP.ids])
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Tastes:
    """`thing`: 1 for things like those used, most of all; `noise`: the same two numbers, thrown about."""

    name: ClassVar[str] = "tastes"
    reason: ClassVar[str] = "like what you use"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("thing", "noise")

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        size = query.items.codes.size
        likes_cups = CUPS[query.history.item].mean() > 0.5
        thing = np.where(CUPS[:size] == likes_cups, 1, 0)
        noise = np.random.default_rng(query.history.item.tolist()).permutation(thing)
        return Scores(np.array([thing, noise], np.float32), None, np.zeros(2, np.float32), known=True)


SOURCES: tuple[Source, ...] = (Tastes(),)
EVEN = Ranker(("tastes.thing", "tastes.noise"), np.ones((1, 2), np.float32))


def query_of(used: IntArray, items: Items = SHOP) -> Query:
    time = np.zeros_like(used)
    return Query(items, History(used, time, time, time, _NONE, _NONE), Context(now=0))


def shop_pages(count: int = 300) -> list[Asked]:
    """Every customer used six of one thing, and will use the four others."""
    rng = np.random.default_rng(1)
    found = []
    for customer in range(count):
        mine = rng.permutation(np.flatnonzero(CUPS if customer % 2 else ~CUPS))
        found.append(Asked(customer, query_of(np.sort(mine[:6])), np.sort(mine[6:])))
    return found


def everybody() -> list[Lent]:
    folds = folds_of(SHOP, np.random.default_rng(3))
    return lent_pages(folds, SOURCES, shop_pages(), np.ones(len(TITLES), np.bool_))


def test_folds_share_no_item_and_none_is_its_own_kin_or_that_of_its_fold() -> None:
    folds = folds_of(SHOP, np.random.default_rng(3))
    assert np.unique(np.concatenate([fold.out for fold in folds])).size == len(TITLES)
    assert len(folds) == FOLDS
    for fold in folds:
        assert not np.isin(fold.kin.at[fold.kin.weight > 0], fold.out).any()


def test_a_text_less_some_items_is_that_of_the_others() -> None:
    left = without(fit_text(SHOP), np.array([0, 5]))
    at, weight = left.kin(pieces_of(Item("x", Kind.CONTENT, SHOP.ids[5])))
    assert at.size > 0
    assert not np.isin(at, [0, 5]).any()
    assert (weight > 0).all()


def test_what_is_taken_out_is_in_no_history_and_asked_for() -> None:
    folds = folds_of(SHOP, np.random.default_rng(3))
    found = everybody()
    assert found
    for page in found:
        assert page.right.any()
        assert not np.isin(page.query.history.item, folds[page.fold].out).any()


def test_a_catalogue_without_texts_or_of_few_items_has_nothing_taken_out() -> None:
    rng = np.random.default_rng(3)
    assert folds_of(items_of(TITLES), rng) == []
    few = items_of(TITLES[:9], None, [pieces_of(Item(title, Kind.CONTENT)) for title in TITLES[:9]])
    assert folds_of(few, rng) == []
    assert lent_pages([], SOURCES, shop_pages(5), np.ones(len(TITLES), np.bool_)) == []


def test_what_tells_new_items_apart_reaches_further_than_what_does_not() -> None:
    found = fit_reach(EVEN, everybody()).reach
    assert found is not None
    assert found[0] > 1 > found[1] >= 0


def test_what_only_chance_speaks_for_stays_as_it_was() -> None:
    rng = np.random.default_rng(5)
    shuffled = [replace(page, right=rng.permutation(page.right)) for page in everybody()]
    still = [replace(page, moved=np.zeros_like(page.moved)) for page in everybody()]
    for pages in (shuffled, still, everybody()[: 2 * ENOUGH - 1]):
        assert fit_reach(EVEN, pages) is EVEN


LATE = Kin(np.array([[0, 2], [1, 0]]), np.array([[0.5, 0.25], [0.5, 0]], np.float32))


def late_world() -> tuple[Query, list[Scores]]:
    """Three known items, two late ones; a source that lends, one that speaks of all itself, one of the first alone."""
    items = replace(items_of(list("abcde")), known=3, kin=LATE)
    lends = Scores(np.array([[1, 2, 6, 0, 0]], np.float32), None, np.zeros(1, np.float32), known=True)
    itself = Scores(np.array([[0, 0, 3, 2, 4]], np.float32), None, np.zeros(1, np.float32))
    one = Scores(np.array([[5]], np.float32), np.array([0]), np.zeros(1, np.float32))
    return query_of(np.array([0]), items), [lends, itself, one]


def test_a_reach_moves_late_items_so_much_further_from_the_average_and_leaves_the_known_alone() -> None:
    query, scores = late_world()
    plain = with_lent(scores, query.items)
    far = with_lent(scores, query.items, np.array([2, 0.5, 7], np.float32))
    for before, after, mean, reach in zip(plain[:2], far[:2], (3, 1), (2, 0.5), strict=True):
        np.testing.assert_array_equal(after.values[:, :3], before.values[:, :3])
        np.testing.assert_allclose(after.values[:, 3:] - mean, reach * (before.values[:, 3:] - mean))
    assert far[2] is scores[2]


def test_reasons_add_up_to_the_score_whatever_the_reach() -> None:
    query, scores = late_world()
    ranker = Ranker(("a.a", "b.b", "c.c"), np.array([[1, 2, 3]], np.float32), reach=np.array([2, 0, 1], np.float32))
    score = ranker.blend(query, scores)
    lift = ranker.contributions(query, scores, np.arange(5))
    np.testing.assert_allclose(lift.sum(axis=0), score - score.mean(), atol=1e-5)
    assert score[:3].tolist() == [16, 2, 12]


def reaching(reach: FloatArray) -> Model:
    """The bank with a reach."""
    model = bank()
    part = model.kinds[Kind.FEATURE]
    return Model({**model.kinds, Kind.FEATURE: replace(part, ranker=replace(part.ranker, reach=reach))})


def test_a_reach_is_published_and_a_column_that_came_since_has_1() -> None:
    columns = bank().kinds[Kind.FEATURE].ranker.columns
    model = reaching(np.arange(len(columns), dtype=np.float32))
    manifest = manifest_of(model)
    found = model_from(model_arrays(model), manifest, "main/1").kinds[Kind.FEATURE].ranker.reach
    assert found is not None
    assert found.tolist() == list(range(len(columns)))
    assert model_from(model_arrays(bank()), manifest, "main/1").kinds[Kind.FEATURE].ranker.reach is None
    entry = manifest.kinds[Kind.FEATURE]
    fewer = manifest.model_copy(
        update={"kinds": {**manifest.kinds, Kind.FEATURE: entry.model_copy(update={"columns": columns[1:]})}}
    )
    arrays = model_arrays(model)
    for name, axis in (("weights", 1), ("reach", 0)):
        arrays[f"feature.ranker.{name}"] = np.delete(arrays[f"feature.ranker.{name}"], 0, axis)
    moved = model_from(arrays, fewer, "main/1").kinds[Kind.FEATURE].ranker.reach
    assert moved is not None
    assert moved.tolist() == [1, *range(1, len(columns))]


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_a_reach_that_is_none_is_refused(value: float) -> None:
    columns = len(bank().kinds[Kind.FEATURE].ranker.columns)
    for reach in (np.full(columns, value, np.float32), np.ones(columns - 1, np.float32)):
        model = reaching(reach)
        with pytest.raises(ArtefactError, match="reach"):
            model_from(model_arrays(model), manifest_of(model), "main/1")
