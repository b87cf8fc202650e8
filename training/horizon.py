"""What will each customer use in the next days? The top-n benchmark for a log with a clock, repeats allowed.

The last days of the log are held out. Every customer with uses in them is
asked for once, at the instant at which they begin. All items are ranked,
those used before too, and each item used in those days is a right answer,
also one that nobody had used before.
"""

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from recommender.baselines import Ranking, most_recent, most_used
from recommender.errors import UsageError
from recommender.features import used
from recommender.history import Items
from recommender.metrics import Values, bootstrap, gini, novelty
from recommender.model import KindModel
from recommender.settings import Training
from recommender.top import best
from recommender.types import DAY, BoolArray, FloatArray, IntArray, Kind
from training.ahead import side_by_side
from training.dataset import Log
from training.evaluation import DEPTHS, Report, Row, Scoring
from training.fit import rivals
from training.fit.factors import FactorSettings
from training.fit.kind import Subject, fit_kind
from training.fit.matrix import user_items, weights_of
from training.judgement import FEW, MANY, Paper, measures, number
from training.learned import chosen
from training.log_file import read_log
from training.questions import Asked, pages

Rank = Callable[[Asked], FloatArray]
"""Scores of all items for a page: shape (n,), higher is better, -inf for never."""

GROUPS = {"customers: new": (0, FEW), "customers: light": (FEW, MANY), "customers: heavy": (MANY, np.inf)}
"""Customers by their uses before the split: from, and below."""


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """What is asked, and what may be learned from.

    items: those that were used before the split come first, as `known`. asked: one page a customer, ascending.
    users: shape (n,), how many customers used each item before the split.
    """

    earlier: Subject
    items: Items
    asked: Sequence[Asked]
    users: IntArray
    k: int


def exam_of(log: Log, items: Items, days: float, k: int) -> Exam:
    """The log cut `days` before its last event. Raises UsageError where there is no use on one side of the cut."""
    since = log.span[1] - int(days * DAY)
    before = log.select(log.events["time"] < since)
    used_before = before.events["item"][Subject(Kind.CONTENT, items, before).uses]
    known = np.isin(items.codes, used_before)
    order = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
    size = int(known.sum())
    later = _chosen(items, order, size)
    asked = list(pages(log, later, since))
    if not size or not asked:
        raise UsageError(f"There is no use {'in' if size else 'before'} the last {days:g} days. Try other --days.")
    earlier = Subject(Kind.CONTENT, _chosen(items, order[:size], size), before)
    users = np.bincount(user_items(before, earlier.items).indices, minlength=order.size)
    return Exam(earlier, later, asked, users, k)


def _chosen(items: Items, order: IntArray, known: int) -> Items:
    """Some items in another order, their attributes left behind."""
    nothing = np.zeros(order.size + 1, np.int64)
    return Items(items.codes[order], known, [items.ids[at] for at in order], nothing, nothing[:0])


def own_first(page: Asked) -> FloatArray:
    """The customer's own items, most often used first, of equal ones the last used."""
    return ordered(most_used(page.query), most_recent(page.query))


def filled(first: Rank, rest: FloatArray) -> Rank:
    """One ranking, and behind what it ranks all other items by a score, shape (n,)."""
    behind = ordered(rest) - 1

    def rank(page: Asked) -> FloatArray:
        score = first(page)
        return np.where(score > -np.inf, score, behind).astype(np.float32)

    return rank


def ordered(*keys: FloatArray) -> FloatArray:
    """One score in [0, 1): by the first key, among equals by the next; -inf where the first is -inf."""
    order = np.lexsort(keys[::-1])
    score = np.empty(order.size, np.float32)
    score[order] = np.arange(order.size) / order.size
    return np.where(keys[0] > -np.inf, score, -np.inf).astype(np.float32)


def lists_of(exam: Exam, rank: Rank) -> IntArray:
    """Shape (n, k): what each page would show, best first; -1 where nothing is left to show."""
    lists = np.full((len(exam.asked), exam.k), -1)
    for row, found in enumerate(side_by_side(lambda page: best(rank(page), exam.k), exam.asked)):
        lists[row, : found.size] = found
    return lists


def judge(exam: Exam, name: str, lists: IntArray, ours: IntArray | None = None) -> Row:
    """One row of the table: means over the pages, with 95 % bootstrap intervals over customers.

    lists: shape (n, k). ours: the lists of the first row; `behind` is by how much their NDCG is ahead, page by page.
    `hit@` and `mrr` look at the first right answer among the k, `map` at all of them.
    """
    paper = _paper(exam)
    reached = measures(paper, _places(paper, lists), page=exam.k)
    return {
        "name": name,
        **_primary(exam, paper, lists, ours),
        **_interval(f"recall@{exam.k}", reached[f"recall@{exam.k}"]),
        **{f"hit@{depth}": float(reached[f"hit@{depth}"].mean()) for depth in DEPTHS},
        **_interval("mrr", reached["mrr"]),
        "map": float(reached["map"].mean()),
        "coverage": float(np.unique(lists[lists >= 0]).size / exam.items.known),
        "novelty": number(novelty(lists, exam.users, exam.earlier.log.customers)),
        "gini": number(gini(lists, exam.items.codes.size)),
        "n": len(exam.asked),
        "slices": _slices(exam, paper, lists, ours),
    }


def _paper(exam: Exam) -> Paper:
    """What is asked of every customer: a page each."""
    histories = [page.query.history for page in exam.asked]
    places = np.arange(len(exam.asked))
    return Paper(
        customer=places,
        uses=np.array([one.item.size + one.older_count.sum() for one in histories], np.int64),
        channel=np.zeros_like(places),
        question=np.repeat(places, [page.wanted.size for page in exam.asked]),
        item=np.concatenate([page.wanted for page in exam.asked]),
    )


