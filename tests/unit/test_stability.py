from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.stability import GONE, STEEPNESS, changes, settle

SIZE = 8
DIAL = st.sampled_from([0.05, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])


def probability(*percent: float) -> np.ndarray:
    return np.array(percent, np.float32) / 100


def ranked(worth: np.ndarray, k: int) -> list[int]:
    return list(map(int, np.argsort(-worth, kind="stable")[:k]))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[int], np.ndarray, list[int]]:
    """The plain ranking, its probabilities (sums of powers of two, so sums are exact), and a page from before."""
    worth = np.array(draw(st.lists(st.integers(0, 64), min_size=SIZE, max_size=SIZE)), np.float32) / 256
    free = sorted(draw(st.sets(st.integers(0, SIZE - 1))))
    best = [item for item in ranked(worth, SIZE) if item in free][: draw(st.integers(0, 4))]
    before = draw(st.permutations(range(SIZE)))[: draw(st.integers(0, 6))]
    return best, worth, [item if item in free else GONE for item in before]


def gain(page: list[int], best: list[int], worth: np.ndarray, last: list[int], stability: float) -> float:
    """The definition: hits expected of the first place and of the page, less a price for each place that changed."""
    price = stability**STEEPNESS * float(worth[best[0]] + worth[best].sum())
    moved = sum(now != before for now, before in zip(page, last, strict=False) if before != GONE)
    return float(worth[page[0]] + worth[page].sum()) - price * moved


def test_a_newcomer_takes_the_place_of_the_weakest_and_the_others_keep_theirs() -> None:
    worth = probability(30, 20, 1, 5, 10)
    assert settle([0, 1, 4, 3], worth, [0, 2, 3, 1], 0.3) == [0, 4, 3, 1]


def test_an_item_that_comes_first_changes_places_with_the_one_that_was() -> None:
    worth = probability(20, 10, 8, 40)
    assert settle([3, 0, 1, 2], worth, [0, 1, 3, 2], 0.3) == [3, 1, 0, 2]


def test_a_small_gain_moves_nothing() -> None:
    worth = probability(20, 10, 8, 9)
    assert settle([0, 1, 3], worth, [0, 1, 2], 0.3) == [0, 1, 2]
    assert settle([1, 0, 2], probability(20, 21, 8), [0, 1, 2], 0.3) == [0, 1, 2]


def test_an_item_that_is_gone_leaves_its_place_to_the_best_newcomer_and_nobody_else_moves() -> None:
    assert settle([0, 1, 3, 4], probability(40, 9, 0, 5, 4), [0, GONE, 1, 4], 1.0) == [0, 3, 1, 4]
    assert settle([1, 3], probability(0, 8.5, 0, 8), [GONE, 1], 0.3) == [3, 1]


def test_a_smaller_page_is_the_top_of_the_last_one_and_a_larger_one_goes_on_below_it() -> None:
    worth = probability(30, 10, 9, 8, 7)
    assert settle([0, 1], worth, [0, 2, 1], 0.3) == [0, 2]
    assert settle([0, 1, 2, 3, 4], worth, [0, 2, 1], 0.3) == [0, 2, 1, 3, 4]


def test_a_pinned_item_stands_where_it_is_pinned_and_nowhere_else() -> None:
    worth = probability(30, 20, 10, 1)
    for last in ([], [3, 0, 1], [0, 1, 2]):
        for stability in (0.0, 0.3, 1.0):
            page = settle([0, 1, 2], worth, last, stability, {1: 3})
            assert page[1] == 3
            assert page.count(3) == 1
    assert settle([0, 1, 2], worth, [2, 3, 1], 0.3, {0: 3}) == [3, 0, 1]


@given(worlds(), DIAL, st.sets(st.integers(0, 3), max_size=2), st.permutations(range(SIZE)))
def test_the_page_is_the_best_of_all_pages_after_the_price_of_what_changed(
    world: tuple[list[int], np.ndarray, list[int]], stability: float, places: set[int], items: list[int]
) -> None:
    best, worth, last = world
    pinned = {place: item for place, item in zip(sorted(places), items, strict=False) if place < len(best)}
    page = settle(best, worth, last, stability, pinned)
    assert len(set(page)) == len(page) == len(best)
    assert all(page[place] == item for place, item in pinned.items())
    assert set(page) <= {*best, *last, *pinned.values()} - {GONE}
    if best and last:
        stayed = [GONE if item in pinned.values() else item for item in last]
        open_ = [place for place in range(len(best)) if place not in pinned]
        pool = sorted({*best, *last[: len(best)]} - {GONE, *pinned.values()})
        values = []
        for others in permutations(pool, len(open_)):
            other = pinned | dict(zip(open_, others, strict=True))
            values.append(gain([other[place] for place in range(len(best))], best, worth, stayed, stability))
        assert gain(page, best, worth, stayed, stability) == pytest.approx(max(values), abs=1e-12)


@given(worlds(), DIAL)
def test_asking_again_without_news_changes_nothing(
    world: tuple[list[int], np.ndarray, list[int]], stability: float
) -> None:
    best, worth, last = world
    page = settle(best, worth, last, stability)
    assert settle(best, worth, last, stability) == page
    assert settle(best, worth, page, stability) == page


@given(worlds(), DIAL, DIAL)
def test_a_higher_dial_never_moves_more(
    world: tuple[list[int], np.ndarray, list[int]], one: float, other: float
) -> None:
    best, worth, last = world
    low, high = sorted((one, other))
    moved = [changes(settle(best, worth, last, stability), last) for stability in (0.0, low, high)]
    assert moved == sorted(moved, reverse=True)


@given(worlds())
def test_at_zero_it_is_the_plain_ranking_and_at_one_nothing_moves_but_what_must(
    world: tuple[list[int], np.ndarray, list[int]],
) -> None:
    best, worth, last = world
    assert settle(best, worth, last, 0.0) == best
    assert settle(best, worth, [], 0.3) == best
    page = settle(best, worth, last, 1.0)
    assert all(now == before for now, before in zip(page, last, strict=False) if before != GONE)


def test_changes_are_counted_over_the_places_that_both_pages_have() -> None:
    assert changes([1, 2, 3], [1, 3, 2]) == 2
    assert changes([1, 2, 3], [1]) == 0
    assert changes([4], [1, 2, 3]) == 1
