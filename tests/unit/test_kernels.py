"""The compiled loops, where no test of what they are for would notice, and that all of them are warmed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from recommender import kernels
from recommender.kernels import blend, choose, linear, past
from recommender.kernels.described import described, numbered
from recommender.sharpness import LOG_ODDS, SURE, factors

CODES = st.integers(-(2**63), 2**63 - 1)


def test_every_room_of_loops_is_warmed() -> None:
    rooms = {path.stem for path in Path(kernels.__file__).parent.glob("*.py")} - {"__init__", "compiled"}
    assert rooms == set(kernels._LOOPS)
    assert kernels.warm() >= 0


@given(
    arrays.arrays(np.float32, st.integers(0, 4_000), elements=st.sampled_from([-np.inf, -1, 0, 0.5, 1, 2])),
    st.integers(0, 40),
)
def test_the_best_are_those_of_a_sort(scores: np.ndarray, k: int) -> None:
    order = np.lexsort((np.arange(scores.size), -scores))
    assert choose.best(scores, k).tolist() == order[scores[order] > -np.inf][:k].tolist()


@given(arrays.arrays(np.float32, st.integers(1, 4_000), elements=st.floats(-1, 1, width=32)))
def test_a_spread_is_the_way_from_the_best_to_the_hundredth_above_zero(values: np.ndarray) -> None:
    above = np.sort(values[values > 0])[::-1]
    foot = above[99] if above.size > 100 else 0
    assert linear.spread(values, 100) == pytest.approx(above[0] - foot if above.size else 0)


@given(st.sets(CODES), st.sets(CODES))
def test_codes_are_found_where_they_stand_and_others_nowhere(codes: set[int], others: set[int]) -> None:
    known = np.array(sorted(codes), np.int64)
    table = past.index(known)
    assert [past.position(table, known, code) for code in known.tolist()] == list(range(known.size))
    assert all(past.position(table, known, code) == -1 for code in others - codes)


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=40), st.integers(1, 40))
def test_the_kth_largest_is_where_sorting_would_put_it(values: list[float], k: int) -> None:
    k = min(k, len(values))
    assert choose.largest(np.array(values), k) == sorted(values, reverse=True)[k - 1]


@pytest.mark.parametrize("size", [3, 10_000])
def test_few_uses_among_many_items_have_the_same_places_as_among_few(size: int) -> None:
    at, place, older = past.places(np.array([2, 0, 2]), np.array([1]), size)
    assert (at.tolist(), place.tolist(), older.tolist()) == ([0, 1, 2], [2, 0, 2], [1])


def test_scores_of_more_items_than_there_are_are_refused() -> None:
    with pytest.raises(ValueError, match="more items than there are"):
        linear.scaled(np.ones(5, np.float32), 4, 100)


def test_factors_that_do_not_fit_their_inverse_are_refused() -> None:
    ones = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        linear.fold_in_few(np.ones((3, 4), np.float32), np.arange(2), ones, np.eye(5, dtype=np.float32))


def test_equations_are_solved_with_pivots() -> None:
    rng = np.random.default_rng(3)
    for t in (1, 2, 5, 40):
        left, right = rng.normal(size=(t, t)), rng.normal(size=t)
        left[0, 0] = 0 if t > 1 else 1
        system = np.column_stack([left, right]).astype(np.float32)
        linear.solve(system)
        np.testing.assert_allclose(system[:, t], np.linalg.solve(left, right), rtol=2e-2, atol=2e-2)


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_a_union_has_each_once_and_ascending(a: set[int], b: set[int]) -> None:
    first, second = (np.array(sorted(one), np.int64) for one in (a, b))
    assert blend.union(first, second).tolist() == sorted(a | b)


@given(st.floats(1e-6, 1 - 1e-6), st.lists(st.floats(0.125, 3, width=32), min_size=SURE.size, max_size=SURE.size))
def test_an_answer_is_as_sharp_as_training_found(sure: float, learned: list[float]) -> None:
    sharpness = np.array(learned, np.float32)
    wanted = factors(np.array([sure]), sharpness)[0]
    assert blend.factor(sure, LOG_ODDS, sharpness) == pytest.approx(wanted, rel=1e-5)


def test_items_are_described_by_their_tokens_and_the_other_way_round() -> None:
    rng = np.random.default_rng(7)
    size = rng.integers(0, 6, 2000)
    size[:3] = 0
    tokens = np.concatenate([rng.choice(3000, k, replace=False) for k in size]) * 2**40 - 2**50
    starts = np.concatenate([[0], np.cumsum(size)])
    known = np.unique(tokens)[::2].copy()
    weight = np.where(np.arange(known.size) % 5, 0.5 + rng.random(known.size), 0).astype(np.float32)
    rows, column, value, back, back_column, back_value = described(starts, tokens, known, weight, np.float32(0.25))
    distinct, number = numbered(tokens)
    assert np.array_equal(distinct[number], tokens)
    assert np.array_equal(np.sort(distinct), np.unique(tokens))
    at = np.searchsorted(known, distinct)
    own = np.isin(distinct, known)
    of = np.where(own, weight[np.minimum(at, known.size - 1)], np.float32(0.25))
    dense = np.zeros((2000, distinct.size), np.float32)
    dense[np.repeat(np.arange(2000), size), number] = of[number]
    norm = np.linalg.norm(dense, axis=1, keepdims=True)
    dense = np.divide(dense, norm, out=np.zeros_like(dense), where=norm > 0)
    by_item = sparse.csr_array((value, column, rows), dense.shape)
    by_token = sparse.csr_array((back_value, back_column, back), dense.T.shape)
    assert by_item.toarray() == pytest.approx(dense)
    assert np.array_equal(by_token.toarray().T, by_item.toarray())
    assert by_token.has_sorted_indices
    assert (by_item.data > 0).all()


def test_nothing_is_described_by_nothing() -> None:
    none = np.zeros(0, np.int64)
    found = described(np.zeros(4, np.int64), none, none, np.zeros(0, np.float32), np.float32(1))
    assert [part.size for part in found] == [4, 0, 0, 1, 0, 0]
