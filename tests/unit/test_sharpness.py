"""How sharp scores are: the order stays, the probabilities come to mean what they say."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.metrics import calibration_error
from recommender.model import _sharpness
from recommender.ranker import Ranker
from recommender.sharpness import SURE, factor_of, factors
from recommender.sources.base import Scores
from recommender.types import FloatArray
from tests.unit.steps import asked, letters
from training.fit.replay import Replay
from training.fit.sharpness import LEAST, MOST, fit_sharpness

ITEMS = letters("abcd")
SCORES = [Scores(np.array([[0, 1, 2, 4]], np.float32), None, np.zeros(1, np.float32))]
PLAIN = Ranker(("one.column",), np.ones((1, 1), np.float32))
TWICE = replace(PLAIN, sharpness=np.full(SURE.size, 2, np.float32))


def test_a_question_is_multiplied_by_the_factor_for_how_sure_it_is() -> None:
    rising = np.linspace(1, 4, SURE.size).astype(np.float32)
    assert factors(SURE, rising) == pytest.approx(rising)
    assert factors(np.array([0.0, 0.01, 1.0]), rising).tolist() == [1, 1, 4]
    even = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    assert factor_of(even, rising) == pytest.approx(rising[4], abs=1e-5)
    assert factor_of(np.zeros(0, np.float32), rising) == 1


def test_the_order_stays_and_the_parts_still_add_up() -> None:
    query = asked(ITEMS, "ab")
    plain, sharp = PLAIN.blend(query, SCORES), TWICE.blend(query, SCORES)
    assert sharp.tolist() == (2 * plain).tolist()
    everywhere = np.arange(4)
    for asked_first in (query, asked(ITEMS, "ab")):  # also where nobody blended before
        parts = TWICE.contributions(asked_first, SCORES, everywhere)
        assert parts.sum(axis=0) == pytest.approx(sharp - sharp.mean())


def test_a_stranger_is_told_as_before() -> None:
    stranger = asked(ITEMS, "")
    assert TWICE.blend(stranger, SCORES).tolist() == PLAIN.blend(stranger, SCORES).tolist()
    assert (
        TWICE.contributions(stranger, SCORES, np.arange(4)) == PLAIN.contributions(stranger, SCORES, np.arange(4))
    ).all()


def coins(truth: float, questions: int = 4_000, said: float = 1.0) -> tuple[Replay, FloatArray]:
    """Questions of two items, of which the first is `said` to be so far ahead, in log-odds, and is `truth` ahead."""
    draw = np.random.default_rng(3)
    wins = draw.random(questions) < 1 / (1 + np.exp(-truth))
    first = np.arange(questions) * 2
    size = 2 * questions
    replay = Replay(
        values=np.zeros((size, 1), np.float32),
        stands_for=np.zeros(size, np.float32),
        met=np.ones(size, np.bool_),
        item=np.zeros(size, np.int64),
        last=np.zeros(questions, np.int64),
        tabled=0,
        starts=np.append(first, size),
        right=np.stack([wins, ~wins], axis=1).ravel(),
        rows=np.zeros((questions, 1), np.int64),
    )
    return replay, np.tile(np.array([said, 0], np.float32), questions)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.0])
def test_what_is_learned_makes_a_promise_come_true(truth: float) -> None:
    replay, score = coins(truth)
    sharpness = fit_sharpness(replay, score)
    factor = float(factors(np.array([1 / (1 + np.exp(-1))]), sharpness)[0])
    assert factor == pytest.approx(truth, abs=0.15)
    before, after = (np.full(4_000, 1 / (1 + np.exp(-f))) for f in (1, factor))
    won = replay.right[::2]
    assert calibration_error(after, won) <= calibration_error(before, won) + 0.01


def test_few_questions_change_little_and_no_factor_leaves_its_bounds() -> None:
    replay, score = coins(3.0, questions=2)
    assert np.abs(fit_sharpness(replay, score) - 1).max() < 0.3
    replay, score = coins(-3.0)
    assert fit_sharpness(replay, score).min() >= LEAST
    replay, score = coins(9.0)
    assert fit_sharpness(replay, score).max() <= MOST


@pytest.mark.parametrize(
    "bad", [np.full(SURE.size, np.inf), np.full(SURE.size, np.nan), np.zeros(SURE.size), np.ones(2)]
)
def test_a_damaged_sharpness_is_refused(bad: FloatArray) -> None:
    with pytest.raises(ValueError, match="sharpness"):
        _sharpness({"sharpness": bad.astype(np.float32)})
