"""What every candidate source keeps to, on a checkerboard: even customers use even items, odd ones odd.

Each customer leaves out one item of their colour: the one that a source who
learns from others, or from attributes, has to find.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from recommender.catalogue import kin_table
from recommender.history import Context, Items, Query, history_of
from recommender.profile import EMPTY, Profile, fold
from recommender.sources import SOURCES
from recommender.sources.base import Scores, Source, from_arrays, to_arrays
from recommender.sources.habit import Habit
from recommender.types import DAY, EVENT, HOUR, USE, EventArray, IntArray, code64, codes64
from training.dataset import Log, items_of, log_of
from training.fit.attributes import fit_attributes
from training.fit.ease import fit_ease
from training.fit.factors import FactorSettings, fit_factors
from training.fit.graph import GraphSettings, fit_graph
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.popularity import fit_popularity, fit_trend
from training.fit.repeats import fit_repeats
from training.fit.sets import fit_sets
from training.fit.text import fit_text
from training.fit.transitions import fit_transitions

NAMES = [f"item-{number}" for number in range(12)]
CUSTOMERS = 18
START = 1_750_000_000_000
COLOURS = (code64("colour=white"), code64("colour=black"))
NEW_WHITE, NEW_BLACK = "new-white", "new-black"

FITS: dict[str, Callable[[Log, Items], Source]] = {
    "habit": lambda _log, _items: Habit(),
    "transitions": fit_transitions,
    "popularity": fit_popularity,
    "neighbours": lambda log, items: fit_neighbours(
        weights_of(user_items(log, items)), NeighbourSettings(per_item=8), threads=1
    ),
    "factors": lambda log, items: fit_factors(
        weights_of(user_items(log, items)), FactorSettings(factors=4, regularisation=1.0), threads=1
    ),
    "ease": lambda log, items: fit_ease(weights_of(user_items(log, items)), penalty=1.0, per_item=8),
    "sets": lambda log, items: fit_sets(user_items(log, items), seed=7, steps=200),
    "graph": lambda log, items: fit_graph(weights_of(user_items(log, items)), GraphSettings(rank=3), threads=1),
    "attributes": lambda log, items: fit_attributes(user_items(log, items), items),
    "text": lambda _log, items: fit_text(items),
    "trend": fit_trend,
    "repeats": fit_repeats,
}
every_source = pytest.mark.parametrize("name", sorted(SOURCES))
learns_tastes = pytest.mark.parametrize("name", ["neighbours", "ease", "sets", "factors", "graph", "attributes"])


def checkerboard() -> tuple[Log, Items]:
    tokens = [np.array([COLOURS[number % 2]]) for number in range(len(NAMES))]
    events = np.concatenate([uses(likes(customer), customer) for customer in range(CUSTOMERS)])
    who = np.repeat(np.arange(CUSTOMERS), [likes(customer).size for customer in range(CUSTOMERS)])
    return log_of(who, events), items_of(NAMES, tokens, tokens)


def likes(customer: int) -> IntArray:
    """Numbers of the items that a customer uses: those of their colour, but for one."""
    numbers = np.arange(customer % 2, len(NAMES), 2)
    return np.delete(numbers, missing_place(customer))


def missing_place(customer: int) -> int:
    return customer // 2 % (len(NAMES) // 2)


def uses(numbers: IntArray, customer: int) -> EventArray:
    events = np.zeros(numbers.size, EVENT)
    events["item"] = codes64([NAMES[number] for number in numbers])
    events["time"] = START + np.arange(numbers.size) * HOUR + customer * DAY
    events["key"] = 1 + np.arange(numbers.size) + 100 * customer
    events["type"] = USE
    return events


def with_new(items: Items) -> Items:
    """The same items and two that came after training, one of each colour."""
    new = sorted([NEW_WHITE, NEW_BLACK], key=code64)
    colour = [COLOURS[0] if name == NEW_WHITE else COLOURS[1] for name in new]
    return replace(
        items,
        codes=np.concatenate([items.codes, codes64(new)]),
        ids=[*items.ids, *new],
        token_starts=np.concatenate([items.token_starts, items.token_starts[-1] + [1, 2]]),
        tokens=np.concatenate([items.tokens, colour]),
        kin=kin_table([fit_text(items).kin(np.array([code])) for code in colour]),
    )


def ask(items: Items, profile: Profile) -> Query:
    return Query(items, history_of(profile, items), Context(now=START + 30 * DAY))


def questions(log: Log, items: Items) -> list[Query]:
    return [ask(items, EMPTY), *(ask(items, log.profile(customer)) for customer in range(log.customers))]


def dense(source: Source, queries: Sequence[Query]) -> list[np.ndarray]:
    """Every column's scores of all items; `floor` for what the source leaves out."""
    return [scores.dense(query.items.codes.size) for query, scores in zip(queries, source.score(queries), strict=True)]


def position(items: Items, name: str) -> int:
    return int(items.positions(np.array([code64(name)]))[0])


def test_every_source_has_a_fit_here() -> None:
    assert set(FITS) == set(SOURCES)


