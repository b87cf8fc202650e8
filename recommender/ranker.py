"""The learned blend: one weight for each column of the sources, by situation, adds up to one score for each item.

Columns are log-probabilities or the like, so that the weighted sum is a
product of experts and its softmax a probability: context mixing, as in the
PAQ family of compressors (Mattern, "Mixing strategies in data compression",
2012). A situation selects rows of weights that add up: the first row always
counts, the others say how much to deviate from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

import numpy as np

from recommender.features import ORDERS, steps
from recommender.growth import Growth
from recommender.history import Query
from recommender.layer import Layer, singled_out
from recommender.lent import with_lent
from recommender.sharpness import factor_of
from recommender.sources.base import Scores
from recommender.types import DAY, HOUR, MINUTE, BoolArray, FloatArray, IntArray

SEEN = (1, 2, 4, 8)
"""How often the last steps were seen before: fewer than 2, than 4, than 8, or more often."""

LENGTHS = (1, 4, 16, 64, 256, 1024)
"""Uses so far, at which the weights may change."""

POPULAR = "popularity.popularity"
"""The column that decides alone for a stranger."""

PAUSES = (5 * MINUTE, 30 * MINUTE, 4 * HOUR, DAY)
"""Since the last use: still the same task, the same visit, the same part of the day, the same day, or later."""

OWN = "habit.uses-32"
"""The column by which an item that came after training rises when it is used, ..."""

OWED = 0.1
"""... at least by so much of it. By all of it such an item often came first: of 900 commands of one user the next one's
reciprocal rank was .480 so, and .493 by a tenth of it."""

ROWS = 1 + (ORDERS + 1) * len(SEEN) + len(LENGTHS) + 1 + 2 + len(PAUSES) + 1

AT_ONCE = 5
"""Rows that count for one question."""

_NONE = np.zeros(0, np.int64)


def situation(query: Query) -> IntArray:
    """Shape (AT_ONCE,): the rows of weights that count for a question.

    First the row that always counts, then one each for: how long a run of last steps was met before,
    and how often; how many uses there are; whether the last use repeated the one before it; how long ago it was.
    """
    if "situation" in query.memo:
        return cast(IntArray, query.memo["situation"])
    from recommender.kernels.blend import situated

    history = query.history
    query.memo["situation"] = found = situated(history.item, history.time, query.context.now, steps(query).met)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    """Weights for the sources' columns.

    columns: `<source>.<column>`, in the order in which the sources' scores are given.
    weights: shape (ROWS, columns), rows as `situation` counts them; or (1, columns), the same in all situations.
    layer: what columns say together, where that was learned; of a stranger it says nothing.
    sharpness: how sharp scores are (sharpness.py), where that was learned; a stranger's stay as they are.
    growth: how the weights move with the length of the history, where that was learned.
    reach: shape (columns,), >= 0, how far what is said of an item that came after training moves it from the average
    item, where that was learned; else 1.
    """

    columns: tuple[str, ...]
    weights: FloatArray
    layer: Layer | None = None
    sharpness: FloatArray | None = None
    growth: Growth | None = None
    reach: FloatArray | None = None

    def weigh(self, query: Query) -> FloatArray:
        """Shape (columns,): the weights that count for this question.

        Of a stranger no source knows anything, so popularity, a log-probability itself, decides: the learned
        weights take it for granted that others speak beside it, and few logs have strangers to learn from.
        """
        if POPULAR in self.columns and is_stranger(query):
            return np.array([column == POPULAR for column in self.columns], np.float32)
        weight: FloatArray = (
            self.weights[0] if self.weights.shape[0] == 1 else self.weights[situation(query)].sum(axis=0)
        )
        return weight if self.growth is None else weight + self.growth.at(query)

    def blend(self, query: Query, scores: Sequence[Scores]) -> FloatArray:
        """Shape (n,): the score of every item of the question, higher is better. One Scores per source."""
        from recommender.kernels.blend import add_singled, add_whole

        weight = self.weigh(query)
        seen = seen_by(self, query, scores)
        total = np.zeros(query.items.codes.size, np.float32)
        column = 0
        for part in seen.scores:
            if part.at is None:
                add_whole(total, part.values, weight[column : column + part.floor.size])
            column += part.floor.size
        add_singled(total, seen.met, seen.values, weight, singles(seen.scores), seen.way, seen.start, seen.out)
        late, owed = self._owed(query, seen, weight)
        if late.size:
            total[late] += owed
        if self.sharpness is not None and not is_stranger(query):
            factor = factor_of(total, self.sharpness)
            query.memo["sharpness"] = self, factor
            total *= factor
        return total

    def _owed(self, query: Query, seen: "Seen", weight: FloatArray) -> tuple[IntArray, FloatArray]:
        """The items that came after training and were used, and what their uses are owed, shapes (l,), (l,).

        The weights were learned on items that everybody knew, where one use more can speak against the next (what
        was just done is done). Of an item that nobody knows its uses are all there is to go by, so they add
        something.
        """
        if query.items.known == query.items.codes.size or OWN not in self.columns:
            return _NONE, np.zeros(0, np.float32)
        late = np.unique(query.history.item[query.history.item >= query.items.known])
        own = laid(seen.scores, late)[0].T * singles(seen.scores)[:, None]
        said = weight @ own
        if self.layer is not None:
            said += self.layer.lift(seen.start, seen.way[np.searchsorted(seen.met, late)])
        return late, np.maximum(OWED * own[self.columns.index(OWN)] - said, 0).astype(np.float32)

    def contributions(self, query: Query, scores: Sequence[Scores], positions: IntArray) -> FloatArray:
        """Shape (columns, k): what each column adds to the scores of these positions, above the average item's."""
        size = query.items.codes.size
        seen = seen_by(self, query, scores)
        weight, mean = self.weigh(query), np.concatenate([_mean(part, size) for part in seen.scores])
        lift: FloatArray = weight[:, None] * (laid(seen.scores, positions)[0].T - mean[:, None])
        if self.layer is not None and not is_stranger(query):
            lift += self._layer_lift(self.layer, seen, positions, size)
        late, owed = self._owed(query, seen, weight)
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
        odds: FloatArray = blended - np.maximum.reduce(blended)
        np.exp(odds, out=odds)
        odds /= np.add.reduce(odds)
        return odds


