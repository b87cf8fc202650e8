"""What will this customer use next? Asked before each event of everybody's last part, of rankers and baselines alike.

A customer's own past is known up to that very event, everybody else's up to
the split. All items known by then are ranked; ties, and items without a
score, go last; an item that nobody used before is a miss.
"""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from recommender.baselines import Ranking, most_recent, most_used
from recommender.history import Items, Query
from recommender.metrics import Values, calibration_error, reliability
from recommender.model import KindModel
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.types import BoolArray, FloatArray, IntArray, Kind
from training.ahead import side_by_side
from training.calm import Calm
from training.dataset import Log
from training.evaluation import Report, Row, model_ranking, once, popularity_of, row_of
from training.fit.kind import Subject, fit_kind
from training.fit.transitions import fit_transitions
from training.log_file import read_log
from training.questions import step

PACE = 64
"""The half-life of the transitions that serve as baselines, in times that the same steps were met."""

OURS = "murmeli"

Fit = Callable[[Subject], KindModel]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The questions: events of a log, ascending, that are asked for; earlier: what was fitted on."""

    log: Log
    items: Items
    earlier: Subject
    asked: IntArray


@dataclass(slots=True)
class Answers:
    """One ranker's. rank: shape (n,), 0 for a miss; sure: (n,), the probability it gave to its first item."""

    rank: IntArray
    sure: Values


def next_use(
    log: Log,
    items: Items,
    *,
    split: float = 0.8,
    seed: int = 7,
    fit: Fit | None = None,
    calm: Calm | None = None,
    progress: Report = lambda *_: None,
) -> list[Row]:
    """One row for each ranker: `name`, `hit@1`, `hit@3`, `hit@5`, `mrr` and its interval, `n`, and for ours `ece` and
    `reliability`, see recommender/metrics.py.

    fit: what makes a model of the earlier part; None is what the product does.
    calm: is shown our scores for each question.
    """
    trial = _trial(log, items, split)
    model = fit(trial.earlier) if fit else fit_kind(trial.earlier, Training(seed=seed))
    first_order, second_order = alone(
        fit_transitions(trial.earlier.log, trial.earlier.items), *(f"order-{order}-pace-{PACE}" for order in (1, 2))
    )
    rankings: dict[str, Ranking] = {
        OURS: model_ranking(model),
        "most-used": most_used,
        "most-recent": most_recent,
        "popularity": popularity_of(Subject(Kind.FEATURE, trial.items, trial.earlier.log)),
        "first-order": first_order,
        "second-order": second_order,
    }
    answers = ask(trial, rankings, calm, progress)
    who = trial.log.who[trial.asked]
    rows = [row_of(name, said.rank, who) for name, said in answers.items()]
    ours = answers[OURS]
    rows[0]["ece"] = calibration_error(ours.sure, ours.rank == 1)
    rows[0]["reliability"] = [list(line) for line in reliability(ours.sure, ours.rank == 1)]
    return rows


def alone(source: Source, *columns: str) -> list[Ranking]:
    """A ranking by each of these columns of a source, which is asked once for all of them."""
    said = once(lambda query: source.score([query])[0].dense(query.items.codes.size))

    def by(column: str) -> Ranking:
        row = source.columns.index(column)
        return lambda query: said(query)[row]

    return [by(column) for column in columns]


def ask(
    trial: Trial, rankings: dict[str, Ranking], calm: Calm | None = None, progress: Report = lambda *_: None
) -> dict[str, Answers]:
    """Every ranking's answer to every question."""
    size, log, items = trial.asked.size, trial.log, trial.items
    answers = {name: Answers(np.zeros(size, np.int64), np.zeros(size)) for name in rankings}
    customers = log.who[trial.asked].tolist()
    wanted = items.positions(log.events["item"][trial.asked]).tolist()

    def answer(number: int) -> tuple[BoolArray, FloatArray]:
        """What can be ranked, and our scores."""
        customer = customers[number]
        query = step(log, items, customer, int(trial.asked[number] - log.starts[customer]))
        rankable = _rankable(query)
        scores = {name: ranking(query) for name, ranking in rankings.items()}
        for name, score in scores.items():
            answers[name].rank[number] = _rank(score, rankable, wanted[number])
            answers[name].sure[number] = _surest(score[rankable])
        return rankable, scores[OURS]

    for number, (rankable, score) in enumerate(side_by_side(answer, range(size))):
        if calm:
            calm.show(customers[number], score, rankable, wanted[number])
        progress("ask", number + 1, size)
    return answers


def _trial(log: Log, items: Items, split: float) -> Trial:
    """Each customer's uses cut in two; the items put into the order that a model of the first part has them in."""
    log = log.select(Subject(Kind.FEATURE, items, log).uses)
    first = log.place < (np.diff(log.starts) * split).astype(np.int64)[log.who]
    earlier = log.select(first)
    known = np.zeros(items.codes.size, np.bool_)
    known[items.positions(earlier.events["item"])] = True
    order = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
    size = int(known.sum())
    subject = Subject(Kind.FEATURE, _chosen(items, order[:size], size), earlier)
    return Trial(log, _chosen(items, order, size), subject, np.flatnonzero(~first))


def _chosen(items: Items, order: IntArray, known: int) -> Items:
    """Some items in another order, their attributes left behind."""
    nothing = np.zeros(order.size + 1, np.int64)
    return Items(items.codes[order], known, [items.ids[at] for at in order], nothing, nothing[:0])


def _rankable(query: Query) -> BoolArray:
    """What is known at the time of a question: all items of the earlier part, and what the customer used since."""
    known = np.arange(query.items.codes.size) < query.items.known
    known[query.history.item] = True
    return known


def _rank(score: FloatArray, rankable: BoolArray, wanted: int) -> int:
    """1 is first, ties go to the others; 0 where the item could not be ranked."""
    return int(np.count_nonzero(score[rankable] >= score[wanted])) if rankable[wanted] else 0


def _surest(score: FloatArray) -> float:
    """The probability of the first item, if the scores are log-odds."""
    return float(1 / np.exp(score - score.max()).sum()) if score.size and np.isfinite(score.max()) else 0.0


def run(
    path: Path, mapping: Mapping[str, str], *, split: float, seed: int, calm: Calm | None = None, progress: Report
) -> dict[str, JsonValue]:
    """The benchmark on a file, as one JSON document; `stability` is what calm costs, where that is asked for.

    `calibration`: of each of 15 bins of equally many questions what the first item's probability promised and how
    often it was right, on average, and how many they are.
    """
    started = time.perf_counter()
    log, items = read_log(path, mapping, lambda share, _: progress("read", share, 1))
    rows = next_use(log, items, split=split, seed=seed, calm=calm, progress=progress)
    bins: Any = rows[0].pop("reliability")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - started
    calibration: list[JsonValue] = [dict(zip(("promised", "kept", "n"), line, strict=True)) for line in bins]
    document: dict[str, JsonValue] = {"task": "next-use", "results": [*rows], "calibration": calibration}
    if calm:
        document["stability"] = [*calm.rows()]
    return document | {"seconds": round(seconds, 2), "peak_rss_mb": round(peak, 1)}
