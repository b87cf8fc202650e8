"""How well are items ranked that nobody could use yet? Some are taken out of a log and given back by description alone.

A seeded share of the catalogue loses all its events before the last days of
the log, and comes back as items that were added after training: a title and
attributes. Everybody who used something in those days is asked for once, at
their beginning. Judged are the order among these new items, for those who
used some of them, and whole pages, on which they stand among all others.
"""

import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import JsonValue
from scipy import sparse

from recommender.baselines import Ranking
from recommender.catalogue import kin_table
from recommender.errors import UsageError
from recommender.events import FIELDS
from recommender.features import used
from recommender.history import Items, Query
from recommender.metrics import Values, bootstrap, ndcg, recall
from recommender.model import KindModel
from recommender.settings import Training
from recommender.sources.text import Text
from recommender.sources.usage import Matrix
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.tokens import pieces_of, tokens_of
from recommender.top import best
from recommender.types import DAY, BoolArray, FloatArray, IntArray, Kind, is_use
from training.catalogues import described, import_items
from training.dataset import Log, end_to_end, items_of
from training.evaluation import Report, Row, model_ranking
from training.fit.kind import Subject, fit_kind
from training.learned import chosen
from training.log_file import read_log
from training.questions import Asked, pages
from training.top_n import alone

K = 20

ORDERS = 20
"""Random orders, over which the row of that name is the mean."""

SOME = 100
"""A source that tells no two new items apart on so many pages has no row."""

_TERM = re.compile(r"\w\w+")


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """What is asked, and what may be learned from.

    items: known ones first, then all others. texts: their titles, n. new: shape (n,), which were taken out.
    asked: one page a customer, ascending.
    """

    earlier: Subject
    items: Items
    texts: Sequence[str]
    new: BoolArray
    asked: Sequence[Asked]


def exam_of(log: Log, entries: Sequence[Item], *, days: float, share: float, seed: int) -> Exam:
    """The log without what was drawn, cut `days` before its end. UsageError where that leaves nothing to ask."""
    since = log.span[1] - int(days * DAY)
    everything = items_of([item.id for item in entries])
    drawn = np.zeros(len(entries), np.bool_)
    drawn[np.random.default_rng(seed).permutation(len(entries))[: round(share * len(entries))]] = True
    position, early = everything.positions(log.events["item"]), log.events["time"] < since
    log = log.select(~(early & (position >= 0) & drawn[position]))
    before = log.select(log.events["time"] < since)
    known = np.isin(everything.codes, before.events["item"][is_use(before.events["type"])])
    order = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
    by_id = {item.id: item for item in entries}
    listed = [by_id[everything.ids[at]] for at in order]
    size = int(known.sum())
    items = _shelf(everything.codes[order], listed, size)
    asked = list(pages(log, items, since))
    if not size or not any(drawn[order][page.wanted].any() for page in asked):
        raise UsageError(f"No new item was used in the last {days:g} days. Try other --days or a larger --share.")
    earlier = Subject(Kind.CONTENT, _shelf(everything.codes[order[:size]], listed[:size], size), before)
    return Exam(earlier, items, [item.title or item.id for item in listed], drawn[order], asked)


def _shelf(codes: IntArray, listed: Sequence[Item], known: int) -> Items:
    parts = [end_to_end([describe(item) for item in listed]) for describe in (tokens_of, pieces_of)]
    (token_starts, tokens), (piece_starts, pieces) = parts
    return Items(codes, known, [item.id for item in listed], token_starts, tokens, piece_starts, pieces)


def with_kin(items: Items, model: KindModel) -> Items:
    """The items as a live catalogue would have them under this model."""
    late = range(items.known, items.codes.size)
    pieces = [items.pieces[items.piece_starts[at] : items.piece_starts[at + 1]] for at in late]
    found = [kin_table([source.kin(own) for own in pieces]) for source in model.sources if isinstance(source, Text)]
    return replace(items, kin=found[0] if found else None)


def nearest_description(exam: Exam) -> Ranking:
    """Items by the cosine of their title with the mean of the customer's titles, both as TF-IDF vectors."""
    vectors = tfidf(exam.texts)

    def rank(query: Query) -> FloatArray:
        own = used(query).at
        mean = np.asarray(vectors[own].sum(axis=0), np.float32)
        score: FloatArray = vectors @ mean
        return score

    return rank


def tfidf(texts: Sequence[str]) -> Matrix:
    """Texts x words of two letters and more: counts times 1 + log((1 + n) / (1 + texts with it)), rows of length 1."""
    vocabulary: dict[str, int] = {}
    rows = [[vocabulary.setdefault(term, len(vocabulary)) for term in _TERM.findall(text.casefold())] for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    terms = np.array([term for row in rows for term in row], np.int64)
    counts = sparse.csr_array((np.ones(terms.size), terms, starts), shape=(len(texts), len(vocabulary)))
    counts.sum_duplicates()
    with_it = np.bincount(counts.indices, minlength=len(vocabulary))
    weighted = sparse.csr_array(counts @ sparse.diags_array(1 + np.log((1 + len(texts)) / (1 + with_it))))
    length = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)))
    vectors: Matrix = sparse.csr_array(sparse.diags_array(1 / np.maximum(length, 1e-12)) @ weighted).astype(np.float32)
    return vectors


