"""How good is a way to rank? Each held-back use is asked for as serving would have been asked, before it is known."""

from collections.abc import Callable, Iterator

import numpy as np
from pydantic import JsonValue

from recommender.history import Context, Query, history_of
from recommender.metrics import bootstrap, hit, pessimistic_rank, reciprocal_rank
from recommender.model import KindModel
from recommender.types import BoolArray, FloatArray, IntArray
from training.fit.kind import Subject
from training.questions import step

Ranking = Callable[[Query], FloatArray]
"""Scores of all items for one question: shape (n,), higher is better, -inf for an item it cannot rank."""

Row = dict[str, JsonValue]

Report = Callable[[str, float, float | None], None]
"""Called with a stage, how much of it is done, and of how much."""

QUESTIONS = 5_000
"""At most so many held-back uses are asked for; the interval of the mean reciprocal rank is then below .01."""

DEPTHS = (1, 3, 5)

CLUSTERS = 30
"""With fewer customers than this, an interval is over blocks of time."""

BLOCK = 100
"""Questions in a row that make a block of time; fewer where that would make fewer than CLUSTERS blocks."""


def model_ranking(model: KindModel) -> Ranking:
    """The way an answer is computed when serving."""

    def rank(query: Query) -> FloatArray:
        return model.ranker.blend(query, [source.score([query])[0] for source in model.sources])

    return rank


def most_used(query: Query) -> FloatArray:
    """The customer's own items by how often they were used."""
    size = query.items.codes.size
    count = np.bincount(query.history.item, minlength=size).astype(np.float32)
    np.add.at(count, query.history.older_item, query.history.older_count)
    return np.where(count > 0, count, -np.inf).astype(np.float32)


def most_recent(query: Query) -> FloatArray:
    """The customer's own items, the last used first."""
    last = np.full(query.items.codes.size, -np.inf, np.float32)
    last[query.history.item] = np.arange(query.history.item.size)
    return last


def popularity(subject: Subject) -> Ranking:
    """All items by how often anybody used them."""
    position = subject.items.positions(subject.log.events["item"][subject.uses])
    count = np.bincount(position, minlength=subject.items.codes.size).astype(np.float32)
    score = np.where(count > 0, count, -np.inf).astype(np.float32)
    return lambda _: score


def judge(subject: Subject, held: BoolArray, rankings: dict[str, Ranking], seed: int) -> list[Row]:
    """One row for each way to rank, on the same questions, with the 95 % interval of its mean reciprocal rank.

    Without a clock the question is what else a customer would use: what they used is neither asked for nor
    ranked, unless the log holds nothing else to ask for.
    """
    asked, else_ = np.flatnonzero(held), not subject.clocked
    if else_:
        new = asked[~_known_pairs(subject, held, asked)]
        asked, else_ = (new, True) if new.size else (asked, False)
    if asked.size > QUESTIONS:
        asked = np.sort(np.random.default_rng(seed).choice(asked, QUESTIONS, replace=False))
    ranks: dict[str, list[int]] = {name: [] for name in rankings}
    for query, wanted in questions(subject, held, asked):
        for name, ranking in rankings.items():
            score = ranking(query)
            if else_:
                score = score.copy()
                score[query.history.item] = -np.inf
            ranks[name].append(pessimistic_rank(score, wanted) if np.isfinite(score[wanted]) else 0)
    who = subject.log.who[asked]
    return [row_of(name, np.array(found, np.int64), who) for name, found in ranks.items()]


def before(subject: Subject, held: BoolArray) -> Subject:
    """What may be fitted on: all that was there before the first event held back; without a clock, all the others."""
    time = subject.log.events["time"]
    if not held.any() or not subject.clocked:
        return subject.earlier(~held)
    return subject.earlier(time < time[held].min())


def _known_pairs(subject: Subject, held: BoolArray, asked: IntArray) -> BoolArray:
    """Shape of `asked`: whether the customer of each event also used its item in what is not held back."""
    position = subject.items.positions(subject.log.events["item"])
    pair = subject.log.who * (subject.items.codes.size + 1) + position
    return np.isin(pair[asked], pair[subject.uses & ~held])


def questions(subject: Subject, held: BoolArray, asked: IntArray) -> Iterator[tuple[Query, int]]:
    """What serving would have been asked before each event of `asked`, and the position of the right answer.

    With a clock everything earlier is known, held back or not; without one, all that is not held back.
    """
    log, items = subject.log, subject.items
    customers = np.searchsorted(log.starts, asked, "right") - 1
    kept = None if subject.clocked else log.select(~held)
    for customer, at in zip(customers.tolist(), asked.tolist(), strict=True):
        wanted = int(items.positions(log.events["item"][at : at + 1])[0])
        if kept is None:
            yield step(log, items, customer, at - int(log.starts[customer])), wanted
        else:
            context = Context(int(log.events["time"][at]), int(log.events["zone"][at]))
            yield Query(items, history_of(kept.profile(customer), items), context), wanted


def row_of(name: str, ranks: IntArray, who: IntArray) -> Row:
    """What one way to rank reached; ranks, who: shape (n,), of the questions in order, who: their customers, ascending.

    The interval is over customers, or over blocks of time where they are few.
    """
    mean, low, high = bootstrap(reciprocal_rank(ranks), _clusters(who))
    hits = {f"hit@{k}": float(hit(ranks, k).mean()) if ranks.size else float("nan") for k in DEPTHS}
    return {"name": name, **hits, "mrr": mean, "mrr_low": low, "mrr_high": high, "n": ranks.size}


def _clusters(who: IntArray) -> IntArray:
    """Shape (n,): what is drawn together in a bootstrap."""
    _, first, customer = np.unique(who, return_index=True, return_inverse=True)
    if first.size >= CLUSTERS:
        return customer
    block = (np.arange(who.size) - first[customer]) // max(min(BLOCK, who.size // CLUSTERS), 1)
    return np.unique(customer * who.size + block, return_inverse=True)[1]
