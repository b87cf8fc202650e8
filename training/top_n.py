"""What else would this customer want: the top-n benchmark, in the protocol of the LightGCN papers.

All items are ranked for every customer of the test file, except those that
the customer has in the training file. Recall is hits over all test items;
NDCG's best list has min(k, test items) hits. "Most used" and "most recent"
rank only what a customer already used; all of that is masked here, so their
lists are empty: the figures say that they have nothing to add.
He et al., "LightGCN", SIGIR 2020.
"""

import gzip
import resource
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import JsonValue
from scipy import sparse

from recommender.errors import UsageError
from recommender.history import Items
from recommender.metrics import Values, bootstrap, coverage, gini, ndcg, novelty, recall
from recommender.model import column_names
from recommender.ranker import Ranker
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.sources.usage import Matrix
from recommender.top import best
from recommender.types import EVENT, USE, BoolArray, FloatArray, IntArray
from training.dataset import Log, items_of, log_of
from training.evaluation import Report, Row
from training.fit.content import INVERTED, closing_question, fit_content
from training.fit.ease import fit_ease, penalty_in
from training.fit.factors import FactorSettings, fit_factors
from training.fit.graph import GraphSettings, fit_graph
from training.fit.matrix import total
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.popularity import fit_popularity
from training.fit.rivals import NEIGHBOURS, fit_rival_als, fit_rival_neighbours

Rank = Callable[[IntArray], Sequence[FloatArray] | FloatArray]
"""Scores of all items, (items,), for each of some customers: higher is better, -inf for never."""

BLOCK = 64

