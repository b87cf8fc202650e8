"""Learns the ranker's hidden layer, and one row of weights beside it.

Minibatches of questions and Adam with decoupled decay (Kingma & Ba, 2015; Loshchilov & Hutter, 2019); the loss is
minus the log of the softmax at what came next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recommender.layer import Layer
from recommender.ranker import ROWS
from recommender.types import FloatArray, IntArray
from training.fit.replay import Replay, surprise

UNITS = 32

EPOCHS = 14
"""How often each question is learned from; the step shrinks to nothing on the way."""

BATCH = 128
"""Questions that are learned from at once."""

STEP = 0.002

DECAY = 0.02
"""How much of a weight fades with a step of 1."""

MOMENTS = (0.9, 0.999)
"""How much of the mean and of the variance of past slopes each step keeps."""

STILL = 1e-4
"""A slope that is usually smaller than this moves little: that of a row few questions speak of."""

Losses = npt.NDArray[np.float64]


def fit_layer(replay: Replay, seed: int) -> tuple[FloatArray, Layer]:
    """The weights, shape (1, columns), and the layer under which what came next was most probable."""
    unit = (1 / replay.scale).astype(np.float32)
    with threadpool_limits(1, "blas"):
        weight, layer = _learn(replay, unit, np.random.default_rng(seed))
    return (weight * unit)[None], replace(layer, into=layer.into * unit[:, None])


def scored(replay: Replay, weights: FloatArray, layer: Layer | None = None) -> FloatArray:
    """Shape (total,): what the ranker says of the competing items."""
    score = np.empty(replay.values.shape[0], np.float32)
    for question, rows in enumerate(replay.rows):
        first = replay.starts[question]
        part = slice(first, replay.starts[question + 1])
        score[part] = replay.values[part] @ weights[rows if weights.shape[0] > 1 else [0]].sum(axis=0)
        if layer is not None:
            met = first + np.flatnonzero(replay.met[part])
            start = layer.start(rows, int(replay.last[question]))
            score[met] += layer.lift(start, layer.way(replay.item[met], replay.values[met]))
    return score


def losses(replay: Replay, score: FloatArray) -> Losses:
    """Shape (questions,): minus the log of the probability that each answer had, under these scores."""
    return surprise((score + replay.stands_for).astype(np.float64), replay.starts[:-1], replay.right)[1]


def _learn(replay: Replay, unit: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, Layer]:
    """The weights, shape (columns,), and the layer, for values times `unit`, shape (columns,)."""
    columns = unit.size
    weight = np.zeros(columns, np.float32)
    into = rng.normal(0, columns**-0.5, (columns, UNITS)).astype(np.float32)
    bias = np.zeros((ROWS, UNITS), np.float32)
    out = rng.normal(0, 0.1 * UNITS**-0.5, UNITS).astype(np.float32)
    item, last = (np.zeros((replay.tabled + 1, UNITS), np.float32) for _ in range(2))
    layer, learned = Layer(into, bias, item, last, out), (weight, into, bias, item, last, out)
    descent = _Descent([np.zeros_like(part) for part in learned], [np.zeros_like(part) for part in learned])
    steps, number = EPOCHS * -(-replay.questions // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(replay.questions)
        for first in range(0, order.size, BATCH):
            step = STEP * (1 + np.cos(np.pi * number / steps)) / 2
            number += 1
            slopes = _slopes(replay, order[first : first + BATCH], unit, weight, layer)
            descent.step(learned, slopes, step, number)
    return weight, layer


@dataclass(frozen=True, slots=True, eq=False)
class _Descent:
    """Running means of the slopes and of their squares, one array for each that is learned."""

    mean: list[FloatArray]
    square: list[FloatArray]

    def step(self, learned: Sequence[FloatArray], slopes: Sequence[FloatArray], step: float, number: int) -> None:
        """Change what is learned in place; number: of the step, from 1."""
        fair_mean, fair_square = (1 - moment**number for moment in MOMENTS)
        for part, slope, mean, square in zip(learned, slopes, self.mean, self.square, strict=True):
            np.add(mean, (1 - MOMENTS[0]) * (slope - mean), out=mean)
            np.add(square, (1 - MOMENTS[1]) * (slope**2 - square), out=square)
            wanted = mean / fair_mean / (np.sqrt(square / fair_square) + STILL) + DECAY * part
            np.subtract(part, step * wanted, out=part, casting="same_kind")


def _slopes(
    replay: Replay, chosen: IntArray, unit: FloatArray, weight: FloatArray, layer: Layer
) -> tuple[FloatArray, ...]:
    """The slope of the mean loss of some questions, by `weight` and by the layer's fields, in their order."""
    from training.fit.loops import add_at, lay_out, slope_back

    values, met, right, starts = replay.values, replay.met, replay.right, replay.starts
    rows, last = replay.rows[chosen], replay.last[chosen]
    singled, score = lay_out(values, unit, replay.stands_for, met, starts, chosen, weight)
    start, units = layer.bias[rows].sum(axis=1) + layer.last[last], singled @ layer.into
    by_weight, by_start, by_out = np.zeros_like(weight), np.zeros_like(start), np.zeros_like(layer.out)
    by_bias, by_item, by_last = np.zeros_like(layer.bias), np.zeros_like(layer.item), np.zeros_like(layer.last)
    asked, stand = (values, unit, met, right, replay.item, starts, chosen), (start, layer.item, layer.out, units, score)
    slope_back(*asked, *stand, by_weight, by_start, by_item, by_out)
    add_at(by_last, last, by_start)
    for row in rows.T.copy():
        add_at(by_bias, row, by_start)
    by_item[-1] = by_last[-1] = 0
    return by_weight, singled.T @ units, by_bias, by_item, by_last, by_out
