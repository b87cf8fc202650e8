"""Learns the ranker by replaying the log: at each step, how probable was what came next?

The loss is the softmax's. Two members are learned: weights by situation, and weights that all situations share with a
hidden layer beside them. Both are scores that add up, so what is published is their mean, by the share that promises
most of questions that neither saw: many customers with short histories are told apart by their situations, one
customer with a long one by the layer.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from recommender.history import Items
from recommender.layer import Layer
from recommender.model import column_names
from recommender.ranker import ROWS, Ranker
from recommender.sources.base import Source
from recommender.types import FloatArray
from training.dataset import Log
from training.fit.layer import fit_layer, losses, scored
from training.fit.replay import Replay, contest_of, joined, replay_log, sample, steps
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

GAINED = 1e-6
"""The relative gain of a step of the search below which it ends: a tenth of it took two thirds more of them, and what
was held out was as likely."""

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
    """Weights and a layer, or none, that together score as the two members do on average, the layer's by its share.

    The weights have the shape (ROWS, columns), or (1, columns) beside a whole layer.
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
    from training.fit.loops import by_situation

    columns = replay.values.shape[1]
    if replay.questions == 0:
        shared = np.zeros((ROWS, columns), np.float32)
        shared[0] = 1 / max(columns, 1)
        return shared
    situations, which = np.unique(replay.rows, axis=0, return_inverse=True)
    unit, strength = (1 / replay.scale).astype(np.float32), np.full((ROWS, 1), prior)
    strength[0] = SHARED * prior

    def loss(flat: Vector) -> tuple[float, Vector]:
        weights = flat.reshape(ROWS, columns)
        own = weights[situations].sum(axis=1).astype(np.float32)
        slope = np.zeros(own.shape)
        value = by_situation(
            replay.values, unit, replay.stands_for, replay.starts, replay.right, which.ravel(), own, slope
        )
        gradient = strength * weights
        np.add.at(gradient, situations, slope[:, None])
        value += 0.5 * float((strength * weights**2).sum())
        return value / replay.questions, gradient.ravel() / replay.questions

    start = np.zeros(ROWS * columns)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200, "ftol": GAINED})
    weights: FloatArray = (found.x.reshape(ROWS, columns) * unit).astype(np.float32)
    return weights
