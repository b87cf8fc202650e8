"""What else would a visitor use whom training never saw? Some of what they used is given, and the rest is asked for.

The protocols of Breese, Heckerman & Kadie, "Empirical analysis of predictive algorithms for collaborative filtering",
1998. All but one: each item of a visitor with two or more is hidden in turn; every visitor counts the same, however
many items they have. Given one: each of them is given in turn, alone. Given two: ten times, two items of a visitor
with three or more are drawn and the rest is asked; every two: the same with all their pairs, what ten draws come to
without their luck. The rank score of these three is the paper's, over all lists. Given items are not ranked. Visitors
are told apart by part and id, for a log may number those of each part anew.
"""

import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue
from scipy import sparse

from recommender.history import Context, Query, history_of
from recommender.metrics import Values, bootstrap, coverage, gini, hit, novelty, rank_score, reciprocal_rank
from recommender.profile import EMPTY, fold
from recommender.settings import Training
from recommender.sources.usage import Matrix
from recommender.top import best
from recommender.types import IntArray
from training.evaluation import Report, Row
from training.fit.kind import fit_kind
from training.fit.matrix import total, user_items
from training.unseen_rankings import Rank, rankings
from training.unseen_task import Task, read_task, uses_of

_NONE = np.zeros(0, np.int64)

DRAWS = 10
"""How often items are drawn from each visitor in "given two"."""

PAIRS = 300
"""Of a visitor with more pairs than that, 25 items, so many are drawn in "every two"."""

TOP = 5
"""How long the lists are whose coverage, novelty and Gini are told."""

BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """What is asked. visitor: shape (n,), ascending. given, hidden: n x items, 1 where it is one of them."""

    visitor: IntArray
    given: Matrix
    hidden: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """One ranking's. ranks: shape (n, m), the places of each case's hidden items, 0 where it has fewer or for a miss.

    lists: shape (n, TOP), the first items, -1 for none.
    """

    ranks: IntArray
    lists: IntArray


