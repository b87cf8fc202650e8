"""From places to figures: what rankings answered becomes rows, with intervals, comparisons and slices.

A row is a JSON object; one for each ranking, the first of them the one that
the others are compared with. `behind` is by how much a ranking is behind the
first one, question by question, in the kind's primary measure: below zero it
is ahead; `behind_hit@1` and `behind_recall@20` are the same in those measures.
Intervals are 95 % percentile intervals of a bootstrap over customers, or over
blocks of time where they are few; `behind_se` is its standard error.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from recommender.gate import PRIMARY
from recommender.metrics import (
    Values,
    average_precision,
    calibration_error,
    coverage,
    ends,
    gini,
    hit,
    ndcg,
    novelty,
    recall,
    reciprocal_rank,
    reliability,
    resampled,
)
from recommender.types import BoolArray, IntArray, Kind
from training.evaluation import DEPTHS, Row, clusters

PAGE = 20
"""How deep a page goes."""

SHOWN = {Kind.FEATURE: DEPTHS[-1], Kind.CONTENT: PAGE}
"""So many first items count as shown, in coverage, novelty and Gini."""

FEW, MANY = 5, 50
"""Uses before a question, below which a customer is new, and from which on a heavy user."""

CHANNELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """What was asked: n questions with m right answers.

    customer, uses, channel: shape (n,), who asked, customers ascending; after how many uses of this kind; where (the
    question's own channel, else the last that was used; 0 where none is known).
    question, item: shape (m,), of each right answer: its question, ascending, and its position.
    """

    customer: IntArray
    uses: IntArray
    channel: IntArray
    question: IntArray
    item: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one ranking said. rank: shape (m,), the place of each right answer, 0 for a miss.

    lists: shape (n, k), what it put first, -1 for nothing. sure: shape (n,), the probability that it gave to its first
    item; None where it does not speak of probabilities.
    """

    rank: IntArray
    lists: IntArray
    sure: Values | None


@dataclass(frozen=True, slots=True, eq=False)
class Sitting:
    """A paper and what each ranking answered to it, by name."""

    paper: Paper
    answers: Mapping[str, Answers]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was known before. users: shape (items,), customers who used each; of: so many there are; channels: names."""

    users: IntArray
    of: int
    channels: Mapping[int, str]


def rows_of(kind: Kind, steps: Sitting, pages: Sitting | None, known: Known) -> list[Row]:
    """One row for each ranking.

    `hit@k`, `mrr` and `ece` are of the steps, all else of the pages, or of the steps where there are none. `n` is how
    many questions the primary measure has, `steps` how many steps.
    """
    main = pages or steps
    step_values = {name: measures(steps.paper, said.rank) for name, said in steps.answers.items()}
    values = {name: measures(main.paper, said.rank) for name, said in main.answers.items()}
    slices = _slices(main.paper, known)
    step_columns = {
        (name, measure, ""): own[measure] for name, own in step_values.items() for measure in ("hit@1", "mrr")
    }
    step_spread = _Spread(steps.paper.customer, step_columns | _behind(step_values, "hit@1", "behind_hit@1"))
    columns = {
        (name, measure, ""): own[measure] for name, own in values.items() for measure in ("recall@20", "ndcg@20")
    }
    columns |= _behind(values, "recall@20", "behind_recall@20")
    spread = _Spread(main.paper.customer, columns | _compared(main, PRIMARY[kind], slices))
    return [
        {
            "name": name,
            "n": main.paper.customer.size,
            **step_spread.summary("hit@1", name),
            **{f"hit@{k}": mean(step_values[name][f"hit@{k}"]) for k in DEPTHS[1:]},
            **step_spread.summary("mrr", name),
            **spread.summary("recall@20", name),
            **spread.summary("ndcg@20", name),
            "map": mean(values[name]["map"]),
            **_variety(said.lists[:, : SHOWN[kind]], known),
            **_calibration(steps.answers[name], step_values[name]["hit@1"]),
            "steps": steps.paper.customer.size,
            **spread.behind(name),
            **step_spread.behind(name, measure="behind_hit@1"),
            **spread.behind(name, measure="behind_recall@20"),
            "slices": {part: spread.slice(PRIMARY[kind], name, part) for part in slices},
        }
        for name, said in main.answers.items()
    ]


def measures(paper: Paper, rank: IntArray, chosen: BoolArray | None = None, page: int = PAGE) -> dict[str, Values]:
    """Every measure of places, shape (n,) each: a value for each question, NaN for one without a right answer.

    rank: shape (m,). chosen: shape (m,), the right answers that count; None for all. page: how deep one goes.
    """
    question = paper.question if chosen is None else paper.question[chosen]
    rank = rank if chosen is None else rank[chosen]
    n = paper.customer.size
    relevant = np.bincount(question, minlength=n)
    hits = np.zeros((n, page), np.bool_)
    on_page = (rank > 0) & (rank <= page)
    hits[question[on_page], rank[on_page] - 1] = True
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, question[rank > 0], rank[rank > 0])
    first[first == np.iinfo(np.int64).max] = 0
    blank = np.where(relevant > 0, 0.0, np.nan)
    return {
        **{f"hit@{k}": hit(first, k) + blank for k in DEPTHS},
        "mrr": reciprocal_rank(first) + blank,
        f"recall@{page}": recall(hits, relevant),
        f"ndcg@{page}": ndcg(hits, relevant),
        "map": average_precision(hits, relevant),
    }


def _slices(paper: Paper, known: Known) -> dict[str, BoolArray]:
    """Which right answers count in each slice, shape (m,); slices without any are left out."""
    uses = paper.uses[paper.question]
    slices = {
        "customers: new": uses < FEW,
        "customers: light": (uses >= FEW) & (uses < MANY),
        "customers: heavy": uses >= MANY,
    }
    channel = paper.channel[paper.question]
    codes, counts = np.unique(paper.channel[paper.channel != 0], return_counts=True)
    for code in codes[np.argsort(-counts, kind="stable")][:CHANNELS].tolist():
        if code in known.channels:
            slices[f"channel: {known.channels[code]}"] = channel == code
    slices["items: new"] = known.users[paper.item] == 0
    return {name: chosen for name, chosen in slices.items() if chosen.any()}


Key = tuple[str, str, str]
"""A ranking, a measure (or `behind`), and a slice, "" for everything."""


def _compared(main: Sitting, primary: str, slices: Mapping[str, BoolArray]) -> dict[Key, Values]:
    """The primary measure of each ranking in each slice, and how far it is behind the first; also on the whole."""
    found: dict[Key, Values] = {}
    for part, chosen in {"": None, **slices}.items():
        values = {name: measures(main.paper, said.rank, chosen) for name, said in main.answers.items()}
        found |= {(name, primary, part): own[primary] for name, own in values.items()}
        found |= _behind(values, primary, "behind", part)
    return found


def _behind(values: Mapping[str, Mapping[str, Values]], measure: str, called: str, part: str = "") -> dict[Key, Values]:
    """How far each ranking but the first is behind the first, question by question."""
    first, *others = values
    return {(name, called, part): values[first][measure] - values[name][measure] for name in others}


class _Spread:
    """Means of many values per question, all with intervals from the same draws."""

    def __init__(self, customer: IntArray, columns: Mapping[Key, Values]) -> None:
        self._columns = columns
        means = resampled(np.stack(list(columns.values()), axis=1), clusters(customer))
        self._means = dict(zip(columns, means.T, strict=True))

    def summary(self, measure: str, name: str, part: str = "") -> Row:
        """A measure's mean and the ends of its interval."""
        low, high = ends(self._means[name, measure, part])
        value = mean(self._columns[name, measure, part])
        return {measure: value, f"{measure}_low": number(low), f"{measure}_high": number(high)}

    def behind(self, name: str, part: str = "", measure: str = "behind") -> Row:
        """The same of how far a ranking is behind the first, with the standard error; of the first: nothing."""
        if (name, measure, part) not in self._columns:
            return {}
        means = self._means[name, measure, part]
        drawn = means[~np.isnan(means)]
        error = float(drawn.std()) if drawn.size else float("nan")
        return {**self.summary(measure, name, part), f"{measure}_se": number(error)}

    def slice(self, primary: str, name: str, part: str) -> Row:
        """What a row says of one slice."""
        n = int(np.count_nonzero(~np.isnan(self._columns[name, primary, part])))
        return {"n": n, **self.summary(primary, name, part), **self.behind(name, part)}


def _variety(lists: IntArray, known: Known) -> Row:
    items = known.users.size
    return {
        "coverage": number(coverage(lists, items)),
        "novelty": number(novelty(lists, known.users, max(known.of, 1))),
        "gini": number(gini(lists, items)),
    }


def _calibration(said: Answers, first: Values) -> Row:
    """`ece` and the table behind it: of each bin what was promised, what was kept, and how often."""
    if said.sure is None:
        return {}
    kept = first == 1
    table: list[JsonValue] = [list(line) for line in reliability(said.sure, kept)]
    return {"ece": number(calibration_error(said.sure, kept)), "reliability": table}


def mean(values: Values) -> float | None:
    """The mean of the values that are known; None where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def number(value: float) -> float | None:
    """A number as JSON has it: None for NaN."""
    return None if np.isnan(value) else float(value)
