"""Learns the ranker by replaying the log: at each step, how probable was what came next?

The loss is the softmax's. Weights by situation always learn something; where there is enough to learn from, a hidden
layer that promises more of what it did not see takes their place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.history import Items
from recommender.model import column_names
from recommender.ranker import ROWS, Ranker
from recommender.sources.base import Source
from recommender.types import BoolArray, FloatArray, IntArray
from training.dataset import Log
from training.fit.layer import fit_layer, losses, scored
from training.fit.replay import Replay, contest_of, joined, replay_log, sample, steps, surprise
from training.fit.sharpness import fit_sharpness

PRIOR = 100.0
"""How many questions' worth of evidence a row's deviation from the shared weights must overcome."""

SHARED_PRIOR = 10.0
"""How many questions' worth of evidence any weight at all must bring."""

PART = 0.2
"""The share of every customer's events that is asked about at once."""

PARTS = 3
"""At most so many of them."""

ENOUGH = 1_000
"""Questions below which a hidden layer would learn noise."""

HELD_OUT = 0.2
"""The share of the questions that tells whether the hidden layer is worth its place."""

SURE = 2.0
"""Standard errors by which the hidden layer must be better."""

Vector = npt.NDArray[np.float64]

Fit = Callable[[Log], tuple[Source, ...]]


def fit_ranker(log: Log, items: Items, fit: Fit, *, seed: int, limit: int | None = None) -> Ranker:
    """The weights under which what came next was most probable.

    fit: makes the sources out of a log. limit: at most so many questions of a part, else the contest's.
    """
    columns, replay = replay_parts(log, items, fit, limit or contest_of(items).questions, np.random.default_rng(seed))
    layered, sharpness = rehearse(replay, seed)
    weights, layer = fit_layer(replay, seed) if layered else (fit_weights(replay, ROWS), None)
    return Ranker(columns, weights, layer, sharpness)


def replay_parts(
    log: Log, items: Items, fit: Fit, limit: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], Replay]:
    """The columns, and the questions of the newest part of every customer's events, of the one before it as well where
    these are fewer than `limit`, and so on. What answers for a part was fitted on what came before it.
    """
    replays: list[Replay] = []
    columns: tuple[str, ...] = ()
    for part in range(PARTS):
        since, until = (np.ceil(np.diff(log.starts) * (1 - (part + more) * PART)) for more in (1, 0))
        asked = sample(log, items, since, until, limit, rng)
        sources = fit(log.select(log.place < since[log.who]))
        replays.append(replay_log(items, sources, steps(log, items, asked), rng))
        columns = column_names(sources)
        if asked.size == limit:
            break
    return columns, joined(replays)


def rehearse(replay: Replay, seed: int) -> tuple[bool, FloatArray | None]:
    """Whether a hidden layer promises more than weights by situation do, and how sharp scores should be.

    Both are told by questions held out: the first by more than chance would have it; where questions are few
    there is no telling, so there is neither.
    """
    size = replay.questions
    if size < ENOUGH:
        return False, None
    held, kept = np.split(np.random.default_rng(seed).permutation(size), [int(size * HELD_OUT)])
    asked, learned = replay.some(np.sort(held)), replay.some(np.sort(kept))
    plain, layered = scored(asked, fit_weights(learned, ROWS)), scored(asked, *fit_layer(learned, seed))
    gain = losses(asked, plain) - losses(asked, layered)
    pays = bool(gain.mean() > SURE * gain.std() / np.sqrt(gain.size))
    return pays, fit_sharpness(asked, layered if pays else plain)


def fit_weights(replay: Replay, rows: int) -> FloatArray:
    """Shape (rows, columns): the weights that maximise the likelihood, drawn towards 0 where evidence is thin."""
    columns = replay.values.shape[1]
    if replay.questions == 0:
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
        return value / replay.questions, gradient.ravel() / replay.questions

    found = minimize(loss, np.zeros(rows * columns), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights: FloatArray = (found.x.reshape(rows, columns) / scale).astype(np.float32)
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The questions of one situation; starts count from the block's first item."""

    rows: IntArray
    values: FloatArray
    stands_for: FloatArray
    starts: IntArray
    right: BoolArray

    def loss(self, weight: Vector) -> tuple[float, Vector]:
        """Minus the log-likelihood of the block, and its slope; shape (columns,)."""
        score = (self.values @ weight.astype(np.float32) + self.stands_for).astype(np.float64)
        excess, losses = surprise(score, self.starts, self.right)
        slope = (excess.astype(np.float32) @ self.values).astype(np.float64)
        return float(losses.sum()), slope


def _blocks(replay: Replay, order: IntArray, scale: FloatArray) -> list[_Block]:
    """The questions by situation; order: the questions, those of one situation together."""
    rows = replay.rows[order]
    new = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]))
    blocks = []
    for chosen in np.split(order, new[1:]):
        size = replay.starts[chosen + 1] - replay.starts[chosen]
        starts = np.cumsum(size) - size
        inside = np.arange(size.sum()) + np.repeat(replay.starts[chosen] - starts, size)
        values = replay.values[inside] * scale
        blocks.append(_Block(replay.rows[chosen[0]], values, replay.stands_for[inside], starts, replay.right[inside]))
    return blocks