ROWS = 12
"""With EASE among them, else one less."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Who used what, and what they used next. train, test: customers x items, 1 where used."""

    log: Log
    items: Items
    train: Matrix
    test: Matrix
    k: int


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """The (customer, item) pairs of a file: `customer item item ...` lines, or CSV `customer,item`; gzip too."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if "," not in line:
                customer, *items = line.split() or [""]
                yield from ((customer, item) for item in items)
                continue
            cells = [cell.strip() for cell in line.split(",")]
            if len(cells) != 2 or not all(cells):
                raise UsageError(f"{path}, line {number}: wanted `customer,item`, found {len(cells)} cells.")
            if number > 1 or cells[0].casefold() not in ("user", "customer"):
                yield cells[0], cells[1]


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        return list(read_pairs(path))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {why}.") from error


def read_task(train: Path, test: Path, k: int) -> Task:
    """Both files, as the matrices to judge by and the log to train on."""
    pairs, asked = _pairs(train), _pairs(test)
    if not pairs or not asked:
        raise UsageError(f"{train if not pairs else test} holds no customer with an item.")
    items = items_of(sorted({item for _, item in pairs} | {item for _, item in asked}))
    place = {id_: position for position, id_ in enumerate(items.ids)}
    row = {customer: at for at, customer in enumerate(dict.fromkeys(c for c, _ in (*pairs, *asked)))}
    shape = (len(row), len(place))

    def matrix(pairs: Sequence[tuple[str, str]]) -> Matrix:
        at = np.array([row[customer] for customer, _ in pairs]), np.array([place[item] for _, item in pairs])
        found = sparse.csr_array((np.ones(len(pairs), np.float32), at), shape=shape)
        found.sum_duplicates()
        found.data[:] = 1
        return found

    return Task(_log(matrix(pairs), items), items, matrix(pairs), matrix(asked), k)


def _log(train: Matrix, items: Items) -> Log:
    """The pairs as uses without a clock: all at one instant."""
    events = np.zeros(train.nnz, EVENT)
    events["item"], events["type"] = items.codes[train.indices], USE
    events["key"] = np.arange(1, train.nnz + 1)
    return log_of(np.repeat(np.arange(train.shape[0]), np.diff(train.indptr)), events, train.shape[0])


def top_lists(task: Task, rank: Rank, customers: IntArray) -> IntArray:
    """Shape (b, k): the best items that each customer does not have yet, best first; -1 where there are none."""
    lists = np.full((customers.size, task.k), -1)
    for start in range(0, customers.size, BLOCK):
        block = customers[start : start + BLOCK]
        for row, score in enumerate(rank(block), start):
            seen = slice(*task.train.indptr[customers[row] : customers[row] + 2])
            score[task.train.indices[seen]] = -np.inf
            found = best(score, task.k)
            lists[row, : found.size] = found
    return lists


def asked(task: Task) -> IntArray:
    """The customers who have test items, ascending."""
    return np.flatnonzero(np.diff(task.test.indptr) > 0)


def judge(task: Task, name: str, lists: IntArray, champion: IntArray | None = None) -> Row:
    """One row of the table: means over the `asked` customers, with 95 % bootstrap intervals.

    lists: shape (n, k), what each of them was shown. champion: the same of another way to rank; the row then says
    by how much that one's recall is ahead, customer by customer.
    """
    found = _recall(task, lists)
    hits, relevant = _hits(task, lists)
    behind = {} if champion is None else _summary("behind", _recall(task, champion) - found)
    return {
        "name": name,
        **_summary(f"recall@{task.k}", found),
        **_summary(f"ndcg@{task.k}", ndcg(hits, relevant)),
        **behind,
        "coverage": coverage(lists, task.items.codes.size),
        "novelty": _or_none(novelty(lists, total(task.train, 0).astype(np.int64), task.train.shape[0])),
        "gini": _or_none(gini(lists, task.items.codes.size)),
        "n": found.size,
    }


def _recall(task: Task, lists: IntArray) -> Values:
    return recall(*_hits(task, lists))


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _summary(name: str, values: Values) -> Row:
    mean, low, high = bootstrap(values)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _hits(task: Task, lists: IntArray) -> tuple[BoolArray, IntArray]:
    """Which of the shown items were wanted, shape (n, k), and how many were wanted in all, shape (n,)."""
    test = task.test[asked(task)]
    found = np.zeros(lists.shape, np.bool_)
    for start in range(0, lists.shape[0], BLOCK):
        part = slice(start, start + BLOCK)
        wanted = np.pad(test[part].toarray() > 0, ((0, 0), (0, 1)))  # the last column is for -1, no item
        found[part] = np.take_along_axis(wanted, lists[part], 1)
    return found, np.diff(test.indptr).astype(np.int64)


def ranking_of(task: Task, sources: Sequence[Source], ranker: Ranker) -> Rank:
    """What these sources, blended, would answer; the way an answer is computed when serving."""

    def rank(customers: IntArray) -> Sequence[FloatArray]:
        queries = [closing_question(task.log, task.items, customer) for customer in customers.tolist()]
        answers = [source.score(queries) for source in sources]
        parts = zip(queries, *answers, strict=True)
        return [ranker.blend(query, scores) for query, *scores in parts]

    return rank


def alone(source: Source) -> Ranker:
    """The ranker that listens to one source only, to its first column."""
    columns = column_names([source])
    return Ranker(columns, np.eye(1, len(columns), dtype=np.float32))


def run(train: Path, test: Path, k: int, settings: Training, progress: Report = lambda *_: None) -> Row:
    """The benchmark as one JSON document. progress: called with (stage, done, of how many)."""
    started = time.perf_counter()
    task = read_task(train, test, k)
    results: list[JsonValue] = []
    for row in rows(task, settings):
        results.append(row)
        progress("rows", len(results), ROWS - (task.items.codes.size > INVERTED))
    seconds = time.perf_counter() - started
    return {"task": "top-n", "results": results, "seconds": round(seconds, 2), "peak_rss_mb": _peak()}


def rows(task: Task, settings: Training) -> Iterator[Row]:
    """The table, a row at a time: what the product does, what needs no model, its parts, and implicit as it comes."""
    customers = asked(task)
    (sources, ranker), fit_seconds = _timed(lambda: fit_content(task.log, task.items, settings))
    champion, seconds = _timed(lambda: top_lists(task, ranking_of(task, sources, ranker), customers))
    yield judge(task, "murmeli", champion) | _spent(fit_seconds, seconds)
    for name in ("most-used", "most-recent"):
        yield judge(task, name, np.full_like(champion, -1), champion) | _spent(0, 0)
    for name, fit in (_parts(task, settings, penalty_in(sources)) | _rivals(task, settings)).items():
        rank, fit_seconds = _timed(fit)
        lists, seconds = _timed(partial(top_lists, task, rank, customers))
        yield judge(task, name, lists, champion) | _spent(fit_seconds, seconds)


def _spent(fit_seconds: float, rank_seconds: float) -> Row:
    """What a row took; the peak is that of the run so far."""
    return {"fit_seconds": round(fit_seconds, 2), "rank_seconds": round(rank_seconds, 2), "peak_rss_mb": _peak()}


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _parts(task: Task, settings: Training, penalty: float) -> dict[str, Callable[[], Rank]]:
    threads = settings.threads
    fits: dict[str, Callable[[], Source]] = {
        "popularity": lambda: fit_popularity(task.log, task.items),
        "neighbours": lambda: fit_neighbours(task.train, NeighbourSettings.of(settings), threads),
        "factors": lambda: fit_factors(task.train, FactorSettings.of(settings, task.train), threads=threads),
        "graph": lambda: fit_graph(task.train, GraphSettings.of(settings), threads),
    }
    if penalty:
        fits["ease"] = lambda: fit_ease(task.train, penalty)
    return {name: partial(_alone, task, fit) for name, fit in fits.items()}


def _alone(task: Task, fit: Callable[[], Source]) -> Rank:
    source = fit()
    return ranking_of(task, [source], alone(source))


def _rivals(task: Task, settings: Training) -> dict[str, Callable[[], Rank]]:
    rivals: dict[str, Callable[[], Rank]] = {
        name: partial(fit_rival_neighbours, name, task.train, settings.threads) for name in NEIGHBOURS
    }
    rivals["implicit-als"] = lambda: fit_rival_als(
        task.train, FactorSettings.of(settings, task.train), settings.threads
    )
    return rivals


def _timed(fit: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return fit(), time.perf_counter() - started
