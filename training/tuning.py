"""Searches the settings of the sources that learn from others, each by itself, on the newest part of the log.

Each source is fitted on what came before a slice and asked, for every
customer of the slice, what else they would take; the search maximises the
mean NDCG of those pages. It is a tree-structured Parzen estimator (Bergstra
et al., 2011), begun at the settings in use. Trials are kept in a file of the
home, so a search that was stopped goes on. The newest part of the log, by
which a model is judged, is never looked at.
"""

import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
import optuna
import tomlkit
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from pydantic import JsonValue, ValidationError

from recommender.errors import UsageError
from recommender.features import used
from recommender.metrics import Values, bootstrap, ndcg
from recommender.settings import Settings, Training, commented
from recommender.sources.base import Source
from recommender.sources.usage import Matrix
from recommender.stores.base import Store
from recommender.top import best
from recommender.types import BoolArray, IntArray
from training.dataset import extract
from training.evaluation import Report, Row, before
from training.fit.content import closing_question
from training.fit.factors import FactorSettings, fit_factors
from training.fit.kind import ENOUGH, VALIDATION, Subject, held_back, newest
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.slices import hold_out
from training.pipeline import TEST, subjects_of
from training.questions import Asked, pages

FILE = "tuning.log"
"""Where a home keeps its trials, one JSON line each."""

PAGE = 20

QUESTIONS = 1_500
"""Pages of a slice. Trials are judged by one half, what they found by the other, which no trial has seen."""


@dataclass(frozen=True, slots=True)
class Range:
    """From where to where a setting is searched."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for one source. ranges: by the name of the setting in `[training]`."""

    source: str
    ranges: dict[str, Range]
    fit: Callable[[Matrix, Training], Source]


