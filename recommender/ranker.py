"""The learned blend: one weight for each column of the sources, by situation, adds up to one score for each item.

Columns are log-probabilities or the like, so that the weighted sum is a
product of experts and its softmax a probability: context mixing, as in the
PAQ family of compressors (Mattern, "Mixing strategies in data compression",
2012). A situation selects rows of weights that add up: the first row always
counts, the others say how much to deviate from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from recommender.features import ORDERS, steps
from recommender.growth import Growth
from recommender.history import Items, Kin, Query
from recommender.layer import Layer, singled_out
from recommender.sharpness import factor_of
from recommender.sources.base import Scores
from recommender.types import DAY, HOUR, MINUTE, FloatArray, IntArray

SEEN = (1, 2, 4, 8)
"""How often the last steps were seen before: fewer than 2, than 4, than 8, or more often."""

LENGTHS = (1, 4, 16, 64, 256, 1024)
"""Uses so far, at which the weights may change."""

POPULAR = "popularity.popularity"
"""The column that decides alone for a stranger."""

PAUSES = (5 * MINUTE, 30 * MINUTE, 4 * HOUR, DAY)
"""Since the last use: still the same task, the same visit, the same part of the day, the same day, or later."""

OWN = "habit.uses-32"
"""The column by which an item that came after training rises at least when it is used."""

ROWS = 1 + (ORDERS + 1) * len(SEEN) + len(LENGTHS) + 1 + 2 + len(PAUSES) + 1

AT_ONCE = 5
"""Rows that count for one question."""


def situation(query: Query) -> IntArray:
    """Shape (AT_ONCE,): the rows of weights that count for a question.

    First the row that always counts, then one each for: how long a run of last steps was met before,
    and how often; how many uses there are; whether the last use repeated the one before it; how long ago it was.
    """
    matches = steps(query).matches
    order = len(matches)
    seen = int(np.searchsorted(SEEN, matches[-1].size, "right")) - 1 if matches else 0
    item = query.history.item
    length = 1 + (ORDERS + 1) * len(SEEN)
    repeat = length + len(LENGTHS) + 1
    since = query.context.now - query.history.time[-1] if item.size else 0
    return np.array(
        [
            0,
            1 + order * len(SEEN) + seen,
            length + int(np.searchsorted(LENGTHS, item.size, "right")),
            repeat + int(item.size > 1 and item[-1] == item[-2]),
            repeat + 2 + (int(np.searchsorted(PAUSES, since, "right")) if item.size else len(PAUSES)),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """Weights for the sources' columns.

    columns: `<source>.<column>`, in the order in which the sources' scores are given.
    weights: shape (ROWS, columns), rows as `situation` counts them; or (1, columns), the same in all situations.
    layer: what columns say together, where that was learned; of a stranger it says nothing.
    sharpness: how sharp scores are (sharpness.py), where that was learned; a stranger's stay as they are.
    growth: how the weights move with the length of the history, where that was learned.
    """

    columns: tuple[str, ...]
    weights: FloatArray
    layer: Layer | None = None
    sharpness: FloatArray | None = None
    growth: Growth | None = None

    def weigh(self, query: Query) -> FloatArray:
        """Shape (columns,): the weights that count for this question.

        Of a stranger no source knows anything, so popularity, a log-probability itself, decides: the learned
        weights take it for granted that others speak beside it, and few logs have strangers to learn from.
        """
        if POPULAR in self.columns and is_stranger(query):
            return np.array([column == POPULAR for column in self.columns], np.float32)
        rows = situation(query) if self.weights.shape[0] > 1 else [0]
        weight: FloatArray = self.weights[rows].sum(axis=0)
        return weight if self.growth is None else weight + self.growth.at(query)

    def blend(self, query: Query, scores: Sequence[Scores]) -> FloatArray:
        """Shape (n,): the score of every item of the question, higher is better. One Scores per source."""
        weight = self.weigh(query)
        scores = with_lent(scores, query.items)
        total = np.zeros(query.items.codes.size, np.float32)
        column = 0
        for part in scores:
            w = weight[column : column + part.floor.size]
            column += part.floor.size
            if part.at is None:
                total += w @ part.values
            else:
                total[part.at] += w @ (part.values - part.floor[:, None])
        if self.layer is not None and not is_stranger(query):
            seen = seen_by(self.layer, query, scores)
            total[seen.met] += self.layer.lift(seen.start, seen.way)
        late, owed = self._owed(query, scores, weight)
        total[late] += owed
        if self.sharpness is not None and not is_stranger(query):
            factor = factor_of(total, self.sharpness)
            query.memo["sharpness"] = self, factor
            total *= factor
        return total

    def _owed(self, query: Query, scores: Sequence[Scores], weight: FloatArray) -> tuple[IntArray, FloatArray]:
        """The items that came after training and were used, and what their uses are owed, shapes (l,), (l,).

        The weights were learned on items that everybody knew, where one use more can speak against the next (what
        was just done is done). Of an item that nobody knows its uses are all there is to go by, so they add at
        least what habit says of them.
        """
        late = np.unique(query.history.item[query.history.item >= query.items.known])
        if late.size == 0 or OWN not in self.columns:
            return late[:0], np.zeros(0, np.float32)
        own = np.concatenate([values_at(part, late) * (part.at is not None) for part in scores])
        said = weight @ own
        if self.layer is not None:
            seen = seen_by(self.layer, query, scores)
            said += self.layer.lift(seen.start, seen.way[np.searchsorted(seen.met, late)])
        return late, np.maximum(own[self.columns.index(OWN)] - said, 0)

    def contributions(self, query: Query, scores: Sequence[Scores], positions: IntArray) -> FloatArray:
        """Shape (columns, k): what each column adds to the scores of these positions, above the average item's."""
        size = query.items.codes.size
        scores = with_lent(scores, query.items)
        lifts = [_lift(part, positions, size) for part in scores]
        weight = self.weigh(query)
        lift: FloatArray = weight[:, None] * np.concatenate(lifts)
        if self.layer is not None and not is_stranger(query):
            lift += self._layer_lift(self.layer, seen_by(self.layer, query, scores), positions, size)
        late, owed = self._owed(query, scores, weight)
        if late.size:
            extra = np.zeros(size, np.float32)
            extra[late] = owed
            lift[self.columns.index(OWN)] += extra[positions] - extra.mean()
        return lift * self._factor(query, scores)

    def _factor(self, query: Query, scores: Sequence[Scores]) -> np.float32:
        """What the scores of a question are multiplied by."""
        if self.sharpness is None or is_stranger(query):
            return np.float32(1)
        known = query.memo.get("sharpness")
        if not isinstance(known, tuple) or known[0] is not self:
            self.blend(query, scores)
            known = query.memo["sharpness"]
        return cast(tuple["Ranker", np.float32], known)[1]

    def _layer_lift(self, layer: Layer, seen: "Seen", positions: IntArray, size: int) -> FloatArray:
        """Shape (columns, k): what each column adds in the layer; what the item itself adds is popularity's."""
        slope = layer.slope(seen.start, seen.way)
        wanted = np.zeros(size, np.bool_)
        wanted[positions] = True
        chosen = np.flatnonzero(wanted[seen.met])
        parts = layer.parts(slope[chosen], seen.met[chosen], seen.values[chosen]).T
        mean = layer.total(slope, seen.met, seen.values)[:, None] / np.float32(size)
        lift = spread_out(parts, seen.met[chosen], positions) - mean
        shared = self.columns.index(POPULAR) if POPULAR in self.columns else 0
        lift[shared] += lift[-1]
        return lift[:-1]

    @staticmethod
    def probabilities(blended: FloatArray) -> FloatArray:
        """The softmax of blended scores: shape (n,), adds up to 1."""
        if blended.size == 0:
            return blended
        odds = np.exp(blended - blended.max())
        probability: FloatArray = odds / odds.sum()
        return probability


