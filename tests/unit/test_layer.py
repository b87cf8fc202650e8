"""The hidden layer, by hand where it fits on paper, against a second implementation, and where only it can learn."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.layer import Layer, singled_out
from recommender.ranker import ROWS, Ranker, situation
from recommender.sources.base import Scores
from tests.unit.steps import asked, letters
from training.fit import layer as fitting
from training.fit.ranker import fit_weights, layer_pays
from training.fit.replay import Replay

ITEMS = letters("abcd")
QUERY = asked(ITEMS, "ab")
SPARSE = Scores(np.array([[3, 5]], np.float32), np.array([1, 3]), np.array([1], np.float32))
DENSE = Scores(np.array([[0, 1, 2, 3]], np.float32), None, np.zeros(1, np.float32))
BOTH = Layer(np.ones((2, 1), np.float32), np.full((ROWS, 1), -1, np.float32), np.full(1, 10, np.float32))
"""Five rows of the situation count, so its one unit is the sum of both columns less 5, if above 0; times 10."""


def test_only_items_that_a_source_singles_out_are_lifted() -> None:
    ranker = Ranker(("one.sparse", "two.dense"), np.zeros((1, 2), np.float32), BOTH)
    assert singled_out([SPARSE, DENSE], 4).tolist() == [1, 3]
    assert ranker.blend(QUERY, [SPARSE, DENSE]).tolist() == [0, 0, 0, 10 * ((5 - 1) + 3 - 5)]


def test_a_layer_says_nothing_of_a_stranger() -> None:
    ranker = Ranker(("one.sparse", "two.dense"), np.ones((1, 2), np.float32), BOTH)
    alone = replace(ranker, layer=None)
    stranger = asked(ITEMS, "")
    assert ranker.blend(stranger, [SPARSE, DENSE]).tolist() == alone.blend(stranger, [SPARSE, DENSE]).tolist()


def random_layer(columns: int, seed: int = 3) -> Layer:
    draw = np.random.default_rng(seed)
    shapes = ((columns, 4), (ROWS, 4), (4,))
    return Layer(*(draw.normal(0, 1, shape).astype(np.float32) for shape in shapes))


def test_the_columns_parts_add_up_to_the_lift() -> None:
    layer, rows = random_layer(5), situation(QUERY)
    values = np.random.default_rng(4).normal(0, 2, (50, 5)).astype(np.float32)
    values[7] = 0
    parts = layer.parts(rows, values)
    assert parts.sum(axis=1) == pytest.approx(layer.lift(rows, values), abs=1e-4)
    assert not parts[7].any()
    assert layer.lift(rows, values)[7] == 0


def test_a_column_s_part_is_the_slope_s_integral_on_the_straight_way() -> None:
    layer, rows = random_layer(3), situation(QUERY)
    values = np.array([[1, -2, 0.5]], np.float32)
    way = (np.arange(4000) + 0.5)[:, None] / 4000
    units = way * values @ layer.into + layer.bias[rows].sum(axis=0)
    slope = ((units > 0) * layer.out) @ layer.into.T
    assert layer.parts(rows, values)[0] == pytest.approx(values[0] * slope.mean(axis=0), abs=5e-3)


def test_contributions_hold_the_layer_s_part_above_the_average_item() -> None:
    ranker = Ranker(("one.sparse", "two.dense"), np.array([[2, 10]], np.float32), random_layer(2))
    score = ranker.blend(QUERY, [SPARSE, DENSE])
    lift = ranker.contributions(QUERY, [SPARSE, DENSE], np.array([3, 0, 1]))
    assert lift.sum(axis=0) == pytest.approx(score[[3, 0, 1]] - score.mean(), abs=1e-4)


def exclusive(questions: int) -> Replay:
    """Three items with two columns each; what comes next has exactly one of them: no weighted sum can tell."""
    draw = np.random.default_rng(0)
    values, truth = np.zeros((questions, 3, 2), np.float32), draw.integers(0, 3, questions)
    for question, right in enumerate(truth):
        values[question] = draw.permutation([[0, 0], [1, 1]])[draw.integers(0, 2, 3)]
        values[question, right] = draw.permutation([0, 1])
    flat = np.arange(questions) * 3
    rows = np.tile(situation(QUERY), (questions, 1))
    size = 3 * questions
    return Replay(
        values.reshape(-1, 2),
        np.zeros(size, np.float32),
        np.ones(size, np.bool_),
        np.append(flat, size),
        np.isin(np.arange(size), flat + truth),
        rows,
    )


def test_a_layer_learns_what_no_weighted_sum_can_and_is_taken_for_it() -> None:
    replay = exclusive(3_000)
    plain = fitting.losses(replay, fit_weights(replay, ROWS))
    layered = fitting.losses(replay, *fitting.fit_layer(replay, 1))
    assert plain.mean() > 0.9 * np.log(3)
    assert layered.mean() < 0.2
    assert layer_pays(replay, 1)


def test_where_nothing_is_to_be_learned_a_layer_is_not_taken() -> None:
    replay = exclusive(2_000)
    blind = np.random.default_rng(1).integers(0, 3, 2_000) + np.arange(2_000) * 3
    assert not layer_pays(replace(replay, right=np.isin(np.arange(replay.right.size), blind)), 1)


def test_the_slopes_are_those_of_the_loss() -> None:
    """Against differences of the loss, which takes the way that serves."""
    replay, layer, ones = exclusive(40), random_layer(2), np.ones(2, np.float32)
    replay.met[::7] = False
    weight = np.array([0.3, -0.2], np.float32)
    slopes = fitting._slopes(replay, ones, weight, layer)
    for part, slope in zip((weight, layer.into, layer.bias, layer.out), slopes, strict=True):
        for at in [np.unravel_index(i, part.shape) for i in (0, part.size // 2, part.size - 1)]:
            sides = []
            for change in (0.01, -0.02):
                part[at] += change
                sides.append(fitting.losses(replay, weight[None], layer).mean())
            part[at] += 0.01
            assert slope[at] == pytest.approx((sides[0] - sides[1]) / 0.02, abs=2e-3)


def test_the_same_questions_and_seed_give_the_same_layer() -> None:
    replay = exclusive(200)
    one, two = (fitting.fit_layer(replay, 5) for _ in range(2))
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].into.tobytes() == two[1].into.tobytes()