def run(
    log: Path,
    catalogue: Path | None,
    mapping: Mapping[str, str],
    *,
    part: str = "part",
    test: str = "test",
    settings: Training,
    progress: Report = lambda *_: None,
) -> Row:
    """The benchmark as one JSON document. progress: called with (stage, done, of how many)."""
    started = time.perf_counter()
    task = read_task(log, catalogue, mapping, part, test)
    results: list[JsonValue] = list(rows(task, settings, progress))
    return {
        "task": "unseen",
        "results": results,
        "visitors": {"train": task.train.log.customers, "test": task.starts.size - 1},
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def all_but_one(task: Task) -> Cases:
    """Each item of each visitor with two or more, hidden in turn."""
    size = np.diff(task.starts)
    visitor = np.repeat(np.arange(size.size), np.where(size > 1, size, 0))
    hidden = np.flatnonzero(np.repeat(size > 1, size))
    return _cases(task, visitor, hidden, np.arange(visitor.size))


def given_one(task: Task) -> Cases:
    """Each item of each visitor with two or more, given in turn; the others are hidden."""
    cases = all_but_one(task)
    return Cases(cases.visitor, cases.hidden, cases.given)


def given_two(task: Task, seed: int) -> Cases:
    """All but two of the items of each visitor with three or more, DRAWS times; visitor by visitor."""
    rng, size = np.random.default_rng(seed), np.diff(task.starts)
    visitor = np.repeat(np.flatnonzero(size > 2), DRAWS)
    drawn = [task.starts[who] + rng.permutation(size[who])[2:] for who in visitor.tolist()]
    case = np.repeat(np.arange(visitor.size), [places.size for places in drawn])
    return _cases(task, visitor, np.concatenate([_NONE, *drawn]), case)


def every_two(task: Task, seed: int) -> Cases:
    """All but two of the items of each visitor with three or more, for every two of them; visitor by visitor."""
    rng, size = np.random.default_rng(seed), np.diff(task.starts)
    visitor, hidden, case, cases = [_NONE], [_NONE], [_NONE], 0
    for who in np.flatnonzero(size > 2).tolist():
        first, second = np.triu_indices(size[who], 1)
        some = np.arange(first.size) if first.size <= PAIRS else rng.permutation(first.size)[:PAIRS]
        rest = np.ones((some.size, size[who]), np.bool_)
        rest[np.arange(some.size), first[some]] = rest[np.arange(some.size), second[some]] = False
        at, place = np.nonzero(rest)
        visitor.append(np.full(some.size, who))
        hidden.append(task.starts[who] + place)
        case.append(cases + at)
        cases += some.size
    return _cases(task, np.concatenate(visitor), np.concatenate(hidden), np.concatenate(case))


def _cases(task: Task, visitor: IntArray, hidden: IntArray, case: IntArray) -> Cases:
    """hidden: places in `uses`, case: which case each of them is hidden in."""
    shape = visitor.size, task.items.codes.size
    position = task.items.positions(task.uses["item"])
    ones = np.ones(position.size, np.float32)
    visits = sparse.csr_array((ones, position, task.starts), shape=(task.starts.size - 1, shape[1]))
    found = sparse.csr_array((np.ones(case.size, np.float32), (case, position[hidden])), shape=shape)
    given = sparse.csr_array(visits[visitor] - found)
    given.eliminate_zeros()
    return Cases(visitor, given, found)


def answer(task: Task, rank: Rank, cases: Cases) -> Answers:
    """What a ranking says to every case. Ties go to the others, and an item it cannot rank is a miss."""
    most = int(np.diff(cases.hidden.indptr).max(initial=1))
    ranks, lists = np.zeros((cases.visitor.size, most), np.int64), np.full((cases.visitor.size, TOP), -1)
    for start in range(0, cases.visitor.size, BLOCK):
        part = slice(start, start + BLOCK)
        queries = [_question(task, given) for given in _rows(cases.given[part])]
        hidden = _rows(cases.hidden[part])
        for at, (query, wanted, scores) in enumerate(zip(queries, hidden, rank(queries), strict=True), start):
            score = scores.copy()
            score[query.history.item] = -np.inf
            place = (score >= score[wanted][:, None]).sum(1)
            ranks[at, : wanted.size] = np.where(np.isfinite(score[wanted]), place, 0)
            first = best(score, TOP)
            lists[at, : first.size] = first
    return Answers(ranks, lists)


def _question(task: Task, given: IntArray) -> Query:
    """What serving would be asked by a visitor of whom these items are known."""
    profile = fold(EMPTY, uses_of(task.items.codes[given]))
    return Query(task.items, history_of(profile, task.items), Context(now=0))


def _rows(matrix: Matrix) -> list[IntArray]:
    """Which columns each row has."""
    return [part.astype(np.int64) for part in np.split(matrix.indices, matrix.indptr[1:-1])]


def rows(task: Task, settings: Training, progress: Report = lambda *_: None) -> Iterator[Row]:
    """The table, a row at a time: what the product does, what needs no model, others' models, and its own parts."""
    started = time.process_time()
    model = fit_kind(task.train, settings)
    spent = time.process_time() - started
    few = {
        "given_one": given_one(task),
        "given_two": given_two(task, settings.seed),
        "every_two": every_two(task, settings.seed),
    }
    asked = all_but_one(task), *few.values()
    champion = None
    rivals = rankings(task.train, model, settings)
    for number, (name, fit) in enumerate(rivals.items()):
        started = time.process_time()
        rank = fit()
        fitted = time.process_time()
        answers = [answer(task, rank, cases) for cases in asked]
        seconds = {"fit_seconds": fitted - started, "rank_seconds": time.process_time() - fitted}
        if champion is None:
            champion, seconds["fit_seconds"] = answers, spent
        measures = _judge(task, asked[0], answers[0], champion[0])
        for at, (protocol, cases) in enumerate(few.items(), 1):
            measures |= _judge_few(protocol, cases, answers[at], champion[at])
        yield {"name": name, **measures, **{part: round(took, 2) for part, took in seconds.items()}}
        progress("rows", number + 1, len(rivals))


def _judge(task: Task, cases: Cases, found: Answers, champion: Answers) -> Row:
    """All but one: means over visitors, with intervals; `by_case` is the mean over cases."""
    rank, count = found.ranks[:, 0], np.bincount(cases.visitor)
    weight = 1 / count[cases.visitor]
    share, ahead = _share(found, cases), _share(champion, cases) - _share(found, cases)
    measures = {"rank_score": share, "hit@1": hit(rank, 1), "hit@5": hit(rank, 5), "mrr": reciprocal_rank(rank)}
    used, size = total(user_items(task.train.log, task.items), 0), task.items.codes.size
    row: Row = {"n": cases.visitor.size, "visitors": int(np.count_nonzero(count)), "by_case": _mean(share)}
    for name, values in (measures | {"behind": ahead}).items():
        row |= _summary(name, values, cases.visitor, weight)
    spread = {"coverage": coverage(found.lists, size), "gini": gini(found.lists, size)}
    spread["novelty"] = novelty(found.lists, used.astype(np.int64), task.train.log.customers)
    return row | {name: None if np.isnan(value) else value for name, value in spread.items()}


def _judge_few(name: str, cases: Cases, found: Answers, champion: Answers) -> Row:
    """The rank score over all lists, every visitor alike, and how much further the champion's is."""
    share, weight = rank_score(found.ranks, np.diff(cases.hidden.indptr).astype(np.int64))
    share, weight = 100 * share, weight / np.bincount(cases.visitor)[cases.visitor]
    row = _summary(name, share, cases.visitor, weight)
    row |= _summary(f"{name}_behind", _share(champion, cases) - share, cases.visitor, weight)
    return row | {f"{name}_n": cases.visitor.size}


def _share(found: Answers, cases: Cases) -> Values:
    """Shape (n,): the rank score of each list, in per cent of the best list's."""
    return 100 * rank_score(found.ranks, np.diff(cases.hidden.indptr).astype(np.int64))[0]


def _mean(values: Values) -> float | None:
    return float(values.mean()) if values.size else None


def _summary(name: str, values: Values, visitor: IntArray, weight: Values) -> Row:
    found = bootstrap(values, visitor, weights=weight)
    named = zip((name, f"{name}_low", f"{name}_high"), found, strict=True)
    return {part: None if np.isnan(value) else value for part, value in named}
