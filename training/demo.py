"""What `murmeli demo` does before it serves: simulate a bank, import it, train, judge, and choose whom to show."""

import csv
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np

from recommender import top
from recommender.baselines import Ranking
from recommender.catalogue import Catalogue
from recommender.errors import StoreError, UsageError
from recommender.history import Context, Query, history_of
from recommender.page import Recommendation
from recommender.plugins import registry_at
from recommender.profile import Profile, fold
from recommender.ranker import Ranker
from recommender.recommender import Recommender
from recommender.settings import Placement, Settings
from recommender.stability import settle
from recommender.stores.base import Store
from recommender.types import EVENT, USE, FloatArray, Kind
from training.account import ImportSummary
from training.bank import MENU, ZONE, BankFiles, simulate_bank
from training.catalogues import import_items
from training.evaluation import Report, model_ranking
from training.fit.kind import Subject
from training.importers import import_events
from training.pipeline import Exam, Outcome, train

MARK = "demo.json"
"""Says that a folder is a demo's, which the next demo may replace."""

FIXED_MENU = "fixed menu"
HELD_OUT = timedelta(days=7)

HEAD = 3
"""Items by which two pages are compared."""

SOON = 10_000
"""Milliseconds until somebody asks again."""

REGULAR = 60
"""Uses of features that make somebody a regular, whose page is worth a look."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What there is to show. regulars: an identity each of customers whose favourite features differ."""

    imported: ImportSummary
    links: int
    trained: Outcome
    regulars: tuple[str, ...]


def clear(home: Path) -> None:
    """Room for a new demo. UsageError where the folder holds something else, StoreError where none can be made."""
    try:
        if home.exists() and not (home / MARK).exists() and any(home.iterdir()):
            raise UsageError(f"{home} is there already and is no demo. Give another --home.")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / MARK).write_text(json.dumps({"made_by": "murmeli demo"}), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{home} cannot be made ({error.strerror}). Give another --home.") from error


def prepare(store: Store, home: Path, settings: Settings, *, seed: int, customers: int, progress: Report) -> Demo:
    """Fill an empty store with a simulated bank and train on it, its last week kept for the figures."""
    end = datetime.now(ZONE)
    progress("simulate", 0, None)
    files = simulate_bank(home / "bank", end=end, seed=seed, customers=customers)
    progress("simulate", 1, 1)
    import_items(store, [files.items])
    imported = import_events(
        store.events, [files.events], zone=ZONE, progress=lambda share, _: progress("import", share, 1)
    )
    links = _link(store, files, progress)
    since = int((end - HELD_OUT).timestamp() * 1000)
    outcome = train(
        store, registry_at(home, settings), settings, promote=True, progress=progress, exam=Exam(since, _rivals)
    )
    return Demo(imported, len(links), outcome, _regulars(store, [a for a, _ in links]))


def _link(store: Store, files: BankFiles, progress: Report) -> list[tuple[str, str]]:
    with files.links.open(encoding="utf-8", newline="") as lines:
        pairs = [(row["a"], row["b"]) for row in csv.DictReader(lines)]
    for number, (a, b) in enumerate(pairs, 1):
        store.identities.link(a, b)
        progress("link identities", number, len(pairs))
    return pairs


def _rivals(subject: Subject) -> dict[str, Ranking]:
    return {FIXED_MENU: fixed_menu(subject)} if subject.kind is Kind.FEATURE else {}


def fixed_menu(subject: Subject) -> Ranking:
    """The order in which the bank shows its features today, to everyone."""
    place = {item: -float(number) for number, item in enumerate(MENU)}
    score = np.array([place.get(item, -np.inf) for item in subject.items.ids], np.float32)
    return lambda _: score


def _regulars(store: Store, identities: list[str]) -> tuple[str, ...]:
    """For each feature the first identity of a regular customer who uses it most."""
    items = Catalogue(store.items, {}).shelf(Kind.FEATURE).items
    chosen: dict[int, str] = {}
    for identity in identities:
        used = history_of(store.events.profile(identity), items).item
        if used.size >= REGULAR:
            chosen.setdefault(int(np.bincount(used).argmax()), identity)
    return (*chosen.values(), *identities[:2])


def unlike(pages: Mapping[str, Recommendation]) -> tuple[str, str]:
    """The two customers the heads of whose first slots have least in common."""
    heads = {who: [item.item for item in page.slots[0].items[:HEAD]] for who, page in pages.items()}
    return min(combinations(pages, 2), key=lambda two: _alike(heads[two[0]], heads[two[1]]))


def _alike(one: list[str], other: list[str]) -> tuple[bool, int]:
    return one[:1] == other[:1], len({*one} & {*other})


def rising(
    recommender: Recommender, store: Store, customer: str, context: Context, menu: Placement
) -> tuple[str, str, int, int]:
    """The one use that moves a menu most, the feature that it lifts, and from which place to which, as it is shown.

    That need not be the feature that was used: what was just done is often done, and what follows it comes up.
    """
    shelf, rank = recommender.catalogue.shelf(Kind.FEATURE), model_ranking(recommender.model.kinds[Kind.FEATURE])
    items, profile = shelf.items, store.events.profile(customer)

    def scored(profile: Profile, now: int) -> FloatArray:
        score = rank(Query(items, history_of(profile, items), replace(context, now=now)))
        return np.where(shelf.available, score, -np.inf).astype(np.float32)

    score = scored(profile, context.now)
    before, shown = np.argsort(np.argsort(-score, kind="stable")), top.best(score, menu.size).tolist()
    moves = []
    for used in np.flatnonzero(shelf.available).tolist():
        code = int(items.codes[used])
        use = np.array([(context.now, code, code, 0, USE, context.channel, context.zone, 0)], EVENT)
        score = scored(fold(profile, use), context.now + SOON)
        best = top.best(score, menu.size).tolist()
        page = settle(best, Ranker.probabilities(score), shown, menu.stability)
        gain, place = max((int(before[item]) - place, -place) for place, item in enumerate(page))
        moves.append((gain, used, page[-place], -place))
    gain, used, lifted, place = max(moves)
    return items.ids[used], items.ids[lifted], place + gain + 1, place + 1
