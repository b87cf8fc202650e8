"""Learns the ranker by replaying the log: at each step, how probable was what came next?

The loss is the softmax's. Two members are learned: weights by situation, and weights that all situations share with a
hidden layer beside them. Both are scores that add up, so what is published is their mean, by the share that promises
most of questions that neither saw: many customers with short histories are told apart by their situations, one
customer with a long one by the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from recommender.history import Items
from recommender.layer import Layer
from recommender.model import column_names
from recommender.ranker import ROWS, Ranker
from recommender.sources.base import Source
from recommender.types import BoolArray, FloatArray, IntArray
from training.dataset import Log
from training.fit.layer import fit_layer, losses, scored
from training.fit.replay import Replay, contest_of, joined, replay_log, sample, steps, surprise
from training.fit.sharpness import fit_sharpness

PRIOR = 1_000.0
"""How many questions' worth of evidence a row's deviation from the shared weights must overcome."""

SHARED = 0.1
"""The part of it that any weight at all must bring."""

PART = 0.2
"""The share of every customer's events that is asked about at once."""

PARTS = 3
"""At most so many of them."""

ENOUGH = 1_000
"""Questions below which a hidden layer would learn noise, and nobody could tell."""

HELD_OUT = 0.2
"""The share of the questions that tells how much the hidden layer is worth."""

LEAST = 0.15
"""A member with a smaller share is left out: what it costs to learn and to serve is the same."""

Vector = npt.NDArray[np.float64]

Fit = Callable[[Log], tuple[Source, ...]]


def fit_ranker(log: Log, items: Items, fit: Fit, *, seed: int, limit: int | None = None) -> Ranker:
    """The weights under which what came next was most probable.

    fit: makes the sources out of a log. limit: at most so many questions of a part, else the contest's.
    """
    columns, replay = replay_parts(log, items, fit, limit or contest_of(items).questions, np.random.default_rng(seed))
    share, sharpness = rehearse(replay, seed)
    weights, layer = mixed(replay, seed, share)
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


def rehearse(replay: Replay, seed: int) -> tuple[float, FloatArray | None]:
    """The share of the hidden layer, from 0 to 1, and how sharp scores should be.

    Both are told by questions held out; where questions are few there is no telling, so weights by situation are all.
    """
    size = replay.questions
    if size < ENOUGH:
        return 0.0, None
    held, kept = np.split(np.random.default_rng(seed).permutation(size), [int(size * HELD_OUT)])
    asked, learned = replay.some(np.sort(held)), replay.some(np.sort(kept))
    plain, layered = scored(asked, fit_weights(learned)), scored(asked, *fit_layer(learned, seed))

    def mean(share: float) -> FloatArray:
        return np.float32(1 - share) * plain + np.float32(share) * layered

    found = minimize_scalar(lambda share: losses(asked, mean(share)).mean(), bounds=(0, 1), method="bounded").x
    share = 0.0 if found < LEAST else 1.0 if found > 1 - LEAST else float(found)
    return share, fit_sharpness(asked, mean(share))


def mixed(replay: Replay, seed: int, share: float) -> tuple[FloatArray, Layer | None]:
    """Weights, shape (ROWS, columns) or (1, columns), and a layer or none: together they score as the two members do on

    average, the layer's by its share.
    """
    if share == 0:
        return fit_weights(replay), None
    shared, layer = fit_layer(replay, seed)
    if share == 1:
        return shared, layer
    weights = np.float32(1 - share) * fit_weights(replay)
    weights[0] += np.float32(share) * shared[0]
    return weights, replace(layer, out=np.float32(share) * layer.out)


def fit_weights(replay: Replay, prior: float = PRIOR) -> FloatArray:
    """Shape (ROWS, columns): the weights that maximise the likelihood, drawn towards 0 where evidence is thin.

    prior: how many questions' worth of evidence a row's deviation from the shared weights must overcome.
    """
    columns = replay.values.shape[1]
    if replay.questions == 0:
        shared = np.zeros((ROWS, columns), np.float32)
        shared[0] = 1 / max(columns, 1)
        return shared
    scale = np.maximum(replay.values.std(axis=0, dtype=np.float64), 1e-3)
    order = np.lexsort(replay.rows.T)
    blocks = _blocks(replay, order, (1 / scale).astype(np.float32))
    strength = np.full((ROWS, 1), prior)
    strength[0] = SHARED * prior

    def loss(flat: Vector) -> tuple[float, Vector]:
        weights = flat.reshape(ROWS, columns)
        value, gradient = 0.5 * float((strength * weights**2).sum()), strength * weights
        for block in blocks:
            part, slope = block.loss(weights[block.rows].sum(axis=0))
            value += part
            gradient[block.rows] += slope
        return value / replay.questions, gradient.ravel() / replay.questions

    found = minimize(loss, np.zeros(ROWS * columns), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights: FloatArray = (found.x.reshape(ROWS, columns) / scale).astype(np.float32)
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
