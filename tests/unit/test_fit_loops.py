"""The loops that learning runs through, against numpy and against differences of what they sum up."""

import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from training.ahead import THREADS, side_by_side
from training.fit import loops
from training.fit.replay import surprise

Vector = npt.NDArray[np.float64]

DRAW = np.random.default_rng(5)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_the_loss_by_situation_is_that_of_the_softmax_and_its_slope_that_of_the_loss(scale: float) -> None:
    sizes = [1, 5, 40, 3]
    starts, total = np.cumsum([0, *sizes]), sum(sizes)
    values = (DRAW.normal(0, scale, (total, 6))).astype(np.float32)
    stands_for, right = DRAW.normal(0, 1, total).astype(np.float32), DRAW.random(total) < 0.4
    right[starts[:-1]] = True
    which, weights = np.array([1, 0, 1, 0]), DRAW.normal(0, 1, (2, 6)).astype(np.float32)
    unit = np.full(6, 1 / scale, np.float32)

    def loss(weights: Vector) -> float:
        own = np.repeat(weights[which], sizes, axis=0)
        score = ((values.astype(np.float64) * unit) * own).sum(axis=1) + stands_for
        return float(surprise(score, starts[:-1], right)[1].sum())

    slope = np.zeros((2, 6))
    asked = (values, unit, stands_for, starts, right, which)
    assert loops.by_situation(*asked, weights, slope) == pytest.approx(loss(weights.astype(np.float64)), rel=1e-5)
    for at in np.ndindex(2, 6):
        step = np.zeros((2, 6))
        step[at] = 1e-4
        assert slope[at] == pytest.approx((loss(weights + step) - loss(weights - step)) / 2e-4, rel=1e-3, abs=1e-3)


def test_a_score_that_cannot_be_reached_has_no_probability() -> None:
    score = np.array([0, -np.inf, 0])
    assert loops.excess(score, np.array([True, False, False])) == pytest.approx(np.log(2))
    assert score.tolist() == [-0.5, 0, 0.5]
    far = np.array([0.0, 2_000.0])
    assert loops.excess(far, np.array([True, False])) == pytest.approx(2_000)
    assert far.tolist() == [-1, 1]


def test_means_and_deviations_are_those_of_numpy_also_far_from_zero() -> None:
    values = DRAW.normal(1e4, [1e-2, 1, 100], (500, 3)).astype(np.float32)
    mean, deviation = loops.spread(values)
    assert mean == pytest.approx(values.mean(axis=0, dtype=np.float64))
    assert deviation == pytest.approx(values.std(axis=0, dtype=np.float64))
    assert loops.spread(values[:1])[1].tolist() == [0, 0, 0]


def test_the_best_of_each_row_are_marked() -> None:
    met = np.zeros(9, np.bool_)
    loops.mark_best(np.array([[1, 5, 2], [-np.inf, 0, 3]], np.float32), np.array([4, 6, 8]), 1, met)
    assert np.flatnonzero(met).tolist() == [6, 8]


def test_work_side_by_side_comes_in_order_and_no_more_of_it_is_begun_than_is_soon_wanted() -> None:
    begun: list[int] = []
    together = threading.Barrier(THREADS)

    def work(number: int) -> int:
        if number < THREADS:
            together.wait(10)
        return number**2

    def items() -> Iterator[int]:
        for number in range(1_000):
            begun.append(number)
            yield number

    made = side_by_side(work, items())
    assert next(made) == 0
    assert len(begun) <= 2 * THREADS + 1
    assert list(made) == [number**2 for number in range(1, 1_000)]
    assert list(side_by_side(work, [])) == []


def test_what_fails_side_by_side_fails_where_it_is_wanted() -> None:
    made = side_by_side(lambda number: 1 // number, [1, 0, 1])
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)
