"""The rows of a judgement, on a few questions whose places are given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.history import Context, History, Items, Query
from recommender.metrics import Values, bootstrap, places, reliability, resampled
from recommender.model import KindModel
from recommender.ranker import Ranker
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray, Kind
from training.evaluation import Row, Scoring
from training.judgement import Answers, Known, Paper, Sitting, measures, rows_of
from training.questions import Asked

scores = arrays(np.float32, 6, elements=st.sampled_from([-np.inf, 0, 1, 2]))


def paper(*wanted: int, customer: list[int] | None = None, uses: int = 0) -> Paper:
    """Questions with so many right answers each, items 0 up, all of one channel."""
    n, m = len(wanted), sum(wanted)
    who = np.arange(n) if customer is None else np.array(customer)
    question = np.repeat(np.arange(n), wanted)
    return Paper(who, np.full(n, uses), np.full(n, 9), question, np.arange(m))


def answers(*rank: int, n: int, sure: list[float] | None = None) -> Answers:
    return Answers(np.array(rank), np.tile([0, 1, -1], (n, 1)), None if sure is None else np.array(sure))


# Places.


def test_wanted_items_that_tie_share_the_places_behind_all_others() -> None:
    tied = np.array([1, 1, 1, 0], np.float32)
    assert places(tied, np.array([0, 2])).tolist() == [2, 3]
    assert places(np.array([-np.inf, 3], np.float32), np.array([0, 1])).tolist() == [0, 1]


@given(scores, st.sets(st.integers(0, 5), min_size=1))
def test_places_are_those_of_a_list_sorted_with_the_wanted_last_among_equals(
    score: FloatArray, chosen: set[int]
) -> None:
    wanted = np.array(sorted(chosen))
    shown = sorted(range(6), key=lambda item: (-score[item], item in chosen, item))
    expected = [shown.index(item) + 1 if np.isfinite(score[item]) else 0 for item in wanted]
    assert places(score, wanted).tolist() == expected


# Measures.


def test_the_measures_of_one_page_are_those_reckoned_by_hand() -> None:
    """Three were wanted: first, third, and not on the page."""
    found = {name: float(value[0]) for name, value in measures(paper(3), np.array([1, 3, 40])).items()}
    assert found == {
        "hit@1": 1,
        "hit@3": 1,
        "hit@5": 1,
        "mrr": 1,
        "recall@20": pytest.approx(2 / 3),
        "ndcg@20": pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2)),
        "map": pytest.approx((1 + 2 / 3 + 0) / 3),
    }


def test_of_a_question_with_one_answer_every_measure_follows_from_its_place() -> None:
    found = measures(paper(1, 1, 1), np.array([2, 0, 21]))
    assert found["mrr"].tolist() == [1 / 2, 0, 1 / 21]
    assert found["hit@1"].tolist() == [0, 0, 0]
    assert found["hit@3"].tolist() == [1, 0, 0]
    assert found["recall@20"].tolist() == [1, 0, 0]
    assert found["map"].tolist() == [1 / 2, 0, 0]


def test_what_is_not_chosen_is_neither_asked_nor_in_the_way() -> None:
    found = measures(paper(2, 1), np.array([1, 2, 1]), np.array([False, True, False]))
    assert found["recall@20"][0] == 1
    assert found["ndcg@20"][0] == pytest.approx(1 / math.log2(3))
    assert all(math.isnan(value[1]) for value in found.values())


@given(st.lists(st.lists(st.integers(0, 25), max_size=4, unique=True), min_size=1, max_size=4))
def test_the_measures_are_those_of_a_loop_over_the_list(questions: list[list[int]]) -> None:
    found = measures(paper(*map(len, questions)), np.array([rank for q in questions for rank in q], np.int64))
    for number, ranks in enumerate(questions):
        hits = sorted(rank for rank in ranks if 0 < rank <= 20)
        best = sum(1 / math.log2(place + 1) for place in range(1, min(len(ranks), 20) + 1))
        if not ranks:
            assert all(math.isnan(value[number]) for value in found.values())
            continue
        assert found["recall@20"][number] == pytest.approx(len(hits) / len(ranks))
        assert found["ndcg@20"][number] == pytest.approx(sum(1 / math.log2(rank + 1) for rank in hits) / best)
        precision = sum((before + 1) / rank for before, rank in enumerate(hits))
        assert found["map"][number] == pytest.approx(precision / len(ranks))
        first = min((rank for rank in ranks if rank), default=0)
        assert found["mrr"][number] == pytest.approx(1 / first if first else 0)


# The bootstrap of many columns.


def naive(values: Values, cluster: IntArray) -> Values:
    """The same draws, customer by customer."""
    random, size = np.random.default_rng(7), int(cluster.max()) + 1
    means = []
    for _ in range(1000):
        drawn = random.integers(0, size, size)
        means.append(np.nanmean(np.concatenate([values[cluster == one] for one in drawn.tolist()])))
    return np.array(means)


def test_many_columns_are_drawn_as_each_would_be_alone() -> None:
    random = np.random.default_rng(1)
    cluster = np.sort(random.integers(0, 8, 40))
    values = random.random((40, 3))
    values[3, 1] = np.nan
    means = resampled(values, cluster)
    for column in range(3):
        assert means[:, column] == pytest.approx(naive(values[:, column], np.unique(cluster, return_inverse=True)[1]))
    assert bootstrap(values[:, 0], cluster)[1:] == pytest.approx(tuple(np.quantile(means[:, 0], [0.025, 0.975])))


# Rows.


def two_rankings(kind: Kind = Kind.FEATURE, uses: int = 0) -> dict[str, Row]:
    """Forty customers, two questions each; `murmeli` always has it first, `other` at the second place."""
    asked = paper(*[1] * 80, customer=np.repeat(np.arange(40), 2).tolist(), uses=uses)
    sat = Sitting(
        asked,
        {
            "murmeli": answers(*[1] * 80, n=80, sure=[0.75] * 80),
            "other": answers(*[2] * 80, n=80),
        },
    )
    known = Known(np.arange(80), 40, {9: "mobile"})
    rows = rows_of(kind, sat, sat if kind is Kind.CONTENT else None, known)
    return {str(row["name"]): row for row in rows}


def test_behind_is_by_how_much_the_first_is_better_and_the_first_is_behind_nobody() -> None:
    rows = two_rankings()
    assert [rows["other"][name] for name in ("behind", "behind_low", "behind_high")] == pytest.approx([0.5] * 3)
    assert rows["other"]["behind_se"] == pytest.approx(0)
    assert rows["other"]["behind_hit@1"] == 1
    assert "behind" not in rows["murmeli"]


def test_features_are_compared_by_reciprocal_rank_and_content_by_its_pages() -> None:
    assert two_rankings(Kind.CONTENT)["other"]["behind"] == pytest.approx(1 - 1 / math.log2(3))


@pytest.mark.parametrize(("uses", "who"), [(4, "new"), (5, "light"), (49, "light"), (50, "heavy")])
def test_slices_are_by_experience_by_channel_and_by_whether_the_item_is_new(uses: int, who: str) -> None:
    slices = two_rankings(uses=uses)["other"]["slices"]
    assert isinstance(slices, dict)
    assert list(slices) == [f"customers: {who}", "channel: mobile", "items: new"]
    sizes = [part["n"] for part in slices.values() if isinstance(part, dict)]
    assert sizes == [80, 80, 1]  # nobody used item 0 before


def test_the_calibration_is_of_rankings_that_say_how_sure_they_are() -> None:
    rows = two_rankings()
    assert rows["murmeli"]["ece"] == pytest.approx(0.25)
    assert "ece" not in rows["other"]
    assert reliability(np.full(4, 0.5), np.array([True, False, True, True]), bins=2) == [(0.5, 0.5, 2), (0.5, 1, 2)]


def test_what_was_shown_is_counted_over_the_catalogue() -> None:
    assert two_rankings()["murmeli"]["coverage"] == 2 / 80


# A source alone.


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """A source that says what it was told to, of item positions 0 to 4."""

    name: ClassVar[str] = "told"
    reason: ClassVar[str] = "told"
    said: Scores

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"c{number}" for number in range(self.said.floor.size))

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self.said for _ in queries]


@pytest.mark.parametrize("hidden", [[], [4]], ids=["all", "one hidden"])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_source_alone_ranks_by_the_column_that_puts_what_was_wanted_highest(sparse: bool, hidden: list[int]) -> None:
    """The first column has item 1 tied with 3, the second has it first."""
    values = np.array([[0.3, 0.3], [0.9, 0.1]], np.float32)
    floor = np.array([0.1, 0], np.float32)
    said = Scores(values, np.array([1, 3]), floor)
    if not sparse:
        said = Scores(said.dense(5), None, floor)
    ranker = Ranker(("told.c0", "told.c1"), np.ones((1, 2), np.float32))
    model = KindModel(np.arange(5), list("abcde"), (Told(said),), ranker)
    nothing = np.zeros(0, np.int64)
    items = Items(np.arange(5), 5, list("abcde"), np.zeros(6, np.int64), nothing)
    query = Query(items, History(nothing, nothing, nothing, nothing, nothing, nothing), Context(0))
    asked = [Asked(0, query, np.array(wanted), np.array(hidden, np.int64)) for wanted in ([1], [0, 1])]
    column, ranking = Scoring(model).alone(asked)["told"]
    assert column == "c1"
    assert ranking(query).tolist() == pytest.approx([0, 0.9, 0, 0.1, 0])
