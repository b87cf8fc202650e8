"""Transitions on histories of a few letters: what followed before follows again."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.features import DEPTH, steps
from recommender.sources.transitions import ALIKE, CLOSE, LONGEST, LOOSE, RUNS, Transitions
from recommender.types import FloatArray
from tests.unit.steps import asked, column, letters, log_of_letters, positions
from training.fit.transitions import fit_transitions

ITEMS = letters("abcdxyz")
NOBODY = fit_transitions(log_of_letters(""), ITEMS)
ABCD = positions(ITEMS, "abcd")
A, B, C, D = ABCD.tolist()


def own(name: str, text: str) -> FloatArray:
    return column(NOBODY, name, asked(ITEMS, text))


def others(name: str, text: str, *customers: str) -> FloatArray:
    return column(fit_transitions(log_of_letters(*customers), ITEMS), name, asked(ITEMS, text))


def test_what_followed_the_last_step_comes_first() -> None:
    assert own("order-1-pace-64", "abcabdabca").argmax() == B


def test_a_longer_run_of_steps_decides_against_a_shorter_one() -> None:
    text = "xab" * 3 + "yac" * 6 + "d" * 20 + "xa"
    one, two = own("order-1-pace-64", text), own("order-2-pace-64", text)
    assert one[C] > one[B]
    assert two[C] < two[B]


def test_the_fast_pace_follows_what_happened_last_and_the_slow_what_happened_most() -> None:
    text = "ab" * 6 + "ac" * 2 + "d" * 20 + "a"
    fast, slow = own("order-1-pace-1", text), own("order-1-pace-64", text)
    assert fast[C] > fast[B]
    assert slow[C] < slow[B]


def test_an_order_without_a_match_says_what_the_shorter_one_says() -> None:
    text = "abcxabcya"
    assert own("order-2-cautious-4", text) == pytest.approx(own("order-1-cautious-4", text))
    assert own("order-4-cautious-4", text) == pytest.approx(own("order-1-cautious-4", text))


def test_a_skip_looks_past_the_last_step() -> None:
    assert own("skip-2", "axbaybazbdad").argmax() == B


def test_a_use_is_met_by_as_many_of_the_last_steps_as_it_followed() -> None:
    found = steps(asked(ITEMS, "abcabcab"))
    assert found.run.tolist() == [0, 0, 2, 0, 0, 5, 0, 0]
    assert found.met.tolist() == [7, 2, 2, 1, 1, 1, 0, 0, 0]


def test_one_step_alone_was_never_met_before() -> None:
    assert steps(asked(ITEMS, "a")).met.tolist() == [0] * 9
    assert steps(asked(ITEMS, "")).met.tolist() == [0] * 9


def test_what_others_do_next_reaches_a_customer_on_their_first_step() -> None:
    lift = others("others-1", "a", "abc", "abd", "abx", "cda")
    assert lift.argmax() == B
    assert lift[D] == 0


def test_one_customer_however_busy_speaks_less_than_many() -> None:
    lift = others("others-1", "a", "ab" * 50, *["ac"] * 6, *["bc"] * 44)
    assert lift[C] > 0
    busy = others("others-1", "a", "ab" * 50, "bb" * 50)
    many = others("others-1", "a", *["ab"] * 50, "bb" * 50)
    assert many[B] > busy[B]


def test_two_steps_of_others_tell_what_one_does_not() -> None:
    logs = [*["xab"] * 5, *["yac"] * 5]
    assert others("others-1", "xa", *logs)[B] == pytest.approx(others("others-1", "xa", *logs)[C])
    assert others("others-2", "xa", *logs)[B] > others("others-2", "xa", *logs)[C] == 0


def test_no_step_leads_from_one_customer_to_another() -> None:
    assert not others("others-1", "b", "ab", "cd").any()


def test_an_item_that_came_after_training_is_scored_by_the_customers_own_steps() -> None:
    late = letters("abc")
    trained = fit_transitions(log_of_letters("aaa"), letters("a"))
    assert isinstance(trained, Transitions)
    assert column(trained, "order-1-cautious-4", asked(late, "cbcbc")).argmax() == positions(late, "b")[0]


def test_the_table_holds_ascending_keys_and_ascending_items_within_each() -> None:
    table = fit_transitions(log_of_letters("abcdabdcba", "bdacbdabc"), ITEMS)
    assert (np.diff(table.key) > 0).all()
    for start, end in zip(table.starts[:-1], table.starts[1:], strict=True):
        assert (np.diff(table.item[start:end]) > 0).all()


def slow_runs(text: str) -> dict[str, dict[str, float]]:
    """By name and letter, step by step, from the definitions."""
    found: dict[str, dict[str, float]] = {name: dict.fromkeys(text, 0.0) for name in RUNS}
    runs = [next((k for k in range(t + 1) if k == t or text[t - 1 - k] != text[-1 - k]), 0) for t in range(len(text))]
    best = max((min(run, DEPTH) for run in runs), default=0)
    for t, letter in enumerate(text):
        if best and min(runs[t], DEPTH) == best:
            found["run"] = dict.fromkeys(text, 0.0) | {letter: np.log1p(min(runs[t], LONGEST))}
        found["deepest"][letter] = max(found["deepest"][letter], np.log1p(min(runs[t], DEPTH)))
        found["depth"][letter] = np.log1p(min(runs[t], DEPTH))
        back = range(1, min(ALIKE, t, len(text) - 1) + 1)
        found["alike"][letter] = sum(text[t - k] == text[-k] for k in back)
    return found


@pytest.mark.parametrize("text", ["a", "ab", "aaaa", "abcabcab", "abcdxyz" * 8, "abaabbaabxyzabaabbaab"])
def test_runs_are_what_stepping_through_the_history_finds(text: str) -> None:
    for name, wanted in slow_runs(text).items():
        told = own(name, text)
        assert {letter: told[positions(ITEMS, letter)[0]] for letter in wanted} == pytest.approx(wanted), name


def test_an_item_whose_uses_are_only_counted_stood_in_no_run() -> None:
    query = asked(ITEMS, "ababa")
    history = replace(query.history, older_item=np.array([D]), older_count=np.array([3]))
    for name in RUNS:
        assert column(NOBODY, name, replace(query, history=history))[D] == 0


@pytest.mark.parametrize(
    ("name", "text", "then"),
    [
        ("skip-2-3", "abxc" * 3 + "d" * 20 + "aby", C),
        ("gap", "axbc" * 3 + "zxbd" * 6 + "ayb", C),
        ("swapped", "abc" * 3 + "d" * 20 + "ba", C),
        ("turn-1", "abac" * 5 + "a", B),
        ("turn-2", "abacac" * 5 + "a", B),
    ],
)
def test_what_followed_where_things_stood_alike_in_another_way_follows_again(name: str, text: str, then: int) -> None:
    assert own(name, text).argmax() == then
    assert own("order-1-cautious-64", text).argmax() != then


@pytest.mark.parametrize("text", ["", "a", "ab", "aa", "aba"])
def test_short_histories_have_no_likeness_to_go_by(text: str) -> None:
    assert all(np.isfinite(own(name, text)).all() for name in (*LOOSE, *CLOSE))
