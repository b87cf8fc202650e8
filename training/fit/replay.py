"""Replays a log for the ranker to learn from: before each use that is asked about, what every source said.

Of all items those compete that any column would put near the top, and a few others that stand for the rest, so
that the probabilities hold for all items; each question costs one call of the same `score` that serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.history import Items
from recommender.layer import singled_out
from recommender.ranker import situation, values_at
from recommender.sources.base import Scores, Source
from recommender.types import BoolArray, FloatArray, IntArray, is_use
from training.dataset import Log
from training.questions import step


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


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Questions asked of the log, and what was the answer.

    values: shape (total, columns), of the items that compete, question by question; starts: (questions + 1,).
    stands_for: (total,), the logarithm of how many items each speaks for.
    met: (total,), whether a source singles the item out.
    truth: (questions,), which row of `values` is the item that came next. rows: (questions, r): see `situation`.
    """

    values: FloatArray
    stands_for: FloatArray
    met: BoolArray
    starts: IntArray
    truth: IntArray
    rows: IntArray

    def some(self, chosen: IntArray) -> "Replay":
        """Some of the questions, in this order."""
        size = self.starts[chosen + 1] - self.starts[chosen]
        starts = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], size)
        truth = self.truth[chosen] - self.starts[chosen] + starts[:-1]
        return Replay(self.values[at], self.stands_for[at], self.met[at], starts, truth, self.rows[chosen])


def contest_of(items: Items) -> Contest:
    """What a catalogue of this size asks for."""
    return MANY_ITEMS if items.codes.size > MANY else FEW_ITEMS


def sample(log: Log, items: Items, since: IntArray | None, limit: int, rng: np.random.Generator) -> IntArray:
    """Which events are asked about, ascending: uses of known items, at random where they are too many."""
    first = np.zeros(log.customers, np.int64) if since is None else since
    known = items.positions(log.events["item"]) >= 0
    chosen = np.flatnonzero(known & is_use(log.events["type"]) & (log.place >= first[log.who]))
    return np.sort(rng.choice(chosen, limit, replace=False)) if chosen.size > limit else chosen


def replay_log(
    log: Log, items: Items, sources: Sequence[Source], asked: IntArray, situations: bool, rng: np.random.Generator
) -> Replay:
    """What the sources say before each of the events asked about."""
    width = sum(len(source.columns) for source in sources)
    values, stands_for, met = [np.zeros((0, width), np.float32)], [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    truth, rows = [], []
    customers = np.searchsorted(log.starts, asked, "right") - 1
    targets = items.positions(log.events["item"][asked])
    contest = contest_of(items)
    for customer, at, target in zip(customers.tolist(), asked.tolist(), targets.tolist(), strict=True):
        query = step(log, items, customer, at - int(log.starts[customer]))
        scores = [source.score([query])[0] for source in sources]
        rivals = _rivals(scores, target, contest.near)
        rest = rng.integers(0, items.codes.size, contest.rest)
        rest = rest[~np.isin(rest, rivals)]
        both = np.concatenate([rivals, rest])
        values.append(np.concatenate([values_at(part, both) for part in scores]).T)
        stands_for.append(
            np.repeat([0, np.log(items.codes.size / contest.rest)], [rivals.size, rest.size]).astype(np.float32)
        )
        met.append(np.isin(both, singled_out(scores, items.codes.size)))
        truth.append(int(np.searchsorted(rivals, target)))
        rows.append(situation(query) if situations else np.zeros(1, np.int64))
    starts = np.cumsum([part.size for part in stands_for], dtype=np.int64)
    return Replay(
        np.concatenate(values),
        np.concatenate(stands_for),
        np.concatenate(met),
        starts,
        starts[:-1] + np.array(truth, np.int64),
        np.array(rows, np.int64).reshape(len(rows), len(rows[0]) if rows else 0),
    )


def _rivals(scores: Sequence[Scores], target: int, near: int) -> IntArray:
    """The best items of every column and the one that came, ascending."""
    parts = [np.array([target])]
    for part in scores:
        size = part.values.shape[1]
        best = np.arange(size)
        if size > near:
            best = np.unique(np.argpartition(part.values, size - near, axis=1)[:, size - near :])
        parts.append(best if part.at is None else part.at[best])
    return np.unique(np.concatenate(parts))
