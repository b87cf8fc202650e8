"""The pages' protocol on three customers and five items, by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import UsageError
from recommender.history import Items
from recommender.settings import Training
from recommender.types import DAY, EVENT, PURCHASE, RETURN, code64
from training.dataset import Log, items_of, log_of
from training.horizon import Exam, exam_of, filled, judge, lists_of, ordered, own_first, run

NAMES = ["apple", "bread", "cheese", "date", "egg"]
ANN, BOB, CAT = range(3)


def log_of_days(*rows: tuple[int, str, float]) -> Log:
    """Purchases: a customer, an item, a day; an item with a minus was sent back."""
    events = np.zeros(len(rows), EVENT)
    for event, (place, (_, item, day)) in zip(events, enumerate(rows), strict=True):
        event["item"], event["time"], event["key"] = code64(item.removeprefix("-")), int(day * DAY), place + 1
        event["type"] = RETURN if item.startswith("-") else PURCHASE
    return log_of(np.array([row[0] for row in rows]), events)


WORLD = (
    *((ANN, "apple", day) for day in (1, 2, 3)),
    (ANN, "bread", 4),
    (BOB, "bread", 4),
    (BOB, "cheese", 5),
    (ANN, "bread", 12),
    (ANN, "date", 15),
    (BOB, "egg", 14),
    (CAT, "bread", 13),
    (BOB, "-cheese", 16),
    (CAT, "bread", 20),
)


def exam(k: int = 2) -> Exam:
    """The last ten days: ann used bread and date, bob egg, cat bread; date and egg are new."""
    return exam_of(log_of_days(*WORLD), items_of(NAMES), 10, k)


def names(items: Items, row: list[int]) -> list[str]:
    return [items.ids[at] for at in row if at >= 0]


def test_everybody_who_used_something_is_asked_once_and_all_of_it_is_right() -> None:
    asked = exam().asked
    items = exam().items
    assert [sorted(names(items, page.wanted.tolist())) for page in asked] == [["bread", "date"], ["egg"], ["bread"]]
    assert [page.query.context.now for page in asked] == [10 * DAY] * 3
    assert [page.query.history.item.size for page in asked] == [4, 2, 0]


def test_what_nobody_used_before_comes_behind_what_is_known() -> None:
    world = exam()
    assert sorted(world.items.ids[: world.items.known]) == ["apple", "bread", "cheese"]
    assert sorted(world.items.ids[world.items.known :]) == ["date", "egg"]
    assert world.earlier.log.span[1] < 10 * DAY


def test_what_was_used_most_comes_first_and_the_rest_by_its_score() -> None:
    world = exam(k=3)
    assert [names(world.items, row) for row in lists_of(world, own_first).tolist()] == [
        ["apple", "bread"],
        ["cheese", "bread"],
        [],
    ]
    score = np.full(5, -np.inf, np.float32)
    score[[world.items.ids.index(name) for name in ("bread", "apple", "cheese")]] = 3, 2, 1
    assert [names(world.items, row) for row in lists_of(world, filled(own_first, score)).tolist()] == [
        ["apple", "bread", "cheese"],
        ["cheese", "bread", "apple"],
        ["bread", "apple", "cheese"],
    ]


def test_equals_are_told_apart_by_the_next_key() -> None:
    first, second = np.array([1, 2, 1, -np.inf], np.float32), np.array([5, 0, 4, 9], np.float32)
    assert np.argsort(-ordered(first, second)).tolist() == [1, 0, 2, 3]
    assert ordered(first, second)[3] == -np.inf


def test_the_figures_by_hand() -> None:
    world = exam()
    row = judge(world, "most-used", lists_of(world, own_first))
    second = 1 / math.log2(3)
    assert row["ndcg@2"] == pytest.approx(second / (1 + second) / 3)
    assert row["recall@2"] == pytest.approx(1 / 2 / 3)
    assert [row[name] for name in ("hit@1", "hit@3", "mrr")] == pytest.approx([0, 1 / 3, 1 / 6])
    assert row["map"] == pytest.approx(1 / 4 / 3)
    assert (row["coverage"], row["n"]) == (1, 3)
    slices = row["slices"]
    assert isinstance(slices, dict)
    assert slices["answers: used before"] == pytest.approx(
        {"n": 1, "ndcg@2": second, "ndcg@2_low": second, "ndcg@2_high": second}
    )
    assert slices["answers: first uses"]["n"] == 3  # type: ignore[call-overload, index]
    assert slices["customers: new"]["n"] == 3  # type: ignore[call-overload, index]


def test_who_is_behind_is_so_page_by_page() -> None:
    world = exam()
    nothing, ours = np.full((3, 2), -1), lists_of(world, own_first)
    assert judge(world, "same", ours, ours)["behind"] == 0
    assert judge(world, "nothing", nothing, ours)["behind"] == pytest.approx(judge(world, "ours", ours)["ndcg@2"])


@pytest.mark.parametrize(("days", "where"), [(40, "before"), (0.1, "in")])
def test_a_cut_with_nothing_on_one_side_is_refused(days: float, where: str) -> None:
    log = log_of_days(*WORLD, (CAT, "-bread", 21))
    with pytest.raises(UsageError, match=f"no use {where}"):
        exam_of(log, items_of(NAMES), days, 2)


def test_the_document_has_every_row_and_is_json(tmp_path: Path) -> None:
    lines = [f"c{customer},i{(customer + day) % 9},{DAY * day // 1000}" for customer in range(20) for day in range(60)]
    (tmp_path / "log.csv").write_text("customer,item,at\n" + "\n".join(lines))
    settings = Training(factors=2, iterations=2, threads=1)
    document = run(tmp_path / "log.csv", {}, days=7, k=3, settings=settings, progress=lambda *_: None)
    results = json.loads(json.dumps(document, allow_nan=False))["results"]
    assert [row["name"] for row in results][:2] == ["murmeli", "most-used"]
    assert document["customers"] == 20
    assert all("behind" in row for row in results[1:])