@every_source
def test_a_source_is_its_arrays_and_nothing_else(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    again = from_arrays(SOURCES[name], to_arrays(source))
    for expected, found in zip(dense(source, questions(log, items)), dense(again, questions(log, items)), strict=True):
        np.testing.assert_array_equal(found, expected)


@every_source
def test_arrays_that_cannot_be_written_to_are_enough(name: str) -> None:
    log, items = checkerboard()
    arrays = to_arrays(FITS[name](log, items))
    for array in arrays.values():
        array.flags.writeable = False
    assert len(from_arrays(SOURCES[name], arrays).score(questions(log, items))) == CUSTOMERS + 1


@every_source
def test_the_same_log_gives_the_same_arrays(name: str) -> None:
    log, items = checkerboard()
    first, second = to_arrays(FITS[name](log, items)), to_arrays(FITS[name](log, items))
    assert {key: (a.dtype, a.shape, a.tobytes()) for key, a in first.items()} == {
        key: (a.dtype, a.shape, a.tobytes()) for key, a in second.items()
    }


@every_source
def test_the_same_question_gives_the_same_scores(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    for first, second in zip(dense(source, questions(log, items)), dense(source, questions(log, items)), strict=True):
        np.testing.assert_array_equal(second, first)


@every_source
def test_one_question_is_answered_as_among_many(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    together = dense(source, questions(log, items))
    for query, expected in zip(questions(log, items), together, strict=True):
        np.testing.assert_allclose(dense(source, [query])[0], expected, rtol=1e-4, atol=1e-5)


@every_source
def test_no_question_gets_no_answer(name: str) -> None:
    assert FITS[name](*checkerboard()).score([]) == []


@every_source
def test_scores_have_a_row_for_each_column_and_are_finite(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    for shelf in (items, with_new(items)):
        for scores in source.score(questions(log, shelf)):
            check(scores, len(source.columns), shelf.codes.size)


def check(scores: Scores, columns: int, size: int) -> None:
    speaks_of = size if scores.at is None else scores.at.size
    assert scores.values.shape == (columns, speaks_of)
    assert scores.floor.shape == (columns,)
    assert scores.values.dtype == scores.floor.dtype == np.float32
    assert np.isfinite(scores.values).all()
    assert np.isfinite(scores.floor).all()
    if scores.at is not None:
        assert bool((np.diff(scores.at) > 0).all())
        assert bool(((scores.at >= 0) & (scores.at < size)).all())


@every_source
def test_a_customer_of_items_that_are_gone_is_a_stranger(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    events = uses(np.arange(3), customer=0)
    events["item"] = codes64(["gone-1", "gone-2", "gone-3"])
    stranger, gone = dense(source, [ask(items, EMPTY), ask(items, fold(EMPTY, events))])
    np.testing.assert_array_equal(gone, stranger)


@every_source
def test_a_customer_who_only_used_new_items_is_answered(name: str) -> None:
    log, items = checkerboard()
    shelf = with_new(items)
    events = uses(np.arange(2), customer=0)
    events["item"] = codes64([NEW_WHITE, NEW_BLACK])
    source = FITS[name](log, items)
    check(source.score([ask(shelf, fold(EMPTY, events))])[0], len(source.columns), shelf.codes.size)


@every_source
def test_the_order_in_which_events_arrived_does_not_matter(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    events = uses(likes(3), customer=3)
    late = fold(fold(EMPTY, events[2:]), events[:2])
    shuffled, ordered = dense(source, [ask(items, late), ask(items, fold(EMPTY, events))])
    np.testing.assert_array_equal(shuffled, ordered)


@learns_tastes
def test_a_stranger_gets_no_taste(name: str) -> None:
    log, items = checkerboard()
    assert not dense(FITS[name](log, items), [ask(items, EMPTY)])[0].any()


@learns_tastes
def test_the_missing_item_of_ones_own_colour_is_above_all_of_the_other(name: str) -> None:
    log, items = checkerboard()
    source = FITS[name](log, items)
    for customer in range(CUSTOMERS):
        score = dense(source, [ask(items, log.profile(customer))])[0][0]
        missing = position(items, NAMES[np.arange(customer % 2, len(NAMES), 2)[missing_place(customer)]])
        others = [position(items, NAMES[number]) for number in range(1 - customer % 2, len(NAMES), 2)]
        assert score[missing] > score[others].max()


@pytest.mark.parametrize("name", ["attributes", "text"])
def test_a_new_item_is_reached_through_its_attributes(name: str) -> None:
    log, items = checkerboard()
    shelf = with_new(items)
    source = FITS[name](log, items)
    for customer in range(2):
        score = dense(source, [ask(shelf, log.profile(customer))])[0][0]
        mine, other = (NEW_WHITE, NEW_BLACK) if customer == 0 else (NEW_BLACK, NEW_WHITE)
        assert score[position(shelf, mine)] > score[position(shelf, other)]


def test_a_used_new_item_speaks_for_its_colour() -> None:
    log, items = checkerboard()
    shelf = with_new(items)
    events = uses(np.arange(1), customer=0)
    events["item"] = code64(NEW_BLACK)
    score = dense(FITS["attributes"](log, items), [ask(shelf, fold(EMPTY, events))])[0][0]
    assert score[position(shelf, NAMES[1])] > score[position(shelf, NAMES[0])]
