"""From a store to a published model: extract, judge on the newest part, fit on everything, publish."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
from pydantic import JsonValue, ValidationError

from recommender import champion
from recommender.baselines import Ranking, most_recent, most_used
from recommender.bundle import LogRange, Manifest
from recommender.errors import ArtefactError, NotFoundError, RefusedError
from recommender.model import KindModel, Model, model_arrays, model_kinds
from recommender.registry import MAIN, Registry
from recommender.settings import Settings, Training
from recommender.stores.base import Store
from recommender.tokens import pieces_of, tokens_of
from recommender.types import BoolArray, Kind, instant
from training.dataset import Log, extract, items_of
from training.evaluation import Report, Row, Scoring, before, popularity_of
from training.fit.kind import ENOUGH, Subject, fit_by_habit, fit_kind, held_back, refit
from training.judge import CHAMPION, MURMELI, judge
from training.learned import chosen, settled
from training.overview import learning_curve, overview

TEST = 0.1
"""The newest share of the uses, on which the configuration is judged, once."""

SMALL = 300_000
"""Events, up to which a learning curve is drawn unasked: it costs about as much again as the rest, here a minute."""


@dataclass(slots=True)
class Outcome:
    """What a run did.

    judgements: the table of each kind; curves: its learning curve; data: what the log holds. seconds: of each part;
    version: None where none was made; refused: why the gate did not let it be the champion, where it was to be.
    learned: by kind, the settings that were found on the log.
    """

    log: LogRange
    judgements: dict[str, list[Row]] = field(default_factory=dict)
    curves: dict[str, list[Row]] = field(default_factory=dict)
    data: Row = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    version: int | None = None
    champion: bool = False
    refused: tuple[str, ...] = ()
    fingerprint: str = ""
    learned: dict[Kind, dict[str, JsonValue]] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """For machines."""
        return {
            "version": self.version,
            "champion": self.champion,
            "refused": self.refused,
            "fingerprint": self.fingerprint,
            "log": self.log.model_dump(),
            "results": self.judgements,
            **({"data": self.data} if self.data else {}),
            **({"curves": self.curves} if self.curves else {}),
            **({"learned": {kind.value: found for kind, found in self.learned.items()}} if self.learned else {}),
            "notes": self.notes,
            "seconds": {part: round(seconds, 3) for part, seconds in self.seconds.items()},
        }

    def summary(self) -> str:
        """For people."""
        spent = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in self.seconds.items())
        lines = [
            *self.notes,
            *_told(self.learned),
            f"{self.log.events:,} events of {self.log.customers:,} customers. {spent}.",
        ]
        if self.log.events:
            lines[-1] = f"{lines[-1]} The log ends at {instant(self.log.last)}."
        if self.version is not None:
            state = "the champion" if self.champion else f"the challenger: `murmeli models promote {self.version}`"
            lines.append(f"{MAIN}/{self.version} ({self.fingerprint[:12]}) is {state}.")
        if self.refused:
            lines.append(
                "The gate does not let it be the champion. What answered before goes on answering; where there was no "
                "champion yet, that is each customer's own habits. Its reasons:"
            )
            lines += [f"- {reason}" for reason in self.refused]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Judged:
    """A kind's model as it was judged, and the settings that it was fitted by, nothing left open in them."""

    model: KindModel
    settings: Training


@dataclass(frozen=True, slots=True)
class Exam:
    """What a configuration is judged on, and against whom beside the usual baselines.

    since: the instant from which uses are held back; None for the newest TEST share of each kind's.
    rivals: more ways to rank, by name, for a kind.
    """

    since: int | None = None
    rivals: Callable[[Subject], dict[str, Ranking]] = lambda _: {}

    def held(self, subject: Subject, seed: int) -> BoolArray:
        """Shape (n,): the events that are held back."""
        if self.since is None:
            return held_back(subject, TEST, seed)
        return subject.uses & (subject.log.events["time"] >= self.since)


USUAL = Exam()


