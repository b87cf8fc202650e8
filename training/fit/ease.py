"""Fits EASE in closed form: one inverse, over items or over customers, whichever are fewer.

With P the inverse of X'X + penalty, the weight of item i for item j is -P[i, j] / P[j, j]. Where there are fewer
customers, P is (I - X' Q X) / penalty with Q the inverse of XX' + penalty (Woodbury). The inverse is made in place, a
block of rows at a time, in float32: it needs one square matrix and little more, and no library's factorisation,
which crashed at 40,981 rows. Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from recommender.errors import MurmeliError
from recommender.metrics import ndcg
from recommender.sources.base import Source
from recommender.sources.ease import Ease
from recommender.sources.usage import Matrix
from recommender.types import FloatArray, IntArray
from training.fit.ascent import PAGE
from training.fit.matrix import entries
from training.fit.slices import HELD_OUT

PER_ITEM = 400
"""How many weights of an item are published, those that move scores most."""

LARGEST = 8 << 30
"""Bytes that the square matrix may take."""

BLOCK = 512

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)
"""The candidates; the search begins at 300."""

ASKED = 2_000
"""Customers who are asked for a page then."""


def climb(quality: Callable[[float], float]) -> float:
    """The penalty of the best quality: from the middle on upwards as long as that is better, else downwards."""
    at = PENALTIES.index(300.0)
    best = quality(PENALTIES[at])
    for step in (1, -1):
        start = at
        while 0 <= at + step < len(PENALTIES) and (found := quality(PENALTIES[at + step])) > best:
            at, best = at + step, found
        if at != start:
            break
    return PENALTIES[at]


def penalty_of(weights: Matrix, seed: int) -> float:
    """The penalty under which hidden uses stood best on pages of what was not known, by mean NDCG.

    weights: customers x items.
    """
    rng = np.random.default_rng(seed)
    hidden = rng.random(weights.nnz) < HELD_OUT
    known, wanted = entries(weights, ~hidden, weights.data), entries(weights, hidden, weights.data)
    asked = np.flatnonzero((np.diff(known.indptr) > 0) & (np.diff(wanted.indptr) > 0))
    asked = np.sort(rng.permutation(asked)[:ASKED])
    parts = [(known[rows], wanted[rows]) for rows in np.split(asked, range(BLOCK, asked.size, BLOCK))]

    def quality(penalty: float) -> float:
        found = fit_ease(known, penalty)
        return sum(_pages(scores_of(found, given), right) for given, right in parts)

    return climb(quality) if asked.size else PENALTIES[0]


def penalty_in(sources: Sequence[Source]) -> float:
    """The penalty that these sources were fitted with, 0 where EASE is not among them."""
    return next((float(source.penalty) for source in sources if isinstance(source, Ease)), 0.0)


def scores_of(found: Ease, given: Matrix) -> FloatArray:
    """What it says of every item to those who used these, customers x items; -inf of what they used."""
    matrix = sparse.csr_array((found.weight, found.item, found.starts), shape=(given.shape[1],) * 2)
    scores = np.asarray((given @ matrix).toarray())
    scores[given.toarray() > 0] = -np.inf
    return scores


def _pages(scores: FloatArray, right: Matrix) -> float:
    """The sum of the NDCG of the pages that these scores, customers x items, make."""
    first = np.argsort(-scores, axis=1, kind="stable")[:, :PAGE]
    wanted = right.toarray() > 0
    return float(ndcg(np.take_along_axis(wanted, first, 1), wanted.sum(1)).sum())


def fit_ease(weights: Matrix, penalty: float, per_item: int = PER_ITEM) -> Ease:
    """weights: customers x items. Raises MurmeliError where the matrix to invert would not fit."""
    side = min(weights.shape)
    if 4 * side**2 > LARGEST:
        raise MurmeliError(
            f"EASE inverts a matrix over the fewer of {weights.shape[0]:,} customers and {weights.shape[1]:,} items: "
            f"{4 * side**2 / 2**30:.1f} GB, where {LARGEST / 2**30:.0f} may be used. Leave it out, or thin the log."
        )
    over_items = weights.shape[1] <= weights.shape[0]
    square = np.asarray((weights.T @ weights if over_items else weights @ weights.T).toarray(), np.float32)
    square[np.diag_indices(side)] += np.float32(penalty)
    invert(square)
    parts, counts = [], []
    diagonal = np.diagonal(square) if over_items else _diagonal(square, weights, penalty)
    for start in range(0, weights.shape[1], BLOCK):
        rows = np.arange(start, min(start + BLOCK, weights.shape[1]))
        inverse = square[rows] if over_items else _rows(square, weights, rows, penalty)
        scores = -inverse / diagonal
        scores[np.arange(rows.size), rows] = 0
        item, weight, count = _strongest(scores, per_item)
        parts.append((item, weight))
        counts.append(count)
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *counts]))]).astype(np.int64)
    item = np.concatenate([np.zeros(0, np.int32), *(item for item, _ in parts)])
    weight = np.concatenate([np.zeros(0, np.float32), *(weight for _, weight in parts)])
    return Ease(starts, item, weight, np.array(penalty, np.float32))


def invert(square: FloatArray) -> None:
    """Put the inverse of a symmetric positive definite matrix in its place, by Gauss and Jordan's steps on blocks."""
    size = square.shape[0]
    for start in range(0, size, BLOCK):
        pivot = slice(start, min(start + BLOCK, size))
        inverse = np.linalg.inv(square[pivot, pivot].astype(np.float64)).astype(np.float32)
        column = square[:, pivot].copy()
        row = inverse @ square[pivot]
        row[:, pivot] = inverse
        square[:, pivot] = 0
        for first in range(0, size, BLOCK):
            part = slice(first, first + BLOCK)
            if first != start:
                square[part] -= column[part] @ row
        square[pivot] = row


def _diagonal(square: FloatArray, weights: Matrix, penalty: float) -> FloatArray:
    parts = [
        _rows(square, weights, rows := np.arange(start, min(start + BLOCK, weights.shape[1])), penalty)[
            np.arange(rows.size), rows
        ]
        for start in range(0, weights.shape[1], BLOCK)
    ]
    return np.concatenate(parts)


def _rows(square: FloatArray, weights: Matrix, rows: IntArray, penalty: float) -> FloatArray:
    """Rows of the inverse over items from the inverse over customers."""
    found = -np.asarray((weights.T @ (weights[:, rows].T @ square).T).T, np.float32)
    found[np.arange(rows.size), rows] += 1
    return found / np.float32(penalty)


def _strongest(scores: FloatArray, per_item: int) -> tuple[IntArray, FloatArray, IntArray]:
    """The columns and values of each row's largest weights, by size whatever their sign, columns ascending."""
    kept = scores != 0
    if scores.shape[1] > per_item:
        size = np.abs(scores)
        bound = np.partition(size, scores.shape[1] - per_item, axis=1)[:, scores.shape[1] - per_item, None]
        kept &= size >= bound
    where = sparse.csr_array(np.where(kept, scores, 0))
    return where.indices.astype(np.int32), where.data.astype(np.float32), np.diff(where.indptr).astype(np.int64)
