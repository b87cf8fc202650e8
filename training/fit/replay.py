"""Replays a log for the ranker to learn from: what every source said to each question, and what came then.

Of all items those compete that any column would put near the top, and a few others that stand for the rest, so
that the probabilities hold for all items; each question costs one call of the same `score` that serves.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recommender.history import Items
from recommender.ranker import AT_ONCE, laid, situation
from recommender.sources.base import Scores, Source
from recommender.types import BoolArray, FloatArray, IntArray, is_use
from training.ahead import side_by_side
from training.dataset import Log
from training.questions import Asked, step

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Contest:
    """Who competes with what came next. near: the best items of each column; rest: items drawn to stand for all others;
    questions: at most so many steps are replayed.
    """

    near: int
    rest: int
    questions: int


MANY = 2_000
"""Items from which on a few rivals no longer hold most of the probability: more compete, in fewer questions."""

FEW_ITEMS = Contest(near=8, rest=20, questions=12_000)
MANY_ITEMS = Contest(near=24, rest=60, questions=5_000)


LEAST, TINY = 0.3, 1e-3
"""A column that hardly varies is measured by this share of its mean, or by so much."""


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Questions asked of the log, and what was the answer.

    values: shape (total, columns), of the items that compete, question by question; starts: (questions + 1,).
    stands_for: (total,), the logarithm of how many items each speaks for.
    met: (total,), whether a source singles the item out. item: (total,), its row in the layer's table of items.
    last: (questions,), the row of the item used last. tabled: how many items have a row; the next is all others'.
    right: (total,), which ones are right answers; each question has one or more. rows: (questions, r): see `situation`.
    """

    values: FloatArray
    stands_for: FloatArray
    met: BoolArray
    item: IntArray
    last: IntArray
    tabled: int
    starts: IntArray
    right: BoolArray
    rows: IntArray

    @property
    def questions(self) -> int:
        """How many there are."""
        return self.starts.size - 1

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """Shape (columns,): the unit that a column's weight is learned in, its standard deviation."""
        from training.fit.loops import spread

        mean, deviation = spread(self.values)
        return np.maximum(np.maximum(deviation, LEAST * np.abs(mean)), TINY)

    def some(self, chosen: IntArray) -> "Replay":
        """Some of the questions, in this order."""
        size = self.starts[chosen + 1] - self.starts[chosen]
        starts = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], size)
        return Replay(
            self.values[at],
            self.stands_for[at],
            self.met[at],
            self.item[at],
            self.last[chosen],
            self.tabled,
            starts,
            self.right[at],
            self.rows[chosen],
        )


def joined(replays: Sequence[Replay]) -> Replay:
    """The questions of several about the same items, one after the other."""
    shift = np.cumsum([0, *(replay.values.shape[0] for replay in replays)])
    starts = (replay.starts[:-1] + before for replay, before in zip(replays, shift, strict=False))
    return Replay(
        np.concatenate([replay.values for replay in replays]),
        np.concatenate([replay.stands_for for replay in replays]),
        np.concatenate([replay.met for replay in replays]),
        np.concatenate([replay.item for replay in replays]),
        np.concatenate([replay.last for replay in replays]),
        replays[0].tabled,
        np.concatenate([*starts, shift[-1:]]),
        np.concatenate([replay.right for replay in replays]),
        np.concatenate([replay.rows for replay in replays]),
    )


def contest_of(items: Items) -> Contest:
    """What a catalogue of this size asks for."""
    return MANY_ITEMS if items.codes.size > MANY else FEW_ITEMS


def sample(
    log: Log, items: Items, since: npt.ArrayLike, until: npt.ArrayLike, limit: int, rng: np.random.Generator
) -> IntArray:
    """Which events are asked about, ascending: uses of known items, at random where they are too many.

    since, until: shape (customers,), the first event of each customer that is asked about, and the first after them.
    """
    known = (items.positions(log.events["item"]) >= 0) & is_use(log.events["type"])
    first, end = (np.broadcast_to(bound, log.customers)[log.who] for bound in (since, until))
    chosen = np.flatnonzero(known & (log.place >= first) & (log.place < end))
    return np.sort(rng.choice(chosen, limit, replace=False)) if chosen.size > limit else chosen