def among_new(exam: Exam, model: KindModel, seed: int) -> Iterator[Row]:
    """The order of the new items alone, for those who used some of them: one row for each way to rank."""
    shelf = with_kin(exam.items, model)
    pages_ = [(page.query, page.wanted[exam.new[page.wanted]]) for page in exam.asked]
    pages_ = [(_told(query, shelf), wanted) for query, wanted in pages_ if wanted.size]
    wanted = [right for _, right in pages_]
    rankings: dict[str, Ranking] = {"murmeli": model_ranking(model), "nearest description": nearest_description(exam)}
    parts = {
        f"{source.name} alone": model_ranking(KindModel(model.codes, model.ids, (source,), alone(source)))
        for source in model.sources
    }
    some = [query for query, _ in pages_[:SOME]]
    rankings |= {name: part for name, part in parts.items() if any(np.ptp(part(query)[exam.new]) for query in some)}
    ours: Values | None = None
    for name, ranking in rankings.items():
        lists = _lists(np.where(exam.new, ranking(query), -np.inf) for query, _ in pages_)
        quality, found = _quality(lists, wanted)
        yield _row(name, quality, found, ours) | {"coverage": _covered(exam, lists)}
        ours = quality if ours is None else ours
    random = np.random.default_rng(seed)
    places = np.flatnonzero(exam.new)
    drawn = [[random.permutation(places)[:K] for _ in wanted] for _ in range(ORDERS)]
    both = [_quality(_padded(lists), wanted) for lists in drawn]
    quality, found = (np.mean([one[part] for one in both], axis=0) for part in (0, 1))
    yield _row("random order", quality, found, ours) | {"coverage": 1.0}


def whole(exam: Exam, model: KindModel) -> Iterator[Row]:
    """Whole pages: the new ones given back, given back without a description, and left out."""
    wanted = [page.wanted for page in exam.asked]
    ranking = model_ranking(model)
    shelf, known = with_kin(exam.items, model), slice(0, int(exam.items.token_starts[exam.items.known]))
    starts = np.minimum(shelf.token_starts, known.stop)
    blank = replace(shelf, token_starts=starts, tokens=shelf.tokens[known], kin=None)
    ways: dict[str, Ranking] = {
        "murmeli": lambda query: ranking(_told(query, shelf)),
        "without descriptions": lambda query: ranking(_told(query, blank)),
        "without the new items": lambda query: np.where(exam.new, np.float32(-np.inf), ranking(_told(query, shelf))),
    }
    ours: Values | None = None
    for name, way in ways.items():
        lists = _lists(way(page.query) for page in exam.asked)
        quality, found = _quality(lists, wanted)
        shown = float(exam.new[lists].mean())
        yield _row(name, quality, found, ours) | {"coverage": _covered(exam, lists), "share of places": shown}
        ours = quality if ours is None else ours


def _told(query: Query, items: Items) -> Query:
    """The same question of items that something else is told of; nothing that was worked out for it goes along."""
    return replace(query, items=items, memo={})


def _lists(scores: Iterable[FloatArray]) -> IntArray:
    return _padded([best(score, K) for score in scores])


def _padded(lists: Sequence[IntArray]) -> IntArray:
    return np.array([np.pad(row, (0, K - row.size), constant_values=-1) for row in lists])


def _quality(lists: IntArray, wanted: Sequence[IntArray]) -> tuple[Values, Values]:
    hits = np.array([np.isin(row, right) for row, right in zip(lists, wanted, strict=True)], np.bool_)
    relevant = np.array([right.size for right in wanted])
    return ndcg(hits, relevant), recall(hits, relevant)


def _covered(exam: Exam, lists: IntArray) -> float:
    """The share of the new items that stand in any of the lists."""
    met = np.unique(lists[lists >= 0])
    return float(exam.new[met].sum() / exam.new.sum())


def _row(name: str, quality: Values, found: Values, ours: Values | None) -> Row:
    row = {"name": name, **_interval(f"ndcg@{K}", quality), f"recall@{K}": float(found.mean()), "n": quality.size}
    return row if ours is None else row | _interval("behind", ours - quality)


def _interval(name: str, values: Values) -> Row:
    mean, low, high = bootstrap(values)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def read(events: Path, mapping: Mapping[str, str], catalogue: Path | None, progress: Report) -> tuple[Log, list[Item]]:
    """The log, and what is known of its items: of the catalogue's content, or of columns of the log itself."""
    of_events = {name: column for name, column in mapping.items() if name in FIELDS}
    log, items = read_log(events, of_events, lambda share, _: progress("read", share, 1))
    if catalogue is not None:
        store = MemoryStore(("id",))
        import_items(store, [catalogue], kind=Kind.CONTENT)
        return log, [item for item in store.items.changes(0)[1] if item.kind is Kind.CONTENT]
    of_items = {"item": mapping.get("item", "item")}
    of_items |= {name: column for name, column in mapping.items() if name not in FIELDS}
    here = set(items.ids)
    return log, [item for item in described(events, of_items) if item.id in here]


def run(
    events: Path,
    mapping: Mapping[str, str],
    *,
    catalogue: Path | None,
    days: float,
    share: float,
    settings: Training,
    progress: Report = lambda *_: None,
    fit: Callable[[Subject, Training], KindModel] = fit_kind,
) -> dict[str, JsonValue]:
    """The benchmark as one JSON document. progress: called with (stage, done, of how many)."""
    started = time.perf_counter()
    log, entries = read(events, mapping, catalogue, progress)
    exam = exam_of(log, entries, days=days, share=share, seed=settings.seed)
    progress("fit", 0, None)
    model = fit(exam.earlier, chosen(exam.earlier, settings, progress))
    among: list[JsonValue] = [*among_new(exam, model, settings.seed)]
    pages_: list[JsonValue] = [*whole(exam, model)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "task": "new-items",
        "new_items": int(exam.new.sum()),
        "known_items": exam.items.known,
        "results": among,
        "whole": pages_,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_mb": round(peak, 1),
    }
