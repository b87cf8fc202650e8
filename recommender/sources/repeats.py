"""Repeats: what is due again, for this customer, by their own visits and by how the item is usually taken again.

Habit counts uses; here a *visit* is the unit, for what is used together
counts once: uses with no pause of half an hour between them, such as the
lines of one order. Some items are taken once, others every month; the
published part says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.features import used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.sources.habit import VISIT
from recommender.types import DAY, HOUR, FloatArray, IntArray

FAINT = 0.1
"""How many visits an item never used is taken to have been met in."""

COLUMNS = ("visits", "share", "missed", "rest", "late", "early", "again", "usual", "own", "last-visit", "month")

PRIOR_VISITS = 2.0
"""An item's usual pause counts as much as so many of the customer's own."""

PRIOR_USES, PRIOR_AGAIN = 2.0, 0.3
"""Of so many uses before the first, this share is taken to have been of items used before."""

MONTH = 30 * DAY


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Scores the items that the customer used; any other item scores 0 in all columns.

    again: shape (known,), log-odds that one who used the item uses it in another visit too. usual: shape (known,),
    the logarithm of the days between two such visits. new: shape (2,), both for an item that nobody used yet.
    """

    again: FloatArray
    usual: FloatArray
    new: FloatArray

    name: ClassVar[str] = "repeats"
    reason: ClassVar[str] = "due again"

    @property
    def columns(self) -> tuple[str, ...]:
        return COLUMNS

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        at = used(query).at
        values = np.zeros((len(COLUMNS), at.size), np.float32)
        if query.history.item.size:
            values[:] = self._columns(query, at)
        return Scores(values, at, np.zeros(len(COLUMNS), np.float32))

    def _columns(self, query: Query, at: IntArray) -> FloatArray:
        """Shape (COLUMNS, m): in how many visits the item was used, alone and as a share of all since the first of
        them; how many visits have missed it, and for how long, as logarithms; how far past and how far before its
        time it is, as the logarithm of that pause over the usual one; whether others use it again, and when; how
        much of what this customer uses they used before; whether it was used in the last visit; visits in a month.
        """
        met, now = meetings(used(query).place, query.history.time), query.context.now
        visits, m = int(met.visit.max()) + 1, at.size
        count = np.bincount(met.place, minlength=m)
        first, last = np.zeros(m, np.int64), np.zeros(m, np.int64)
        begun = np.full(m, query.history.time[0])
        last[met.place], ended = met.visit, begun.copy()  # of several the last one stays
        ended[met.place] = met.time
        first[met.place[::-1]], begun[met.place[::-1]] = met.visit[::-1], met.time[::-1]
        rest = days(now - ended)
        again, usual = self._known(self.again, at, 0), self._known(self.usual, at, 1)
        own = days(ended - begun) - np.log(np.maximum(count - 1, 1))
        pause = (PRIOR_VISITS * usual + np.maximum(count - 1, 0) * own) / (PRIOR_VISITS + np.maximum(count - 1, 0))
        due = rest - pause
        later = met.visit > 0
        habit = (np.count_nonzero(met.visit > first[met.place]) + PRIOR_USES * PRIOR_AGAIN) / (
            np.count_nonzero(later) + PRIOR_USES
        )
        lately = np.bincount(met.place[met.time > now - MONTH], minlength=m)
        return np.array(
            [
                np.log1p(count / FAINT),
                np.log((count + FAINT) / (visits - first + 1)) - np.log(FAINT / (visits + 1)),
                np.log1p(visits - 1 - last),
                rest,
                np.maximum(due, 0),
                np.minimum(due, 0),
                again,
                usual,
                np.full(m, np.log(habit / (1 - habit))),
                last == visits - 1,
                np.log1p(lately / FAINT),
            ],
            np.float32,
        )

    def _known(self, values: FloatArray, at: IntArray, new: int) -> FloatArray:
        """What is published of these items, shape (m,)."""
        inside = at < values.size
        found: FloatArray = np.where(inside, values[np.where(inside, at, 0)] if values.size else 0, self.new[new])
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Which item was used in which visit, each pair once; visit by visit within a place.

    place, visit, time: shape (n,): the item's place, the number of the visit, when it was used there first.
    """

    place: IntArray
    visit: IntArray
    time: IntArray


def meetings(place: IntArray, time: IntArray) -> Meetings:
    """A customer's uses by visits. place: shape (t,), what was used, small numbers; time: (t,), ascending."""
    visit = np.cumsum(np.diff(time, prepend=time[:1]) > VISIT, dtype=np.int64)
    _, first = np.unique(place * (time.size + 1) + visit, return_index=True)
    return Meetings(place[first], visit[first], time[first])


def days(span: IntArray) -> FloatArray:
    """The logarithm of spans of milliseconds in days; what is shorter than an hour counts as one."""
    logarithm: FloatArray = np.log(np.maximum(span, HOUR) / DAY).astype(np.float32)
    return logarithm
