"""Learns the ranker's weights by replaying the log: at each step, how probable was what came next?

The loss is the softmax's, over the items that any column would put near the
top and a few others that stand for the rest, so that the probabilities hold
for all items; each question costs one call of the same `score` that serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.history import Items
from recommender.model import column_names
from recommender.ranker import ROWS, Ranker, situation, values_at
from recommender.sources.base import Scores, Source
from recommender.types import FloatArray, IntArray, is_use
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

PRIOR = 100.0
"""How many questions' worth of evidence a row's deviation from the shared weights must overcome."""

SHARED_PRIOR = 10.0
"""How many questions' worth of evidence any weight at all must bring."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Questions asked of the log, and what was the answer.

    values: shape (total, columns), of the items that compete, question by question; starts: (questions + 1,).
    stands_for: (total,), the logarithm of how many items each speaks for. truth: (questions,), which row of `values`
    is the item that came next. rows: (questions, r): see `situation`.
    """

    values: FloatArray
    stands_for: FloatArray
    starts: IntArray
    truth: IntArray
    rows: IntArray


def contest_of(items: Items) -> Contest:
    """What a catalogue of this size asks for."""
    return MANY_ITEMS if items.codes.size > MANY else FEW_ITEMS


def fit_ranker(
    log: Log,
    items: Items,
    sources: Sequence[Source],
    *,
    seed: int,
    since: IntArray | None = None,
    limit: int | None = None,
    situations: bool = True,
) -> Ranker:
    """The weights under which what came next was most probable.

    since: shape (customers,), the first event of each customer that is asked about; the sources should have been
    fitted on what came before. limit: at most so many questions, else
    the contest's. situations: whether the weights may differ between situations.
    """
    columns = column_names(sources)
    rng = np.random.default_rng(seed)
    contest = contest_of(items)
    asked = _sample(log, items, since, limit or contest.questions, rng)
    replay = _replay(log, items, sources, asked, situations, rng)
    return Ranker(columns, _learn(replay, len(columns), ROWS if situations else 1))


def _sample(log: Log, items: Items, since: IntArray | None, limit: int, rng: np.random.Generator) -> IntArray:
    """Which events are asked about, ascending: uses of known items, at random where they are too many."""
    where = np.arange(log.events.size) - np.repeat(log.starts[:-1], np.diff(log.starts))
    first = np.zeros(log.customers, np.int64) if since is None else since
    known = items.positions(log.events["item"]) >= 0
    chosen = np.flatnonzero(known & is_use(log.events["type"]) & (where >= first[log.who]))
    return np.sort(rng.choice(chosen, limit, replace=False)) if chosen.size > limit else chosen


def _replay(
    log: Log, items: Items, sources: Sequence[Source], asked: IntArray, situations: bool, rng: np.random.Generator
) -> Replay:
    width = sum(len(source.columns) for source in sources)
    values, stands_for, truth, rows = [np.zeros((0, width), np.float32)], [np.zeros(0, np.float32)], [], []
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
        truth.append(int(np.searchsorted(rivals, target)))
        rows.append(situation(query) if situations else np.zeros(1, np.int64))
    starts = np.cumsum([part.size for part in stands_for], dtype=np.int64)
    return Replay(
        np.concatenate(values),
        np.concatenate(stands_for),
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


def _learn(replay: Replay, columns: int, rows: int) -> FloatArray:
    """Shape (rows, columns): the weights that maximise the likelihood, drawn towards 0 where evidence is thin."""
    if replay.truth.size == 0:
        shared = np.zeros((rows, columns), np.float32)
        shared[0] = 1 / max(columns, 1)
        return shared
    scale = np.maximum(replay.values.std(axis=0, dtype=np.float64), 1e-3)
    order = np.lexsort(replay.rows.T)
    blocks = _blocks(replay, order, (1 / scale).astype(np.float32))
    strength = np.full((rows, 1), PRIOR)
    strength[0] = SHARED_PRIOR

    def loss(flat: Vector) -> tuple[float, Vector]:
        weights = flat.reshape(rows, columns)
        value, gradient = 0.5 * float((strength * weights**2).sum()), strength * weights
        for block in blocks:
            part, slope = block.loss(weights[block.rows].sum(axis=0))
            value += part
            gradient[block.rows] += slope
        return value / replay.truth.size, gradient.ravel() / replay.truth.size

    found = minimize(loss, np.zeros(rows * columns), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights: FloatArray = (found.x.reshape(rows, columns) / scale).astype(np.float32)
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The questions of one situation; starts and truth count from the block's first item."""

    rows: IntArray
    values: FloatArray
    stands_for: FloatArray
    starts: IntArray
    truth: IntArray

    def loss(self, weight: Vector) -> tuple[float, Vector]:
        """Minus the log-likelihood of the block, and its slope; shape (columns,)."""
        score = (self.values @ weight.astype(np.float32) + self.stands_for).astype(np.float64)
        size = np.diff(self.starts, append=score.size)
        score -= np.repeat(np.maximum.reduceat(score, self.starts), size)
        odds = np.exp(score)
        total = np.add.reduceat(odds, self.starts)
        excess = odds / np.repeat(total, size)
        excess[self.truth] -= 1
        slope = (excess.astype(np.float32) @ self.values).astype(np.float64)
        return float((np.log(total) - score[self.truth]).sum()), slope


def _blocks(replay: Replay, order: IntArray, scale: FloatArray) -> list[_Block]:
    """The questions by situation; order: the questions, those of one situation together."""
    rows = replay.rows[order]
    new = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]))
    blocks = []
    for chosen in np.split(order, new[1:]):
        size = replay.starts[chosen + 1] - replay.starts[chosen]
        starts = np.cumsum(size) - size
        inside = np.arange(size.sum()) + np.repeat(replay.starts[chosen] - starts, size)
        truth = replay.truth[chosen] - replay.starts[chosen] + starts
        values = replay.values[inside] * scale
        blocks.append(_Block(replay.rows[chosen[0]], values, replay.stands_for[inside], starts, truth))
    return blocks