def with_lent(scores: Sequence[Scores], items: Items) -> Sequence[Scores]:
    """The scores, where a source can say nothing of items that came after training with what it says of their kin."""
    kin = items.kin
    if kin is None:
        return scores
    return [_told(part.values[:, : items.known], kin, part) if part.known else part for part in scores]


def _told(known: FloatArray, kin: Kin, part: Scores) -> Scores:
    return replace(part, values=np.concatenate([known, kin.lend(known)], axis=1))


def values_at(part: Scores, positions: IntArray) -> FloatArray:
    """Shape (columns, k): what a source says of some positions, less its floor."""
    if part.at is None:
        dense: FloatArray = part.values[:, positions] - part.floor[:, None]
        return dense
    return spread_out(part.values - part.floor[:, None], part.at, positions)


def spread_out(values: FloatArray, at: IntArray, positions: IntArray) -> FloatArray:
    """Shape (columns, k): the values at some positions; at: where they stand, ascending; 0 where there is none."""
    if at.size == 0:
        return np.zeros((values.shape[0], positions.size), np.float32)
    where = np.minimum(np.searchsorted(at, positions), at.size - 1)
    found: FloatArray = np.where(at[where] == positions, values[:, where], np.float32(0))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a layer saw in a question, kept in its memo for the reasons.

    met: shape (k,), the positions that a source singles out. values: (k, columns), theirs. start, way: see Layer.
    """

    layer: Layer
    met: IntArray
    values: FloatArray
    start: FloatArray
    way: FloatArray


def seen_by(layer: Layer, query: Query, scores: Sequence[Scores]) -> Seen:
    seen = query.memo.get("layer")
    if not isinstance(seen, Seen) or seen.layer is not layer:
        met = singled_out(scores, query.items.codes.size)
        values = _matrix(scores, met)
        item = query.history.item
        start = layer.start(situation(query), int(item[-1]) if item.size else layer.last.shape[0])
        seen = query.memo["layer"] = Seen(layer, met, values, start, layer.way(met, values))
    return seen


def _matrix(scores: Sequence[Scores], met: IntArray) -> FloatArray:
    """Shape (k, columns): what all sources say of all that `singled_out` found, less the floor."""
    matrix = np.zeros((sum(part.floor.size for part in scores), met.size), np.float32)
    column = 0
    for part in scores:
        rows = matrix[column : column + part.floor.size]
        column += part.floor.size
        if part.at is None:
            np.subtract(part.values[:, met], part.floor[:, None], out=rows)
        elif part.at.size == met.size:
            np.subtract(part.values, part.floor[:, None], out=rows)
        else:
            rows[:, np.searchsorted(met, part.at)] = part.values - part.floor[:, None]
    return matrix.T


def is_stranger(query: Query) -> bool:
    """Whether the customer used nothing so far."""
    return query.history.item.size == query.history.older_item.size == 0


def _lift(part: Scores, positions: IntArray, size: int) -> FloatArray:
    """Shape (columns, k): a source's values at some positions less their mean over all `size` items."""
    mean = (part.values.sum(axis=1) - part.floor * part.values.shape[1]) / size
    lift: FloatArray = values_at(part, positions) - mean[:, None]
    return lift
