"""Measures on lists short enough to reckon by hand, and against a second formula where there is one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.metrics import (
    bootstrap,
    calibration_error,
    coverage,
    gini,
    hit,
    ndcg,
    novelty,
    pessimistic_rank,
    rank_score,
    recall,
    reciprocal_rank,
)
from recommender.types import BoolArray, IntArray

hit_lists = arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 6)))


def hits(*rows: str) -> BoolArray:
    """`.x.` is a list of three whose second item was wanted."""
    return np.array([[place == "x" for place in row] for row in rows])


def test_an_item_that_ties_ranks_behind_all_it_ties_with() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.1], np.float32)
    assert [pessimistic_rank(scores, item) for item in range(4)] == [3, 1, 3, 4]


def test_a_rank_counts_as_a_hit_down_to_k_and_zero_never() -> None:
    assert hit(np.array([0, 1, 3, 4]), k=3).tolist() == [0, 1, 1, 0]


def test_the_reciprocal_rank_of_a_miss_is_nothing() -> None:
    assert reciprocal_rank(np.array([0, 1, 4])).tolist() == [0, 1, 0.25]


def test_recall_is_of_all_that_was_wanted_not_of_what_fits() -> None:
    assert recall(hits("xx", ".x"), np.array([4, 1])).tolist() == [0.5, 1]


def test_a_single_hit_at_rank_two_costs_its_log_discount() -> None:
    assert ndcg(hits(".x"), np.array([1]))[0] == pytest.approx(1 / math.log2(3))


def test_the_best_list_has_no_more_hits_than_places() -> None:
    assert ndcg(hits("xx"), np.array([5]))[0] == pytest.approx(1)


def test_where_nothing_was_wanted_there_is_no_value() -> None:
    nothing = np.array([0])
    for measure in (recall, ndcg):
        assert np.isnan(measure(hits(".."), nothing)).all()


@given(hit_lists, st.integers(0, 5))
def test_ndcg_is_the_list_over_the_best_list_reckoned_place_by_place(found: BoolArray, missed: int) -> None:
    relevant = found.sum(1) + missed
    for row, wanted, value in zip(found, relevant, ndcg(found, relevant), strict=True):
        gain = sum(1 / math.log2(place + 2) for place, right in enumerate(row) if right)
        best = sum(1 / math.log2(place + 2) for place in range(min(wanted, row.size)))
        assert value == pytest.approx(gain / best) if best else math.isnan(value)


@given(hit_lists, st.integers(1, 5))
def test_no_list_is_better_than_the_best(found: BoolArray, missed: int) -> None:
    relevant = found.sum(1) + missed
    for measure in (recall, ndcg):
        value = measure(found, relevant)
        assert bool(((value >= 0) & (value <= 1 + 1e-12)).all())


def test_coverage_counts_each_shown_item_once() -> None:
    assert coverage(np.array([[0, 1], [1, -1]]), items=4) == 0.5


def test_gini_of_equal_exposure_is_zero() -> None:
    assert gini(np.array([[0, 1], [2, 3]]), items=4) == pytest.approx(0)


def test_gini_of_one_item_for_all_is_all_but_its_own_share() -> None:
    assert gini(np.array([[2], [2], [2]]), items=4) == pytest.approx(3 / 4)


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(0, 4)))
def test_gini_is_the_mean_difference_of_all_pairs(lists: IntArray) -> None:
    exposure = np.bincount(lists.ravel(), minlength=5)
    apart = np.abs(exposure[:, None] - exposure[None]).mean()
    assert gini(lists, items=5) == pytest.approx(apart / (2 * exposure.mean()))


def test_novelty_is_in_bits_and_an_item_of_nobody_counts_as_half_a_customer() -> None:
    users_of_item = np.array([4, 1, 0])
    assert novelty(np.array([[0], [1]]), users_of_item, users=4) == pytest.approx((0 + 2) / 2)
    assert novelty(np.array([[2]]), users_of_item, users=4) == pytest.approx(3)


def test_what_shows_nothing_has_no_novelty_and_no_gini() -> None:
    empty = np.full((2, 3), -1)
    assert coverage(empty, items=4) == 0
    assert math.isnan(gini(empty, items=4))
    assert math.isnan(novelty(empty, np.ones(4, np.int64), users=4))


def test_the_interval_holds_the_mean_and_repeats_with_its_seed() -> None:
    values = np.random.default_rng(1).random(200)
    found = bootstrap(values)
    assert found.low < found.mean < found.high
    assert found == bootstrap(values)
    assert found.mean == pytest.approx(values.mean())


def test_the_interval_is_as_wide_as_the_normal_one() -> None:
    values = np.random.default_rng(2).normal(size=2_000)
    found = bootstrap(values)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 / math.sqrt(2_000), rel=0.1)


def test_a_paired_interval_is_narrower_where_two_agree_on_what_is_hard() -> None:
    random = np.random.default_rng(3)
    hardness = random.random(300)
    first, second = hardness + 0.01 * random.random(300), hardness
    paired, alone = bootstrap(first - second), bootstrap(first)
    assert paired.low > 0
    assert paired.high - paired.low < (alone.high - alone.low) / 10


def test_an_interval_over_customers_who_all_agree_is_a_point() -> None:
    values, customers = np.tile([0.0, 1.0], 50), np.repeat(np.arange(50), 2)
    assert bootstrap(values, customers) == pytest.approx((0.5, 0.5, 0.5))


def test_customers_who_disagree_widen_the_interval_and_one_each_is_the_plain_one() -> None:
    values = np.repeat([0.0, 1.0], 50)
    assert bootstrap(values, np.repeat(np.arange(4), 25))[1:] == (0, 1)
    assert bootstrap(values, np.arange(100)) == pytest.approx(bootstrap(values))


def test_customers_without_a_value_are_left_out() -> None:
    assert bootstrap(np.array([1.0, np.nan, 1.0])) == (1, 1, 1)
    assert bootstrap(np.array([1.0, np.nan, 1.0]), np.array([5, 7, 9])) == (1, 1, 1)
    assert all(math.isnan(value) for value in bootstrap(np.array([np.nan])))


def test_a_promise_that_is_kept_has_no_calibration_error() -> None:
    promised = np.array([0.25] * 4 + [1.0] * 4)
    assert calibration_error(promised, np.array([True] + [False] * 3 + [True] * 4), bins=2) == pytest.approx(0)


def test_calibration_error_is_the_gap_weighted_by_how_often_it_was_promised() -> None:
    promised = np.array([0.95, 0.95, 0.05, 0.05])
    kept = np.array([True, False, False, False])
    assert calibration_error(promised, kept, bins=2) == pytest.approx((0.45 + 0.05) / 2)
    assert calibration_error(np.full(150, 0.7), np.arange(150) % 10 < 7) == pytest.approx(0)
    assert calibration_error(np.ones(10), np.zeros(10, np.bool_)) == 1
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0, np.bool_)))


def test_the_rank_score_halves_every_half_life_less_one_places() -> None:
    ranks = np.array([[1, 0], [5, 0], [1, 5], [0, 0], [2, 1]])
    share, best = rank_score(ranks, np.array([1, 1, 2, 1, 2]))
    second = 2 ** (-1 / 4)
    assert best == pytest.approx([1, 1, 1 + second, 1, 1 + second])
    assert share == pytest.approx([1, 0.5, 1.5 / (1 + second), 0, 1])


def test_nothing_wanted_has_no_rank_score_and_no_weight() -> None:
    share, best = rank_score(np.zeros((1, 3), np.int64), np.zeros(1, np.int64))
    assert np.isnan(share).all()
    assert best.tolist() == [0]


def test_a_weighted_mean_counts_each_value_by_its_weight_also_in_the_interval() -> None:
    values, weights = np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 1.0])
    assert bootstrap(values, weights=weights).mean == pytest.approx(6 / 4)
    repeated = bootstrap(np.array([0.0, 1.0, 1.0, 4.0]), np.array([0, 1, 1, 2]))
    assert bootstrap(values, weights=weights) == pytest.approx(repeated)