def steps(log: Log, items: Items, events: IntArray) -> Iterator[Asked]:
    """The question just before each of these events, ascending; its item is the one right answer."""
    customers = np.searchsorted(log.starts, events, "right") - 1
    wanted = items.positions(log.events["item"][events])[:, None]
    for customer, at, target in zip(customers.tolist(), events.tolist(), wanted, strict=True):
        yield Asked(customer, step(log, items, customer, at - int(log.starts[customer])), target)


def replay_log(items: Items, sources: Sequence[Source], asked: Iterable[Asked], rng: np.random.Generator) -> Replay:
    """What the sources say to each question."""
    width = sum(len(source.columns) for source in sources)
    values, stands_for, met = [np.zeros((0, width), np.float32)], [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    item, last, right, rows = [np.zeros(0, np.int64)], [], [np.zeros(0, np.bool_)], []
    tabled = items.known if items.known <= MANY else 0
    contest = contest_of(items)

    def play(question: tuple[Asked, IntArray]) -> tuple[FloatArray, BoolArray, FloatArray, IntArray, BoolArray]:
        """Of the items that compete: what is said, whether any is singled out, what they stand for, which are right."""
        one, drawn = question
        scores = [source.score([one.query])[0] for source in sources]
        rivals = _rivals(scores, one.wanted, items, contest.near)
        rest = drawn[~_among(rivals, items)[drawn]]
        both = np.concatenate([rivals, rest])
        alone = np.repeat([0, np.log(items.codes.size / contest.rest)], [rivals.size, rest.size]).astype(np.float32)
        return *laid(scores, both), alone, both, _among(one.wanted, items)[both]

    def questions() -> Iterator[tuple[Asked, IntArray]]:
        """In the order of the log, which is that in which others are drawn."""
        for one in asked:
            used = one.query.history.item
            last.append(min(int(used[-1]), tabled) if used.size else tabled)
            rows.append(situation(one.query))
            yield one, rng.integers(0, items.codes.size, contest.rest)

    for matrix, singled_out, speaks_for, both, won in side_by_side(play, questions()):
        values.append(matrix)
        met.append(singled_out)
        stands_for.append(speaks_for)
        item.append(np.minimum(both, tabled))
        right.append(won)
    return Replay(
        np.concatenate(values),
        np.concatenate(stands_for),
        np.concatenate(met),
        np.concatenate(item),
        np.array(last, np.int64),
        tabled,
        np.cumsum([part.size for part in stands_for], dtype=np.int64),
        np.concatenate(right),
        np.array(rows, np.int64).reshape(len(rows), AT_ONCE),
    )


def surprise(
    score: npt.NDArray[AnyFloat], first: IntArray, right: BoolArray
) -> tuple[npt.NDArray[AnyFloat], npt.NDArray[AnyFloat]]:
    """What each row's probability has too much, and of each question minus the log of what its right answers have.

    That is how probable it is that the first item drawn is a right one, whichever: on a page of many right answers
    those that can be known weigh, and those that nobody could know do not. first: where each question begins.
    """
    odds, total, peak = _softmax(score, first)
    won, among, top = _softmax(np.where(right, score, -np.inf).astype(score.dtype), first)
    return odds - won, np.log(total) + peak - np.log(among) - top


def _softmax(
    score: npt.NDArray[AnyFloat], first: IntArray
) -> tuple[npt.NDArray[AnyFloat], npt.NDArray[AnyFloat], npt.NDArray[AnyFloat]]:
    """Each row's probability within its question; of each question the sum of exp(score - peak), and the peak."""
    size = np.diff(first, append=score.size)
    peak = np.maximum.reduceat(score, first)
    odds = np.exp(score - np.repeat(peak, size))
    total = np.add.reduceat(odds, first)
    odds /= np.repeat(total, size)
    return odds, total, peak


def _rivals(scores: Sequence[Scores], wanted: IntArray, items: Items, near: int) -> IntArray:
    """The best items of every column and those that came, ascending."""
    from training.fit.loops import mark_best

    met = _among(wanted, items)
    for part in scores:
        mark_best(part.values, np.arange(part.values.shape[1]) if part.at is None else part.at, near, met)
    return np.flatnonzero(met)


def _among(positions: IntArray, items: Items) -> BoolArray:
    """Shape (items,): which ones are among these."""
    met = np.zeros(items.codes.size, np.bool_)
    met[positions] = True
    return met