FEW = 4_096
"""Items up to which what several sources say of all of them is put together: fewer steps, for a copy of it all."""


def together(scores: Sequence[Scores], size: int) -> Sequence[Scores]:
    """The same columns in fewer parts: those in a row that speak of all items, where there are few."""
    if size > FEW:
        return scores
    parts: list[Scores] = []
    for whole, group in groupby(scores, lambda part: part.at is None):
        some = list(group)
        if whole and len(some) > 1:
            values, floor = [part.values for part in some], [part.floor for part in some]
            some = [Scores(np.concatenate(values), None, np.concatenate(floor))]
        parts += some
    return parts


def laid(scores: Sequence[Scores], positions: IntArray) -> tuple[FloatArray, BoolArray]:
    """Shape (k, columns): what all sources say of some positions, less their floors; and (k,), whether any speaks of it
    one by one.
    """
    from recommender.kernels.blend import lay_all, lay_some

    matrix = np.zeros((positions.size, sum([part.floor.size for part in scores])), np.float32)
    met, column = np.zeros(positions.size, np.bool_), 0
    for part in scores:
        if part.at is None:
            lay_all(part.values, part.floor, positions, column, matrix)
        else:
            lay_some(part.values, part.floor, part.at, positions, column, matrix, met)
        column += part.floor.size
    return matrix, met


def singles(scores: Sequence[Scores]) -> BoolArray:
    """Shape (columns,): which are of sources that speak of items one by one."""
    return np.array([single for part in scores for single in [part.at is not None] * part.floor.size], np.bool_)


def spread_out(values: FloatArray, at: IntArray, positions: IntArray) -> FloatArray:
    """Shape (columns, k): the values at some positions; at: where they stand, ascending; 0 where there is none."""
    if at.size == 0:
        return np.zeros((values.shape[0], positions.size), np.float32)
    where = np.minimum(np.searchsorted(at, positions), at.size - 1)
    found: FloatArray = np.where(at[where] == positions, values[:, where], np.float32(0))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a ranker saw in a question, kept in its memo for the reasons.

    scores: what the sources say, kin's lent, `together`. met: shape (k,), the positions that a source singles out.
    values: (k, columns), theirs. start, way, out: see Layer; of no units where there is none, or a stranger asks.
    """

    ranker: Ranker
    scores: Sequence[Scores]
    met: IntArray
    values: FloatArray
    start: FloatArray
    way: FloatArray
    out: FloatArray


def seen_by(ranker: Ranker, query: Query, scores: Sequence[Scores]) -> Seen:
    seen = query.memo.get("seen")
    if not isinstance(seen, Seen) or seen.ranker is not ranker:
        parts = together(with_lent(scores, query.items, ranker.reach), query.items.codes.size)
        met, layer = singled_out(parts), None if is_stranger(query) else ranker.layer
        values, _ = laid(parts, met)
        if layer is None:
            none = np.zeros(0, np.float32)
            seen = Seen(ranker, parts, met, values, none, np.zeros((met.size, 0), np.float32), none)
        else:
            seen = Seen(ranker, parts, met, values, start_of(layer, query), layer.way(met, values), layer.out)
        query.memo["seen"] = seen
    return seen


def start_of(layer: Layer, query: Query) -> FloatArray:
    """Where a layer's units stand in a question."""
    item = query.history.item
    return layer.start(situation(query), int(item[-1]) if item.size else layer.last.shape[0])


def is_stranger(query: Query) -> bool:
    """Whether the customer used nothing so far."""
    return query.history.item.size == query.history.older_item.size == 0


def _mean(part: Scores, size: int) -> FloatArray:
    """Shape (columns,): the mean of a source's values, less their floor, over all `size` items."""
    mean: FloatArray = (part.values.sum(axis=1) - part.floor * part.values.shape[1]) / size
    return mean
