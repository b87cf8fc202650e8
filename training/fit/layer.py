"""Learns the ranker's hidden layer, and one row of weights beside it.

Minibatches of questions and Adam with decoupled decay (Kingma & Ba, 2015; Loshchilov & Hutter, 2019); the loss is
minus the log of the softmax at what came next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

Losses = npt.NDArray[np.float64]


def fit_layer(replay: Replay, seed: int) -> tuple[FloatArray, Layer]:
    """The weights, shape (1, columns), and the layer under which what came next was most probable."""
    scale = np.maximum(replay.values.std(axis=0, dtype=np.float64), 1e-3).astype(np.float32)
    with threadpool_limits(1, "blas"):
        weight, layer = _learn(replay, scale, np.random.default_rng(seed))
    return (weight / scale)[None], Layer(layer.into / scale[:, None], layer.bias, layer.out)


def losses(replay: Replay, weights: FloatArray, layer: Layer | None = None) -> Losses:
    """Shape (questions,): minus the log of the probability that each answer had."""
    found = []
    for batch in _batches(replay, np.arange(replay.questions)):
        score = batch.stands_for.copy()
        for rows, first, size in zip(batch.rows, batch.starts, np.diff(batch.starts), strict=False):
            part = slice(first, first + size)
            score[part] += batch.values[part] @ weights[rows if weights.shape[0] > 1 else [0]].sum(axis=0)
            if layer is not None:
                met = first + np.flatnonzero(batch.met[part])
                score[met] += layer.lift(rows, batch.values[met])
        found.append(surprise(score, batch.starts[:-1], batch.right)[1].astype(np.float64))
    return np.concatenate(found)


def _learn(replay: Replay, scale: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, Layer]:
    """The weights, shape (columns,), and the layer, for values in units of `scale`."""
    columns = scale.size
    weight = np.zeros(columns, np.float32)
    into = rng.normal(0, columns**-0.5, (columns, UNITS)).astype(np.float32)
    bias = np.zeros((ROWS, UNITS), np.float32)
    out = rng.normal(0, 0.1 * UNITS**-0.5, UNITS).astype(np.float32)
    layer, learned = Layer(into, bias, out), (weight, into, bias, out)
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
            wanted = mean / fair_mean / (np.sqrt(square / fair_square) + 1e-8) + DECAY * part
            np.subtract(part, step * wanted, out=part, casting="same_kind")


def _batches(replay: Replay, order: IntArray) -> Iterator[Replay]:
    """The questions in this order, a few at a time."""
    for first in range(0, order.size, BATCH):
        yield replay.some(order[first : first + BATCH])


def _slopes(
    batch: Replay, scale: FloatArray, weight: FloatArray, layer: Layer
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The slope of a batch's mean loss, by `weight` and by the layer's `into`, `bias` and `out`."""
    size, met = batch.questions, batch.met
    values = batch.values / scale
    singled, question = values[met], np.repeat(np.arange(size), np.diff(batch.starts))[met]
    bias = layer.bias[batch.rows].sum(axis=1)
    units, rest = np.maximum(singled @ layer.into + bias[question], 0), np.maximum(bias, 0)
    score: FloatArray = (values @ weight + batch.stands_for).astype(np.float32)
    score[met] += units @ layer.out - (rest @ layer.out)[question]
    excess = surprise(score, batch.starts[:-1], batch.right)[0] / np.float32(size)
    slope_weight = excess @ values
    excess = excess[met]
    back = excess[:, None] * layer.out * (units > 0)
    total = np.bincount(question, excess, size).astype(np.float32)
    each = _by_question(back, question, size) - total[:, None] * layer.out * (rest > 0)
    slope_bias = np.zeros_like(layer.bias)
    np.add.at(slope_bias, batch.rows, each[:, None, :])
    return slope_weight, singled.T @ back, slope_bias, units.T @ excess - total @ rest


def _by_question(values: FloatArray, question: IntArray, size: int) -> FloatArray:
    """Shape (size, n): rows added up by the question they belong to, ascending."""
    total = np.zeros((size, values.shape[1]), np.float32)
    if question.size:
        first = np.flatnonzero(np.diff(question, prepend=-1))
        total[question[first]] = np.add.reduceat(values, first, axis=0)
    return total
