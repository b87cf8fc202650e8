"""The benchmark's protocol, on logs whose figures can be worked out by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.model import KindModel
from recommender.sources.base import Source
from recommender.sources.habit import Habit
from tests.unit.steps import letters, log_of_letters
from training.dataset import Log
from training.evaluation import Row
from training.fit.kind import Subject, fit_by_habit
from training.fit.popularity import fit_popularity
from training.fit.ranker import fit_ranker
from training.fit.transitions import fit_transitions
from training.next_use import next_use, run


def figures(*customers: str, split: float = 0.5) -> dict[str, Row]:
    rows = next_use(log_of_letters(*customers), letters("".join(customers)), split=split, fit=fit_by_habit)
    return {str(row["name"]): row for row in rows}


def mrr(name: str, *customers: str, split: float = 0.5) -> float:
    return float(str(figures(*customers, split=split)[name]["mrr"]))


def test_the_last_part_of_every_customer_is_asked_for() -> None:
    assert {row["n"] for row in figures("a" * 10, "a" * 5, "a", split=0.8).values()} == {2 + 1 + 1}


def test_everything_is_first_in_a_world_of_one_item() -> None:
    assert all(row["hit@1"] == row["mrr"] == 1 for row in figures("aaaa", "aaaa").values())


def test_an_item_that_nobody_used_before_is_a_miss_and_counts() -> None:
    assert mrr("most-recent", "aaab") == pytest.approx((1 + 0) / 2)


def test_an_item_is_known_to_its_customer_from_its_first_use_on() -> None:
    assert mrr("most-recent", "aaabbb") == pytest.approx((0 + 1 + 1) / 3)


def test_an_item_that_only_others_used_by_then_can_be_ranked_but_ties_go_last() -> None:
    customers = ("aaac", "cbcc")
    assert mrr("most-recent", *customers) == pytest.approx((1 + 1 / 3 + 1 / 2 + 1) / 4)


def test_what_others_use_after_the_split_stays_unknown() -> None:
    assert mrr("most-recent", "aaac", "bbcc") == pytest.approx((1 + 0 + 0 + 1) / 4)


def test_most_used_ranks_by_count_and_most_recent_by_the_last_use() -> None:
    assert mrr("most-used", "aaabba", split=0.9) == 1
    assert mrr("most-recent", "aaabba", split=0.9) == 1 / 2


def test_transitions_see_what_followed() -> None:
    assert mrr("first-order", "abc" * 10) == mrr("second-order", "abc" * 10) == 1


@pytest.mark.parametrize("customers", [("abcd",), ("a",), ("aaaaa", "b"), ("abcde" * 5,)])
def test_small_logs_give_a_full_table(customers: tuple[str, ...]) -> None:
    rows = figures(*customers, split=0.8)
    assert {"murmeli", "most-used", "most-recent", "popularity", "first-order", "second-order"} == set(rows)


def blended(subject: Subject) -> KindModel:
    """The ordered sources and their blend, as `fit_kind` has them for logs long enough to have a clock."""
    log, items = subject.log, subject.items

    def fit(log: Log) -> tuple[Source, ...]:
        return Habit(), fit_transitions(log, items), fit_popularity(log, items)

    return KindModel(items.codes, items.ids, fit(log), fit_ranker(log, items, fit, seed=1))


def switches(random: np.random.Generator) -> str:
    return "".join("abcde"[at] for at in random.choice([1, 1, 2, 4], 120).cumsum() % 5)


def routine(random: np.random.Generator) -> str:
    return "".join("abc" if random.random() < 0.8 else random.choice(list("de")) for _ in range(60))


def favourites(random: np.random.Generator) -> str:
    return "".join(random.choice(list("abcde"), 120, p=[0.6, 0.2, 0.1, 0.05, 0.05]))


@pytest.mark.parametrize("habit", [switches, routine, favourites])
def test_the_blend_is_never_behind_most_used_or_most_recent(habit: Callable[[np.random.Generator], str]) -> None:
    random = np.random.default_rng(5)
    customers = [habit(random) for _ in range(8)]
    rows = {row["name"]: row["mrr"] for row in next_use(log_of_letters(*customers), letters("abcde"), fit=blended)}
    assert float(str(rows["murmeli"])) >= max(float(str(rows[name])) for name in ("most-used", "most-recent")) - 0.01


def test_the_calibration_s_bins_hold_every_question_and_add_up_to_the_error(tmp_path: Path) -> None:
    lines = [
        f"{who},{letter},2026-01-01T10:{at:02}:00Z" for who in "xy" for at, letter in enumerate("abcabdabcabe" * 4)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["customer,item,at", *lines]))
    document: Any = run(tmp_path / "log.csv", {}, split=0.5, seed=1, progress=lambda *_: None)
    ours, bins = document["results"][0], document["calibration"]
    assert sum(bin_["n"] for bin_ in bins) == ours["n"] == 48
    gap = sum(bin_["n"] * abs(bin_["promised"] - bin_["kept"]) for bin_ in bins) / 48
    assert ours["ece"] == pytest.approx(gap)