def _places(paper: Paper, lists: IntArray) -> IntArray:
    """Shape (m,): the place of each right answer on its page, from 1; 0 where it is not on it."""
    met = lists[paper.question] == paper.item[:, None]
    return np.where(met.any(axis=1), met.argmax(axis=1) + 1, 0)


def _primary(exam: Exam, paper: Paper, lists: IntArray, ours: IntArray | None, chosen: BoolArray | None = None) -> Row:
    """NDCG, and how far it is behind ours, of the right answers that are chosen."""
    name = f"ndcg@{exam.k}"
    quality = measures(paper, _places(paper, lists), chosen, exam.k)[name]
    row = _interval(name, quality)
    if ours is None:
        return row
    return row | _interval("behind", measures(paper, _places(paper, ours), chosen, exam.k)[name] - quality)


def _slices(exam: Exam, paper: Paper, lists: IntArray, ours: IntArray | None) -> Row:
    """The primary measure by how long the history is, and of right answers used before alone, and of the others."""
    uses = paper.uses[paper.question]
    again = np.concatenate([np.isin(page.wanted, used(page.query).at) for page in exam.asked])
    parts = {name: (uses >= least) & (uses < below) for name, (least, below) in GROUPS.items()}
    parts |= {"answers: used before": again, "answers: first uses": ~again}
    return {
        name: {"n": np.unique(paper.question[chosen]).size, **_primary(exam, paper, lists, ours, chosen)}
        for name, chosen in parts.items()
        if chosen.any()
    }


def _interval(name: str, values: Values) -> Row:
    """Of the pages that have a value."""
    mean, low, high = bootstrap(values[~np.isnan(values)])
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def rows(exam: Exam, settings: Training, progress: Report = lambda *_: None) -> Iterator[Row]:
    """The table, a row at a time: the product, what needs no model, its sources one by one, implicit as it comes."""
    started = time.perf_counter()
    settings = chosen(exam.earlier, settings, progress)
    model = fit_kind(exam.earlier, settings)
    ranks = _ranks(exam, model, settings)
    ours = None
    for done, (name, fit) in enumerate(ranks.items(), 1):
        rank = fit()
        fitted = time.perf_counter()
        lists = lists_of(exam, rank)
        spent: Row = {"fit_seconds": round(fitted - started, 2), "rank_seconds": round(time.perf_counter() - fitted, 2)}
        yield judge(exam, name, lists, ours) | spent
        ours = lists if ours is None else ours
        progress("rows", done, len(ranks))
        started = time.perf_counter()


def _ranks(exam: Exam, model: KindModel, settings: Training) -> dict[str, Callable[[], Rank]]:
    """What makes each row's ranking, by its name. A source alone is the best of its columns on these very pages."""
    scoring = Scoring(model)
    ever, lately = _popularity(exam, np.inf), _popularity(exam, 30)
    matrix = weights_of(user_items(exam.earlier.log, exam.earlier.items))
    ready: dict[str, Rank] = {
        "murmeli": _asking(scoring.whole),
        "most-used": own_first,
        "most-used, then popularity": filled(own_first, ever),
        "most-used, then lately popular": filled(own_first, lately),
        "most-recent": _asking(most_recent),
        "popularity": lambda _: ever,
        "lately popular": lambda _: lately,
    }
    ready |= {f"{name} alone": _asking(ranking) for name, (_, ranking) in scoring.alone(exam.asked).items()}
    theirs: dict[str, Callable[[], rivals.Scoring]] = {
        "implicit-bm25": partial(rivals.fit_rival_neighbours, "implicit-bm25", matrix, settings.threads),
        "implicit-als": partial(rivals.fit_rival_als, matrix, FactorSettings.of(settings, matrix), settings.threads),
    }
    fits = {name: partial(_rival, exam, fit) for name, fit in theirs.items()}
    return {**{name: partial(_same, rank) for name, rank in ready.items()}, **fits}


def _same(rank: Rank) -> Rank:
    return rank


def _asking(ranking: Ranking) -> Rank:
    return lambda page: ranking(page.query)


def _popularity(exam: Exam, days: float) -> FloatArray:
    """Shape (n,): how often anybody used each item in the last days before the split; -inf where nobody ever did."""
    earlier = exam.earlier
    events = earlier.log.events[earlier.uses]
    recent = events[events["time"] >= events["time"].max() - days * DAY]
    count = np.bincount(exam.items.positions(recent["item"]), minlength=exam.items.codes.size)
    return np.where(np.arange(count.size) < exam.items.known, count, -np.inf).astype(np.float32)


def _rival(exam: Exam, fit: Callable[[], rivals.Scoring]) -> Rank:
    """An estimator of another library, for the items that it knows."""
    scoring, size = fit(), exam.items.codes.size

    def rank(page: Asked) -> FloatArray:
        score = np.full(size, -np.inf, np.float32)
        score[: exam.items.known] = scoring(np.array([page.customer]))[0]
        return score

    return rank


def run(
    path: Path, mapping: Mapping[str, str], *, days: float, k: int, settings: Training, progress: Report
) -> dict[str, JsonValue]:
    """The benchmark on a file, as one JSON document."""
    started = time.perf_counter()
    log, items = read_log(path, mapping, lambda share, _: progress("read", share, 1))
    exam = exam_of(log, items, days, k)
    results: list[JsonValue] = [*rows(exam, settings, progress)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    right = sum(page.wanted.size for page in exam.asked)
    again = sum(np.count_nonzero(np.isin(page.wanted, used(page.query).at)) for page in exam.asked)
    return {
        "task": "pages",
        "days": days,
        "customers": len(exam.asked),
        "right_answers": right,
        "used_before": again / right,
        "results": results,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_mb": round(peak, 1),
    }