def train(
    store: Store, registry: Registry, settings: Settings, *, promote: bool, progress: Report, exam: Exam = USUAL
) -> Outcome:
    """Judge, fit and publish. The same log, settings and threads give the same fingerprint.

    The new version is the challenger; it becomes the champion where there is none, or where `promote` says so, if
    the gate lets it.
    """
    outcome, subjects = _start(store, progress)
    if not subjects:
        return outcome
    judged = _judge(subjects, settings.training, _reigning(registry, settings, outcome), exam, outcome, progress)
    with _timed(outcome, "fit", progress):
        kinds = {
            subject.kind: refit(judged[subject.kind].model, subject, judged[subject.kind].settings)
            for subject in subjects
        }
    with _timed(outcome, "publish", progress):
        _publish(kinds, registry, settings, outcome)
    with _timed(outcome, "gate", progress):
        if promote or registry.aliases(MAIN).champion is None:
            _promote(store, registry, outcome)
    return outcome


def evaluate(
    store: Store, registry: Registry, settings: Settings, *, curve: bool | None = False, progress: Report
) -> Outcome:
    """Judge the configuration on the newest part of the log, fitted on the rest; publish nothing.

    curve: whether to fit on shares of the rest too, which takes as long again; None: where the log is small.
    """
    outcome, subjects = _start(store, progress)
    if not subjects:
        return outcome
    judged = _judge(subjects, settings.training, _reigning(registry, settings, outcome), USUAL, outcome, progress)
    seed = settings.training.seed
    held = {subject.kind: USUAL.held(subject, seed) for subject in subjects}
    outcome.data = overview(subjects[0].log, subjects, held)
    if outcome.log.events <= SMALL if curve is None else curve:
        with _timed(outcome, "learning curve", progress):
            for subject in subjects:
                if np.count_nonzero(held[subject.kind]) >= ENOUGH:
                    found = judged[subject.kind]
                    whole = Scoring(found.model)
                    rows = learning_curve(subject, held[subject.kind], whole, found.settings, progress)
                    outcome.curves[subject.kind.value] = rows
    return outcome


@dataclass(frozen=True, slots=True)
class Reigning:
    """The champion's configuration, as its manifest states it and as it is fitted today."""

    stated: dict[str, JsonValue]
    training: Training


def _reigning(registry: Registry, settings: Settings, outcome: Outcome) -> Reigning | None:
    """The champion's configuration, to be judged beside the one at hand; None, with a note, where it cannot be."""
    try:
        stated = registry.manifest().configuration
        found = Training.model_validate(stated)
    except NotFoundError:
        return None
    except (ArtefactError, ValidationError):
        outcome.notes.append("The champion's settings cannot be read: it is not in the comparison.")
        return None
    if not set(found.sources) <= set(settings.training.sources):  # a model never decides what is imported
        outcome.notes.append("The champion has models of your own that murmeli.toml does not name: it is not compared.")
        return None
    return Reigning(stated, found)


def _start(store: Store, progress: Report) -> tuple[Outcome, list[Subject]]:
    outcome = Outcome(LogRange())
    with _timed(outcome, "extract", progress):
        log = extract(store)
        first, last = log.span
        size = log.events.size + int(log.counts["count"].sum())
        outcome.log = LogRange(first=first, last=last, events=size, customers=log.customers)
        subjects = subjects_of(store, log) if size else []
    if not subjects:
        found = "No event of the log names an item" if size else "The log is empty"
        outcome.notes.append(f"{found}: nothing to learn from. `murmeli import events FILE` brings a log in.")
    return outcome, subjects


def subjects_of(store: Store, log: Log) -> list[Subject]:
    """The kinds that the catalogue holds, each with its items."""
    entries = store.items.changes(0)[1]
    subjects = []
    for kind in Kind:
        here = [item for item in entries if item.kind is kind]
        if here:
            items = items_of([item.id for item in here], list(map(tokens_of, here)), list(map(pieces_of, here)))
            subjects.append(Subject(kind, items, log))
    return subjects


