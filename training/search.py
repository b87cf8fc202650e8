"""The search for settings: how much a use counts, and those of the sources that learn from others.

Sources are fitted on what came before a slice of the log and asked, for every
customer of the slice, what else they would take; what is searched for is the
mean NDCG of those pages. One half of the pages guides the search, the other,
which it has not seen, says whether what it found is better beyond chance, and
only then is it taken. `murmeli train` does this for what is left open (training/learned.py),
`murmeli tune` for as long as it is let, with trials that are kept.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from recommender.counting import Counting
from recommender.features import used
from recommender.history import Items, Query, counted
from recommender.metrics import Values, bootstrap, ndcg
from recommender.settings import LEARNED, Training
from recommender.sources.base import Source
from recommender.sources.usage import Matrix
from recommender.top import best
from recommender.types import DAY, BoolArray, IntArray, is_use
from training.dataset import Log
from training.evaluation import Row
from training.fit.content import MANY, closing_question
from training.fit.factors import FactorSettings, fit_factors
from training.fit.graph import GraphSettings, fit_graph
from training.fit.kind import VALIDATION, Subject, counting_of, newest
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.slices import hold_out
from training.questions import Asked, pages

PAGE = 20

QUESTIONS = 1_500
"""Pages of a slice. Trials are judged by one half, what they found by the other, which no trial has seen."""

TYPES, LEAST = 4, 0.01
"""How many event types are weighed, the commonest, and the least share of the uses that makes one worth it."""


@dataclass(frozen=True, slots=True)
class Range:
    """From where to where a setting is searched."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched together. ranges: by the name of the setting in `[training]`; fit: what is to do better by it.

    counting: whether how much a use counts is what is searched.
    """

    name: str
    ranges: Mapping[str, Range]
    fit: Callable[[Matrix, Training], Sequence[Source]]
    counting: bool = False


def _neighbours(weights: Matrix, settings: Training) -> list[Source]:
    return [fit_neighbours(weights, NeighbourSettings.of(settings), settings.threads)]


def _factors(weights: Matrix, settings: Training) -> list[Source]:
    return [fit_factors(weights, FactorSettings.of(settings, weights), settings.threads)]


def _graph(weights: Matrix, settings: Training) -> list[Source]:
    return [fit_graph(weights, GraphSettings.of(settings), settings.threads)] if weights.shape[1] >= MANY else []


def _all(weights: Matrix, settings: Training) -> list[Source]:
    return [source for fit in (_neighbours, _factors, _graph) for source in fit(weights, settings)]


NEIGHBOURS = Search(
    "neighbours",
    {"customer_discount": Range(0, 1.2), "source_discount": Range(0, 1.2), "target_discount": Range(0, 1)},
    _neighbours,
)
FACTORS = Search("factors", {"alpha": Range(1, 300, log=True), "regularisation": Range(0.01, 300, log=True)}, _factors)
GRAPH = Search("graph", {"graph_waves": Range(16, 512, log=True)}, _graph)

OPEN = ("half_life", "graph_waves")
"""Settings of which 0 is no value: without fading, and by the size of the log."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What trials are judged by. log: what may be fitted on; weights: the same by customers; asked: the questions.

    items: counted as `weights` are. repeats: whether what was used is right too: only where nobody took anything else.
    """

    log: Log
    items: Items
    weights: Matrix
    asked: Sequence[Asked]
    repeats: bool

    def counted(self, counting: Counting | None) -> "Slice":
        """The same with uses counted so, in what is fitted and in what is asked."""
        if counting is self.items.counting:
            return self
        items = counted(self.items, counting)
        asked = [replace(one, query=Query(items, one.query.history, one.query.context)) for one in self.asked]
        return replace(self, items=items, weights=weights_of(user_items(self.log, items)), asked=asked)

    def half(self, which: int) -> "Slice":
        """Every other question: 0 to search by, 1 to check."""
        return replace(self, asked=self.asked[which::2])


def slice_of(subject: Subject, seed: int) -> Slice:
    """The newest part of a log; without a clock, a part drawn."""
    log, items = subject.log, subject.items
    if not subject.uses.any():
        return Slice(log, items, weights_of(user_items(log, items)), (), repeats=False)
    if subject.clocked:
        since = newest(subject, VALIDATION)
        kept = log.select(log.events["time"] < since)
        asked = list(pages(log, items, since))
    else:
        held = hold_out(log, seed + 1)
        kept = log.select(~held)
        asked = list(_closing(subject, kept, subject.uses & held))
    new = [question for question in asked if _new(question).size]
    chosen = new or asked
    rng = np.random.default_rng(seed)
    if len(chosen) > QUESTIONS:
        chosen = [chosen[at] for at in np.sort(rng.choice(len(chosen), QUESTIONS, replace=False))]
    return Slice(kept, items, weights_of(user_items(kept, items)), chosen, repeats=not new)


def _closing(subject: Subject, kept: Log, wanted: BoolArray) -> Iterator[Asked]:
    position = subject.items.positions(subject.log.events["item"])
    for customer in np.unique(subject.log.who[wanted]).tolist():
        part = slice(int(subject.log.starts[customer]), int(subject.log.starts[customer + 1]))
        query = closing_question(kept, subject.items, customer)
        yield Asked(customer, query, np.unique(position[part][wanted[part]]))


def _new(question: Asked) -> IntArray:
    return np.setdiff1d(question.wanted, used(question.query).at)


def quality(source: Source, part: Slice) -> Values:
    """Shape (questions,): the NDCG of each page that this source alone would make, by its first column."""
    hits = np.zeros((len(part.asked), PAGE), np.bool_)
    relevant = np.zeros(len(part.asked), np.int64)
    for row, question in enumerate(part.asked):
        score = source.score([question.query])[0].dense(question.query.items.codes.size)[0].copy()
        if not part.repeats:
            score[used(question.query).at] = -np.inf
        wanted = question.wanted if part.repeats else _new(question)
        shown = best(score, PAGE)
        hits[row, : shown.size], relevant[row] = np.isin(shown, wanted), wanted.size
    return ndcg(hits, relevant)


def counting_of_log(part: Slice) -> Search:
    """The search for how much a use counts: its ranges are those of the log."""
    days = days_of(part)
    ranges = {
        "half_life": Range(days / 36, 4 * days, log=True),
        **{weight_of(name): Range(0, 1) for name in types_of(part)},
    }
    return Search("counting", ranges if days >= 1 else {}, _all, counting=True)


def days_of(part: Slice) -> float:
    first, last = part.log.span
    return (last - first) / DAY


def weight_of(type_: str) -> str:
    return f"type_weights.{type_}"


def types_of(part: Slice) -> list[str]:
    """The names of the event types worth a weight, the commonest first; none where all uses are of one type."""
    events = part.log.events
    used = is_use(events["type"]) & (part.items.positions(events["item"]) >= 0)
    codes, uses = np.unique(events["type"][used], return_counts=True)
    common = [int(at) for at in np.argsort(-uses, kind="stable") if uses[at] >= LEAST * uses.sum()]
    named = [part.log.names[int(codes[at])] for at in common if int(codes[at]) in part.log.names]
    return named[:TYPES] if len(common) > 1 else []


def reached(search: Search, part: Slice, settings: Training) -> Values:
    """Shape (questions,): the mean over the search's sources of the NDCG that these settings give each page."""
    part = part.counted(counting_of(settings)) if search.counting else part
    return np.asarray(np.mean([quality(source, part) for source in search.fit(part.weights, settings)], axis=0))


