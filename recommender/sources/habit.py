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

from recommender.features import Weights, used
from recommender.history import Query
from recommender.profile import HISTORY
from recommender.sources.base import Scores
from recommender.types import DAY, HOUR, MINUTE

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
"""Where an item stands among the last used: whether it was used at all; by how many others it was used before, as
1 / (1 + rank) and as a logarithm; for how many uses it rested, as a logarithm, alone and against its usual rest;
whether it was the last or the last but one.
"""

ALIKE_MINUTES = 330
"""Minutes between two hours of the day from which on they have nothing in common."""

MOST_REST = np.log(HISTORY + 1)


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
    from recommender.kernels.habit import habit

    mine, history, context = used(query), query.history, query.context
    by_use, by_time, alike = tables()
    values = habit(
        mine.place,
        mine.at.size,
        mine.older_place,
        history.older_count,
        history.time,
        history.week,
        history.channel,
        context.now,
        context.week,
        context.channel,
        by_use,
        by_time,
        alike,
        VISIT,
        FAINT,
        MOST_REST,
    )
    return Scores(values, mine.at, np.zeros(values.shape[0], np.float32))


@cache
def tables() -> tuple[Weights, Weights, Weights]:
    """The half-lives in uses and in milliseconds; and by the minutes between two hours, how alike they are.

    1 at the same time, .5 an hour away; nothing beyond the table, which is a billionth of a use at its end.
    """
    hours = np.arange(ALIKE_MINUTES) / 60
    return np.array(USES, np.float64), np.array([*TIMES.values()], np.float64), np.exp2(-(hours**2))