SEARCHES = (
    Search(
        "neighbours",
        {"customer_discount": Range(0, 1.2), "source_discount": Range(0, 1.2), "target_discount": Range(0, 1)},
        lambda weights, settings: fit_neighbours(weights, NeighbourSettings.of(settings), settings.threads),
    ),
    Search(
        "factors",
        {"alpha": Range(1, 300, log=True), "regularisation": Range(0.01, 300, log=True)},
        lambda weights, settings: fit_factors(weights, FactorSettings.of(settings, weights), settings.threads),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What trials are judged by. weights: customers x items, what may be fitted on; asked: the questions."""

    weights: Matrix
    asked: Sequence[Asked]
    repeats: bool
    """Whether what was used is right too: only where nobody took anything else."""


@dataclass(slots=True)
class Tuned:
    """What a search found. rows: one for each kind and source; better: the settings that were worth a change."""

    rows: list[Row]
    better: dict[str, float]
    notes: list[str]

    def advice(self, *, written: bool) -> str:
        """What to do next."""
        if not self.better:
            return "No other settings were better beyond chance: stay with today's."
        lines = "\n".join(f"{name} = {value}" for name, value in self.better.items())
        if written:
            return f"murmeli.toml now says, under [training]:\n{lines}\n`murmeli train` makes a model of it."
        return f"Better beyond chance, under [training] of murmeli.toml (--write puts it there):\n{lines}"

    def document(self) -> dict[str, JsonValue]:
        """For machines."""
        return {"results": [*self.rows], "training": {**self.better}, "notes": [*self.notes]}


def tune(
    store: Store, home: Path, settings: Settings, *, trials: int, minutes: float | None, progress: Report
) -> Tuned:
    """Search until every source has so many trials in all, or the time is up.

    A kind with more pages to judge by decides where two kinds want different settings.
    """
    tuned = Tuned([], {}, [])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    log = extract(store)
    slices = {subject.kind: slice_of(subject, settings.training.seed) for subject in subjects_of(store, log)}
    if not slices:
        tuned.notes.append("The store holds no use of an item: nothing to search by. `murmeli import events FILE`.")
        return tuned
    storage = _trials_of(home / FILE)
    for kind, part in sorted(slices.items(), key=lambda found: len(found[1].asked)):
        if len(part.asked) < ENOUGH:
            tuned.notes.append(f"{kind}: {len(part.asked)} pages to judge by, fewer than {ENOUGH}: not searched.")
            continue
        searched, checked = (replace(part, asked=part.asked[half::2]) for half in (0, 1))
        for search in SEARCHES:
            study = optuna.create_study(
                storage=storage,
                study_name=f"{kind}-{search.source}-{_stamp(part)}",
                direction="maximize",
                sampler=optuna.samplers.TPESampler(seed=settings.training.seed),
                load_if_exists=True,
            )
            report = partial(_report, progress, f"{kind} {search.source}", trials)
            _run(study, search, searched, settings.training, trials, until, report)
            tuned.rows.append({"kind": kind.value, **_verdict(study, search, checked, settings.training, tuned.better)})
    if until is not None and time.monotonic() >= until:
        tuned.notes.append("The time was up: the same command goes on from here. A time budget cannot be repeated.")
    return tuned


def _trials_of(path: Path) -> JournalStorage:
    """The trials that a home keeps. What a crash left of its last line is dropped: that trial was not finished.

    Raises UsageError where the file is damaged otherwise.
    """
    if path.exists():
        kept = path.read_bytes()
        whole = kept.rfind(b"\n") + 1
        if whole < len(kept):
            os.truncate(path, whole)
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except ValueError as error:
        raise UsageError(f"{path} is damaged. Move it away; the search then begins anew.") from error


def _report(progress: Report, stage: str, trials: int, finished: int) -> None:
    progress(stage, finished, trials)


def slice_of(subject: Subject, seed: int) -> Slice:
    """The newest part of what comes before the uses that a model is judged by; without a clock, a part drawn."""
    earlier = before(subject, held_back(subject, TEST, seed))
    if not earlier.uses.any():
        return Slice(weights_of(user_items(earlier.log, earlier.items)), (), repeats=False)
    if earlier.clocked:
        since = newest(earlier, VALIDATION)
        kept = earlier.earlier(earlier.log.events["time"] < since)
        asked = list(pages(earlier.log, earlier.items, since))
    else:
        held = hold_out(earlier.log, seed + 1)
        kept = earlier.earlier(~held)
        asked = list(_closing(earlier, kept, earlier.uses & held))
    new = [question for question in asked if _new(question).size]
    chosen = new or asked
    rng = np.random.default_rng(seed)
    if len(chosen) > QUESTIONS:
        chosen = [chosen[at] for at in np.sort(rng.choice(len(chosen), QUESTIONS, replace=False))]
    return Slice(weights_of(user_items(kept.log, kept.items)), chosen, repeats=not new)


def _closing(subject: Subject, kept: Subject, wanted: BoolArray) -> Iterator[Asked]:
    position = subject.items.positions(subject.log.events["item"])
    for customer in np.unique(subject.log.who[wanted]).tolist():
        part = slice(int(subject.log.starts[customer]), int(subject.log.starts[customer + 1]))
        query = closing_question(kept.log, kept.items, customer)
        yield Asked(customer, query, np.unique(position[part][wanted[part]]))


def _new(question: Asked) -> IntArray:
    return np.setdiff1d(question.wanted, used(question.query).at)


def quality(source: Source, part: Slice) -> Values:
    """Shape (questions,): the NDCG of each page that this source alone would make."""
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


def _run(
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
        return float(quality(search.fit(part.weights, settings.model_copy(update=choice)), part).mean())

    today = _today(search, settings)
    start = {name: min(max(today[name], r.low), r.high) for name, r in search.ranges.items()}
    study.enqueue_trial(start, skip_if_exists=True)
    finished = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    done(finished)
    while finished < trials and (until is None or time.monotonic() < until):
        study.optimize(objective, n_trials=1)
        finished += 1
        done(finished)


def _verdict(study: optuna.Study, search: Search, part: Slice, settings: Training, better: dict[str, float]) -> Row:
    """The best trial beside today's settings; what is better beyond its paired interval goes into `better`."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not trials:
        return {"source": search.source, "trials": 0}
    choice = {name: _rounded(value) for name, value in study.best_params.items()}
    today, found = (
        quality(search.fit(part.weights, settings.model_copy(update=tried)), part)
        for tried in (_today(search, settings), choice)
    )
    gain = bootstrap(found - today)
    if gain.low > 0:
        better |= choice
    return {
        "source": search.source,
        "trials": len(trials),
        f"ndcg@{PAGE}": float(found.mean()),
        "today": float(today.mean()),
        "gain_low": gain.low,
        "gain_high": gain.high,
        "n": len(part.asked),
        "settings": {**choice},
    }


def _today(search: Search, settings: Training) -> dict[str, float]:
    return {name: float(getattr(settings, name)) for name in search.ranges}


def _rounded(value: float) -> float:
    """To three digits: nobody can tell more from this many pages."""
    return float(f"{value:.3g}")


def _stamp(part: Slice) -> str:
    """Of a log: another log is another search."""
    digest = blake2b(part.weights.indices.tobytes() + part.weights.data.tobytes(), digest_size=6)
    digest.update(part.weights.indptr.tobytes())
    return digest.hexdigest()


def write_training(path: Path, values: Mapping[str, float]) -> None:
    """Set values under `[training]` in a settings file, every other line as it was; the file is made where it is not.

    Raises UsageError, and changes nothing, where the file would not be valid.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else commented()
    document = tomlkit.parse(text)
    table = document.setdefault("training", tomlkit.table())
    for name, value in values.items():
        table[name] = value
    try:
        Settings.model_validate(tomllib.loads(tomlkit.dumps(document)))
    except ValidationError as error:
        raise UsageError(f"{path} would not be valid with these values. Nothing was changed.") from error
    new = path.with_suffix(".toml.new")
    new.write_text(tomlkit.dumps(document), encoding="utf-8")
    new.replace(path)
