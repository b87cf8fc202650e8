"""The hidden layer, by hand where it fits on paper, against a second implementation, and where only it can learn."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.layer import Layer, singled_out
from recommender.ranker import ROWS, Ranker, situation
from recommender.sources.base import Scores
from tests.unit.steps import asked, letters
from training.fit import layer as fitting
from training.fit.ranker import fit_weights, mixed, rehearse
from training.fit.replay import Replay

ITEMS = letters("abcd")
QUERY = asked(ITEMS, "ab")
SPARSE = Scores(np.array([[3, 5]], np.float32), np.array([1, 3]), np.array([1], np.float32))
DENSE = Scores(np.array([[0, 1, 2, 3]], np.float32), None, np.zeros(1, np.float32))
NO_ROWS = np.zeros((1, 1), np.float32)
BOTH = Layer(
    np.ones((2, 1), np.float32), np.full((ROWS, 1), -1, np.float32), NO_ROWS, NO_ROWS, np.full(1, 10, np.float32)
)
"""Five rows of the situation count, so its one unit is the sum of both columns less 5, if above 0; times 10."""


def test_only_items_that_a_source_singles_out_are_lifted() -> None:
    ranker = Ranker(("one.sparse", "two.dense"), np.zeros((1, 2), np.float32), BOTH)
    assert singled_out([SPARSE, DENSE]).tolist() == [1, 3]
    assert ranker.blend(QUERY, [SPARSE, DENSE]).tolist() == [0, 0, 0, 10 * ((5 - 1) + 3 - 5)]


def test_a_layer_says_nothing_of_a_stranger() -> None:
    ranker = Ranker(("one.sparse", "two.dense"), np.ones((1, 2), np.float32), BOTH)
    alone = replace(ranker, layer=None)
    stranger = asked(ITEMS, "")
    assert ranker.blend(stranger, [SPARSE, DENSE]).tolist() == alone.blend(stranger, [SPARSE, DENSE]).tolist()


def random_layer(columns: int, seed: int = 3, rows: int = 3) -> Layer:
    """Four units; the items 0 to rows - 1 have rows of their own."""
    draw = np.random.default_rng(seed)
    shapes = ((columns, 4), (ROWS, 4), (rows + 1, 4), (rows + 1, 4), (4,))
    layer = Layer(*(draw.normal(0, 1, shape).astype(np.float32) for shape in shapes))
    layer.item[-1] = layer.last[-1] = 0
    return layer


def test_the_parts_add_up_to_the_lift() -> None:
    layer, items = random_layer(5), np.arange(50)
    start = layer.start(situation(QUERY), 1)
    values = np.random.default_rng(4).normal(0, 2, (50, 5)).astype(np.float32)
    values[7] = 0
    way = layer.way(items, values)
    slope = layer.slope(start, way)
    parts = layer.parts(slope, items, values)
    assert parts.sum(axis=1) == pytest.approx(layer.lift(start, way), abs=1e-4)
    assert parts.sum(axis=0) == pytest.approx(layer.total(slope, items, values), rel=1e-3, abs=1e-3)
    assert not parts[7].any()
    assert layer.lift(start, way)[7] == 0


def test_a_column_s_part_is_the_slope_s_integral_on_the_straight_way() -> None:
    layer, item = random_layer(3), np.array([2])
    start = layer.start(situation(QUERY), 0)
    values = np.array([[1, -2, 0.5]], np.float32)
    way = (np.arange(4000) + 0.5)[:, None] / 4000
    units = way * (values @ layer.into + layer.item[2]) + start
    slope = ((units > 0) * layer.out).mean(axis=0)
    parts = layer.parts(layer.slope(start, layer.way(item, values)), item, values)[0]
    assert parts[:3] == pytest.approx(values[0] * (slope @ layer.into.T), abs=5e-3)
    assert parts[3] == pytest.approx(slope @ layer.item[2], abs=5e-3)


def test_an_item_that_came_after_training_has_no_row_of_its_own() -> None:
    layer, values = random_layer(2, rows=3), np.zeros((2, 2), np.float32)
    start = layer.start(situation(QUERY), 9)
    assert start.tolist() == layer.bias[situation(QUERY)].sum(axis=0).tolist()
    late, known = layer.lift(start, layer.way(np.array([9, 1]), values))
    assert late == 0
    assert known != 0


@pytest.mark.parametrize("columns", [("one.sparse", "two.dense"), ("one.sparse", "popularity.popularity")])
def test_contributions_hold_the_layer_s_part_above_the_average_item(columns: tuple[str, ...]) -> None:
    ranker = Ranker(columns, np.array([[2, 10]], np.float32), random_layer(2))
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
    nowhere = np.zeros(questions, np.int64)
    return Replay(
        values=values.reshape(-1, 2),
        stands_for=np.zeros(size, np.float32),
        met=np.ones(size, np.bool_),
        item=np.tile([0, 1, 2], questions),
        last=nowhere,
        tabled=3,
        starts=np.append(flat, size),
        right=np.isin(np.arange(size), flat + truth),
        rows=rows,
    )


def test_a_layer_learns_what_no_weighted_sum_can_and_is_taken_for_it() -> None:
    replay = exclusive(3_000)
    plain = fitting.losses(replay, fitting.scored(replay, fit_weights(replay)))
    layered = fitting.losses(replay, fitting.scored(replay, *fitting.fit_layer(replay, 1)))
    assert plain.mean() > 0.9 * np.log(3)
    assert layered.mean() < 0.2
    assert rehearse(replay, 1)[0] == 1


def test_where_nothing_is_to_be_learned_a_layer_is_not_taken() -> None:
    replay = exclusive(2_000)
    blind = np.random.default_rng(1).integers(0, 3, 2_000) + np.arange(2_000) * 3
    assert rehearse(replace(replay, right=np.isin(np.arange(replay.right.size), blind)), 1)[0] == 0
    assert rehearse(exclusive(900), 1) == (0, None)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mixture_scores_as_its_members_do_on_average(share: float) -> None:
    replay = exclusive(200)
    plain, layered = fitting.scored(replay, fit_weights(replay)), fitting.scored(replay, *fitting.fit_layer(replay, 1))
    weights, layer = mixed(replay, 1, share)
    assert fitting.scored(replay, weights, layer) == pytest.approx((1 - share) * plain + share * layered, abs=1e-4)


def test_the_slopes_are_those_of_the_loss() -> None:
    """Against differences of the loss, which takes the way that serves."""
    replay, layer, ones = exclusive(40), random_layer(2), np.ones(2, np.float32)
    replay.met[::7] = False
    replay.item[::5] = 3
    replay.last[::4] = 1
    weight = np.array([0.3, -0.2], np.float32)
    learned = (layer.into, layer.bias, layer.item, layer.last, layer.out)
    slopes = fitting._slopes(replay, np.arange(replay.questions), ones, weight, layer)
    for part, slope in zip((weight, *learned), slopes, strict=True):
        for at in [np.unravel_index(i, part.shape) for i in (0, part.size // 3, part.size // 2)]:
            sides = []
            for change in (0.001, -0.002):
                part[at] += change
                sides.append(fitting.losses(replay, fitting.scored(replay, weight[None], layer)).mean())
            part[at] += 0.001
            assert slope[at] == pytest.approx((sides[0] - sides[1]) / 0.002, abs=1e-3)


@pytest.mark.parametrize("said", [0, 7, -1e30, 3e38])
def test_a_column_that_says_the_same_of_all_takes_little_from_the_others(said: float) -> None:
    replay = exclusive(2_000)
    also = replace(replay, values=np.column_stack([replay.values, np.full(6_000, said, np.float32)]))
    share, _ = rehearse(also, 1)
    assert share == 1
    assert fitting.losses(also, fitting.scored(also, *mixed(also, 1, share))).mean() < 0.6


def test_what_has_no_row_keeps_none() -> None:
    replay = exclusive(200)
    replay.item[:] = replay.last[:] = 3
    _, layer = fitting.fit_layer(replay, 1)
    assert not layer.item.any()
    assert not layer.last.any()


def test_the_same_questions_and_seed_give_the_same_layer() -> None:
    replay = exclusive(200)
    one, two = (fitting.fit_layer(replay, 5) for _ in range(2))
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].into.tobytes() == two[1].into.tobytes()