def changed(settings: Training, choice: Mapping[str, float]) -> Training:
    """Settled settings with other values: `type_weights.view` is that of an event type."""
    plain: dict[str, object] = {name: value for name, value in choice.items() if "." not in name}
    weights = {name.partition(".")[2]: value for name, value in choice.items() if "." in name}
    known = {} if settings.type_weights == LEARNED else settings.type_weights
    return settings.model_copy(update=plain | ({"type_weights": {**known, **weights}} if weights else {}))


def today(search: Search, settings: Training) -> dict[str, float]:
    """What the settled settings say of what is searched."""
    known = {} if settings.type_weights == LEARNED else settings.type_weights
    return {
        name: float(known.get(name.partition(".")[2], 1) if "." in name else getattr(settings, name))
        for name in search.ranges
    }


def searches_of(part: Slice) -> list[Search]:
    """The sources that are searched, each by itself."""
    return [NEIGHBOURS, FACTORS, *([GRAPH] if part.items.codes.size >= MANY else [])]


def study_of(seed: int, storage: BaseStorage | None = None, name: str | None = None) -> optuna.Study:
    """A search by a tree-structured Parzen estimator (Bergstra et al., 2011); one that is stored goes on."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        load_if_exists=True,
    )


def run(
    study: optuna.Study,
    search: Search,
    part: Slice,
    settings: Training,
    trials: int,
    until: float | None,
    done: Callable[[int], None],
) -> None:
    """Begin at today's settings, or next to them within the range; end with so many trials in all, or with the time."""

    def objective(trial: optuna.Trial) -> float:
        choice = {name: trial.suggest_float(name, r.low, r.high, log=r.log) for name, r in search.ranges.items()}
        return float(reached(search, part, changed(settings, _tidy(choice))).mean())

    now = today(search, settings)
    start = {
        name: min(max(now[name] or (r.high if name in OPEN else 0), r.low), r.high) for name, r in search.ranges.items()
    }
    study.enqueue_trial(start, skip_if_exists=True)
    finished = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    done(finished)
    while finished < trials and (until is None or time.monotonic() < until):
        study.optimize(objective, n_trials=1)
        finished += 1
        done(finished)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a search came to. better: the settings that were worth a change; row: for the table."""

    better: dict[str, float]
    row: Row


def verdict(study: optuna.Study, search: Search, part: Slice, settings: Training) -> Verdict:
    """The best trial beside today's settings; better is what is so beyond its paired interval on these pages."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not trials:
        return Verdict({}, {"source": search.name, "trials": 0})
    choice = _tidy(study.best_params)
    now, found = (reached(search, part, tried) for tried in (settings, changed(settings, choice)))
    gain = bootstrap(found - now)
    row: Row = {
        "source": search.name,
        "trials": len(trials),
        f"ndcg@{PAGE}": float(found.mean()),
        "today": float(now.mean()),
        "gain_low": gain.low,
        "gain_high": gain.high,
        "n": len(part.asked),
        "settings": {**choice},
    }
    return Verdict(choice if gain.low > 0 else {}, row)


def _tidy(choice: Mapping[str, float]) -> dict[str, float]:
    whole = {name for name, field in Training.model_fields.items() if field.annotation is int}
    return {name: round(value) if name in whole else rounded(value) for name, value in choice.items()}


def rounded(value: float) -> float:
    """To three digits: nobody can tell more from this many pages."""
    return float(f"{value:.3g}")
