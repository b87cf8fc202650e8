"""Searches the settings of training on the newest part of the log, for as long as it is let: see training/search.py.

Each source that learns from others is searched by itself, then how much a use
counts, for all of them together; the search begins at the settings in use.
Trials are kept in a file of the home, so a search that was stopped goes on.
The newest part of the log, by which a model is judged, is never looked at.
"""

import os
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import tomlkit
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pydantic import JsonValue, ValidationError

from recommender.errors import UsageError
from recommender.settings import Settings, commented
from recommender.stores.base import Store
from recommender.types import Kind
from training.dataset import extract
from training.evaluation import Report, Row, before
from training.fit.kind import ENOUGH, counting_of, held_back
from training.learned import settled
from training.pipeline import TEST, subjects_of
from training.search import Search, Slice, counting_of_log, run, searches_of, slice_of, study_of, verdict

FILE = "tuning.log"
"""Where a home keeps its trials, one JSON line each."""


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
    until = None if minutes is None else time.monotonic() + 60 * minutes
    log = extract(store)
    seed, today = settings.training.seed, settled(settings.training)
    slices = {
        subject.kind: slice_of(before(subject, held_back(subject, TEST, seed)), seed)
        for subject in subjects_of(store, log)
    }
    if not slices:
        tuned.notes.append("The store holds no use of an item: nothing to search by. `murmeli import events FILE`.")
        return tuned
    storage = _trials_of(home / FILE)
    for kind, part in sorted(slices.items(), key=lambda found: len(found[1].asked)):
        if len(part.asked) < ENOUGH:
            tuned.notes.append(f"{kind}: {len(part.asked)} pages to judge by, fewer than {ENOUGH}: not searched.")
            continue
        searches = _searches(kind, part)
        counted = part.counted(counting_of(today)) if kind is Kind.CONTENT else part
        for search in searches:
            study = study_of(seed, storage, f"{kind}-{search.name}-{_stamp(part)}")
            run(study, search, counted.half(0), today, trials, until, partial(_report, progress, kind, search, trials))
            found = verdict(study, search, counted.half(1), today)
            tuned.rows.append({"kind": kind.value, **found.row})
            tuned.better |= found.better
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


def _searches(kind: Kind, part: Slice) -> list[Search]:
    """What there is to search for a kind; how uses count matters for content alone."""
    counting = counting_of_log(part)
    return [*searches_of(part), *([counting] if kind is Kind.CONTENT and counting.ranges else [])]


def _report(progress: Report, kind: Kind, search: Search, trials: int, finished: int) -> None:
    progress(f"{kind} {search.name}", finished, trials)


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
    for setting, value in values.items():
        name, _, key = setting.partition(".")
        if key:
            known = table.get(name)
            inline = tomlkit.inline_table()
            inline.update({**(known if isinstance(known, dict) else {}), key: value})
            table[name] = inline
        else:
            table[name] = value
    try:
        Settings.model_validate(tomllib.loads(tomlkit.dumps(document)))
    except ValidationError as error:
        raise UsageError(f"{path} would not be valid with these values. Nothing was changed.") from error
    new = path.with_suffix(".toml.new")
    new.write_text(tomlkit.dumps(document), encoding="utf-8")
    new.replace(path)
