"""Learns the ranker's hidden layer, and one row of weights beside it.

Minibatches of questions and Adam with decoupled decay (Kingma & Ba, 2015; Loshchilov & Hutter, 2019); the loss is
minus the log of the softmax at what came next.
"""

from collections.abc import Iterator, Sequence
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
    scale = np.maximum(replay.values.std(axis=0, dtype=np.float64), 1e-3).astype(np.float32)
    with threadpool_limits(1, "blas"):
        weight, layer = _learn(replay, scale, np.random.default_rng(seed))
    return (weight / scale)[None], replace(layer, into=layer.into / scale[:, None])


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


def _learn(replay: Replay, scale: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, Layer]:
    """The weights, shape (columns,), and the layer, for values in units of `scale`."""
    columns = scale.size
    weight = np.zeros(columns, np.float32)
    into = rng.normal(0, columns**-0.5, (columns, UNITS)).astype(np.float32)
    bias = np.zeros((ROWS, UNITS), np.float32)
    out = rng.normal(0, 0.1 * UNITS**-0.5, UNITS).astype(np.float32)
    item, last = (np.zeros((replay.tabled + 1, UNITS), np.float32) for _ in range(2))
    layer, learned = Layer(into, bias, item, last, out), (weight, into, bias, item, last, out)
    descent = _Descent([np.zeros_like(part) for part in learned], [np.zeros_like(part) for part in learned])
    steps, number = EPOCHS * -(-replay.questions // BATCH), 0
    for _ in range(EPOCHS):
        for batch in _batches(replay, rng.permutation(replay.questions)):
            step = STEP * (1 + np.cos(np.pi * number / steps)) / 2
            number += 1
            descent.step(learned, _slopes(batch, scale, weight, layer), step, number)
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


def _batches(replay: Replay, order: IntArray) -> Iterator[Replay]:
    """The questions in this order, a few at a time."""
    for first in range(0, order.size, BATCH):
        yield replay.some(order[first : first + BATCH])


def _slopes(batch: Replay, scale: FloatArray, weight: FloatArray, layer: Layer) -> tuple[FloatArray, ...]:
    """The slope of a batch's mean loss, by `weight` and by the layer's fields, in their order."""
    size, met = batch.questions, batch.met
    values, item = batch.values / scale, batch.item[met]
    singled, question = values[met], np.repeat(np.arange(size), np.diff(batch.starts))[met]
    start = layer.bias[batch.rows].sum(axis=1) + layer.last[batch.last]
    units, rest = np.maximum(singled @ layer.into + layer.item[item] + start[question], 0), np.maximum(start, 0)
    score: FloatArray = (values @ weight + batch.stands_for).astype(np.float32)
    score[met] += units @ layer.out - (rest @ layer.out)[question]
    excess = surprise(score, batch.starts[:-1], batch.right)[0] / np.float32(size)
    by_weight = excess @ values
    excess = excess[met]
    back = excess[:, None] * layer.out * (units > 0)
    total = np.bincount(question, excess, size).astype(np.float32)
    each = _added_up(back, question, size) - total[:, None] * layer.out * (rest > 0)
    by_bias = _added_up(np.repeat(each, batch.rows.shape[1], axis=0), batch.rows.ravel(), ROWS)
    by_item, by_last = _added_up(back, item, len(layer.item)), _added_up(each, batch.last, len(layer.last))
    by_item[-1] = by_last[-1] = 0
    return by_weight, singled.T @ back, by_bias, by_item, by_last, units.T @ excess - total @ rest


def _added_up(values: FloatArray, row: IntArray, size: int) -> FloatArray:
    """Shape (size, n): values of shape (k, n) added up by the row that each belongs to."""
    total = np.zeros((size, values.shape[1]), np.float32)
    if row.size:
        order = np.argsort(row, kind="stable")
        first = np.flatnonzero(np.diff(row[order], prepend=-1))
        total[row[order[first]]] = np.add.reduceat(values[order], first, axis=0)
    return total
