"""Habit: what the customer keeps using, seen through many half-lives, clocks and channels at once.

Each column is log(1 + f / FAINT) of a frequency f in which every use counts by
its age, its hour or its channel: the logarithm of a smoothed share of uses, less
that of an item never used, so that such an item scores 0 in all columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from recommender.features import FADED, Weights, ages, tally, used
from recommender.history import WEEK_MINUTES, Query
from recommender.profile import HISTORY
from recommender.sources.base import Scores
from recommender.types import DAY, HOUR, MINUTE, FloatArray, IntArray

USES = (1, 2, 4, 8, 16, 32, 128, 512, 2048, 10_000)
"""Half-lives counted in uses."""

TIMES = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}
"""Half-lives by the clock."""

FAINT = 0.1
"""How many uses an item never used is taken to have had."""

MOMENTS = ("time-of-day", "time-of-week", "channel", "channel-time-of-day")
"""What makes a moment like now: the clock, the channel, both."""

OPENINGS = ("opening", "opening-time-of-day", "opening-channel")
"""The same of uses that opened a visit; which visits these matter for, the ranker learns from the pause before now."""

VISIT = 30 * MINUTE
"""A use after a longer pause opens a visit: the half hour that web analytics agreed on."""

PLACES = ("used", "nearness", "recency", "rest", "overdue", "last", "last-but-one")
"""Where an item stands among the last used; see `_places`."""

_LONGEST = np.log(HISTORY + 1)
_DAY_MINUTES = DAY // MINUTE


@dataclass(frozen=True, slots=True, eq=False)
class Habit:
    """Scores the items that the customer used; it needs no training."""

    name: ClassVar[str] = "habit"
    reason: ClassVar[str] = "habit"

    @property
    def columns(self) -> tuple[str, ...]:
        by_use = (f"uses-{half_life}" for half_life in USES)
        return (*by_use, *TIMES, *MOMENTS, *OPENINGS, *PLACES)

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [_score(query) for query in queries]


def _score(query: Query) -> Scores:
    mine, history, context = used(query), query.history, query.context
    at, place = mine.at, mine.place
    rows = [tally(place, ages(half_life, place.size), at.size) for half_life in USES]
    rows[-1] = rows[-1] + tally(mine.older_place, history.older_count * 2.0 ** (-place.size / USES[-1]), at.size)
    age = np.maximum(context.now - history.time, 0)
    rows += [tally(place, _fading(age, half_life), at.size) for half_life in TIMES.values()]
    rows += [tally(place, alike, at.size) for alike in _moments(query)]
    values = np.empty((len(rows) + len(PLACES), at.size), np.float32)
    counts = values[: len(rows)]
    counts[:] = rows
    np.log1p(counts / FAINT, out=counts)
    values[len(rows) :] = _places(place, at.size)
    return Scores(values, at, np.zeros(values.shape[0], np.float32))


def _moments(query: Query) -> tuple[Weights, ...]:
    """What each use counts, one row for each of MOMENTS and OPENINGS."""
    history, context = query.history, query.context
    minute = (history.week - context.week) % WEEK_MINUTES
    day, week = (kernel[minute] for kernel in clocks())
    here = (history.channel == context.channel).astype(np.float64)
    opens = np.ones(history.time.size)
    opens[1:] = np.diff(history.time) > VISIT
    return day, week, here, here * day, opens, opens * day, opens * here


def _fading(age: IntArray, half_life: int) -> Weights:
    """What each of the newest uses still counts by the clock; age: milliseconds, oldest first."""
    young = age.size - int(np.searchsorted(-age, -FADED * half_life))
    return np.exp2(-age[age.size - young :] / half_life)


@cache
def clocks() -> tuple[Weights, Weights]:
    """By the minutes between two moments of the week: how alike their times of day are, and of week.

    1 at the same moment, .5 an hour away.
    """
    minute = np.arange(WEEK_MINUTES)
    apart = (np.minimum(minute % period, -minute % period) / 60 for period in (_DAY_MINUTES, WEEK_MINUTES))
    day, week = (np.exp2(-(hours**2)) for hours in apart)
    return day, week


def _places(place: IntArray, size: int) -> FloatArray:
    """Shape (PLACES, size): whether an item was used at all; by how many others it was used before, as 1 / (1 + rank)
    and as a logarithm; for how many uses it rested, as a logarithm, alone and against its usual rest; whether it was
    the last or the last but one.
    """
    uses = place.size
    latest = np.full(size, -1)
    latest[place] = np.arange(uses)
    rank = np.empty(size, np.int64)
    rank[np.argsort(-latest, kind="stable")] = np.arange(size)
    rest = np.log(uses - latest)
    usual = np.log((uses + 1) / np.maximum(np.bincount(place, minlength=size), 1))
    near = _LONGEST - np.log1p(rank)
    return np.array(
        [np.ones(size), 1 / (1 + rank), near, _LONGEST - rest, rest - usual, rank == 0, rank == 1], np.float32
    )
