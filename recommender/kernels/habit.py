"""What every use still counts, by many half-lives, clocks and channels at once, added up by item."""

import numpy as np

from recommender.features import FADED, Weights
from recommender.history import WEEK_MINUTES
from recommender.kernels.compiled import compiled
from recommender.types import DAY, MINUTE, FloatArray, IntArray

_MOMENTS, _PLACES = 7, 7


@compiled("i1 i0 d0 F2")
def _stand(place: IntArray, size: int, longest: float, values: FloatArray) -> None:
    """Fill in where each item stands among the last used: see `PLACES`."""
    t = place.size
    latest, uses, met = np.full(size, -1), np.zeros(size, np.int64), 0
    for at in range(t - 1, -1, -1):
        one = place[at]
        uses[one] += 1
        if latest[one] < 0:
            latest[one] = at
            values[1, one] = met
            met += 1
    for one in range(size):
        if latest[one] < 0:
            values[1, one] = met
            met += 1
        rank, rest = values[1, one], np.log(t - latest[one])
        values[0, one] = 1
        values[1, one] = 1 / (1 + rank)
        values[2, one] = longest - np.log(1 + rank)
        values[3, one] = longest - rest
        values[4, one] = rest - np.log((t + 1) / max(uses[one], 1))
        values[5, one] = 1 if rank == 0 else 0
        values[6, one] = 1 if rank == 1 else 0


@compiled("d1 i0 i0")
def _alike(alike: Weights, minutes: int, period: int) -> float:
    """How alike two moments so far apart are, on a clock that goes round in a period."""
    apart = minutes % period
    apart = min(apart, period - apart)
    return alike[apart] if apart < alike.size else 0.0


@compiled("i1 i0 i1 i1 i1 i1 i1 i0 i0 i0 d1 d1 d1 i0 d0 d0")
def habit(
    place: IntArray,
    size: int,
    older_place: IntArray,
    older_count: IntArray,
    time: IntArray,
    week: IntArray,
    channel: IntArray,
    now: int,
    now_week: int,
    now_channel: int,
    by_use: Weights,
    by_time: Weights,
    alike: Weights,
    visit: int,
    faint: float,
    longest: float,
) -> FloatArray:
    """Shape (columns, size): the columns of `Habit` for the items that were used, each with a place below `size`.

    by_use, by_time: half-lives, in uses and in milliseconds, ascending. alike: by the minutes between two moments of
    the day, or of the week, how alike they are; beyond its end they are not.
    """
    t, fast, clocks = place.size, by_use.size, by_time.size
    clock = fast + clocks
    rows = clock + _MOMENTS
    count = np.zeros((size, rows))
    worth, keep, slow, late = np.ones(fast), np.exp2(-1 / by_use), 0, 0
    for back in range(t):
        at = t - 1 - back
        own, age = count[place[at]], float(max(now - time[at], 0))
        while slow < fast and back >= FADED * by_use[slow]:
            slow += 1
        for row in range(slow, fast):
            own[row] += worth[row]
            worth[row] *= keep[row]
        while late < clocks and age > FADED * by_time[late]:
            late += 1
        for row in range(late, clocks):
            own[fast + row] += np.exp2(-age / by_time[row])
        minute = abs(week[at] - now_week)
        day, here = _alike(alike, minute, DAY // MINUTE), 1.0 if channel[at] == now_channel else 0.0
        opens = 1.0 if at == 0 or time[at] - time[at - 1] > visit else 0.0
        own[clock] += day
        own[clock + 1] += _alike(alike, minute, WEEK_MINUTES)
        own[clock + 2] += here
        own[clock + 3] += here * day
        own[clock + 4] += opens
        own[clock + 5] += opens * day
        own[clock + 6] += opens * here
    for at in range(older_place.size):
        count[older_place[at], fast - 1] += older_count[at] * np.exp2(-t / by_use[fast - 1])
    values = np.empty((rows + _PLACES, size), np.float32)
    for row in range(rows):
        for one in range(size):
            values[row, one] = np.log(1 + count[one, row] / faint)
    _stand(place, size, longest, values[rows:])
    return values