def _judge(
    subjects: list[Subject],
    settings: Training,
    reigning: Reigning | None,
    exam: Exam,
    outcome: Outcome,
    progress: Report,
) -> dict[Kind, Judged]:
    """Fits each kind on what is not held back and judges it on what is; returns what was judged.

    reigning: the champion's configuration is fitted on the same and asked the same.
    """
    judged = {}
    with _timed(outcome, "judge", progress):
        for subject in subjects:
            held = exam.held(subject, settings.seed)
            earlier, tested = before(subject, held), int(np.count_nonzero(held))
            if tested < ENOUGH:
                few = f"{subject.kind}: {tested} uses to judge by, fewer than {ENOUGH}: habit and popularity rank it."
                outcome.notes.append(few)
            progress(f"fit {subject.kind}", 0, None)
            found = judged[subject.kind] = _fitted(earlier, settings, tested, progress)
            progress(f"fit {subject.kind}", 1, 1)
            outcome.learned |= _learned(subject.kind, found, settings)
            if tested:
                scoring = Scoring(found.model)
                rankings = rankings_of(scoring.whole, earlier) | exam.rivals(subject)
                if reigning:
                    other = reigning.training
                    same = other == settings
                    rival = scoring if same else Scoring(_fitted(earlier, other, tested, progress).model)
                    rankings[CHAMPION] = rival.whole
                rows = judge(subject, held, rankings, settings.seed, model=scoring, progress=progress)
                about: dict[str, Row] = {CHAMPION: {"configuration": reigning.stated}} if reigning else {}
                outcome.judgements[subject.kind.value] = [row | about.get(str(row["name"]), {}) for row in rows]
    return judged


def _fitted(earlier: Subject, settings: Training, tested: int, progress: Report) -> Judged:
    if tested < ENOUGH:
        return Judged(fit_by_habit(earlier), settled(settings))
    found = chosen(earlier, settings, progress)
    return Judged(fit_kind(earlier, found), found)


def _learned(kind: Kind, found: Judged, settings: Training) -> dict[Kind, dict[str, JsonValue]]:
    """What the settings left open, or were searched for, and what was found for a kind; nothing where all stayed."""
    before, after = settled(settings).model_dump(mode="json"), found.settings.model_dump(mode="json")
    new = {name: value for name, value in after.items() if value != before[name]}
    return {kind: new} if new else {}


def _told(learned: dict[Kind, dict[str, JsonValue]]) -> list[str]:
    """What was found, for people."""
    return [
        f"{kind}: learned on the log: {', '.join(f'{name} = {value}' for name, value in found.items())}."
        for kind, found in learned.items()
    ]


def rankings_of(murmeli: Ranking, earlier: Subject) -> dict[str, Ranking]:
    """The ways to rank that every table has; earlier: what the model was fitted on."""
    return {
        MURMELI: murmeli,
        "most-used": most_used,
        "most-recent": most_recent,
        "popularity": popularity_of(earlier),
    }


def _publish(kinds: dict[Kind, KindModel], registry: Registry, settings: Settings, outcome: Outcome) -> None:
    model = Model(kinds)
    manifest = Manifest(
        code_version=version("murmeli"),
        seed=settings.training.seed,
        configuration=settings.training.model_dump(mode="json"),
        log=outcome.log,
        kinds=model_kinds(model),
        learned=outcome.learned,
        metrics={kind: list[JsonValue](rows) for kind, rows in outcome.judgements.items()},
    )
    outcome.version = registry.publish(MAIN, model_arrays(model), manifest)
    outcome.fingerprint = registry.manifest(MAIN, outcome.version).fingerprint


def _promote(store: Store, registry: Registry, outcome: Outcome) -> None:
    """Make what was published the champion, if the gate lets it."""
    assert outcome.version is not None, "it was published"  # noqa: S101 - for the type checker
    try:
        champion.promote(registry, outcome.version, store=store)
        outcome.champion = True
    except RefusedError as refusal:
        outcome.refused = refusal.reasons


@contextmanager
def _timed(outcome: Outcome, part: str, progress: Report) -> Iterator[None]:
    progress(part, 0, None)
    started = time.perf_counter()
    yield
    outcome.seconds[part] = time.perf_counter() - started
    progress(part, 1, 1)
