"""Habit on histories of a few letters."""

import numpy as np
import pytest

from recommender.history import Context, History, Query
from recommender.sources.habit import FAINT, TIMES, USES, Habit
from recommender.types import HOUR, FloatArray
from tests.unit.steps import MONDAY, asked, column, letters, positions

ITEMS = letters("abcd")
A, B, C, D = positions(ITEMS, "abcd").tolist()


def habit(name: str, text: str, **context: object) -> FloatArray:
    return column(Habit(), name, asked(ITEMS, text, **context))  # type: ignore[arg-type]


def test_the_newest_use_counts_one_and_one_half_life_earlier_half() -> None:
    assert habit("uses-2", "acb")[[A, C, B]] == pytest.approx(np.log1p(np.array([2**-1, 2**-0.5, 1]) / FAINT))


def test_what_was_never_used_scores_nothing_in_any_column() -> None:
    query = asked(ITEMS, "abcab")
    assert [column(Habit(), name, query)[D] for name in Habit().columns] == [0] * len(Habit().columns)


def test_half_lives_by_the_clock_count_time_and_not_uses() -> None:
    assert habit("hour", "ab", at=[0, 60], now=60)[[A, B]] == pytest.approx(np.log1p(np.array([0.5, 1]) / FAINT))


def test_the_same_time_of_another_day_is_a_time_of_day_but_no_time_of_week() -> None:
    day = 24 * 60
    query = {"at": [0, 600], "now": day}
    assert habit("time-of-day", "ab", **query)[A] == pytest.approx(np.log1p(1 / FAINT))
    assert habit("time-of-week", "ab", **query)[A] == pytest.approx(0)


def test_an_hour_away_at_either_side_of_midnight_counts_half() -> None:
    before, after = habit("time-of-day", "a", at=[23 * 60], now=0)[A], habit("time-of-day", "a", at=[60], now=0)[A]
    assert before == after == pytest.approx(np.log1p(0.5 / FAINT))


def test_only_uses_in_the_channel_of_the_question_count_for_the_channel() -> None:
    assert habit("channel", "aab", channels="mmw")[[A, B]] == pytest.approx([0, np.log1p(1 / FAINT)])


def test_places_tell_the_last_and_the_last_but_one() -> None:
    assert habit("last", "abca").tolist() == [float(at == A) for at in range(4)]
    assert habit("last-but-one", "abca").tolist() == [float(at == C) for at in range(4)]


def test_nearness_is_the_order_of_last_uses() -> None:
    assert habit("nearness", "abca")[[A, C, B, D]] == pytest.approx([1, 1 / 2, 1 / 3, 0])


def test_an_item_that_rested_longer_than_usual_is_overdue() -> None:
    late = habit("overdue", "ababcccccc")
    assert late[A] > 0 > late[C]


def test_older_counts_of_forgotten_order_still_count_in_the_longest_half_life() -> None:
    none = np.zeros(0, np.int64)
    history = History(none, none, none, none, np.array([C]), np.array([5]))
    query = Query(ITEMS, history, Context(MONDAY))
    assert column(Habit(), f"uses-{USES[-1]}", query)[C] == pytest.approx(np.log1p(5 / FAINT))


@pytest.mark.parametrize("text", ["", "a"])
def test_short_histories_are_scored_without_a_fuss(text: str) -> None:
    scores = Habit().score([asked(ITEMS, text)])[0]
    assert scores.values.shape == (len(Habit().columns), len(text))
    assert np.isfinite(scores.values).all()


def test_a_clock_that_runs_ahead_makes_no_use_younger_than_new() -> None:
    ahead = habit("hour", "a", at=[90], now=0)[A]
    assert ahead == pytest.approx(np.log1p(1 / FAINT))
    assert TIMES["hour"] == HOUR
