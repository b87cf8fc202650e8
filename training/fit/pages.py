"""Learns how to fill a page, as it is looked at: once, for some time to come, by customers who also repeat themselves.

From the newest part of the log some windows are taken, one before the other.
Where each begins, the sources are fitted on what was there by then, and every
customer who used something in the window is asked for a page: all that they
used in it is right, used before or not. Beside the pages stand steps, the
question of what is used next, drawn from the same windows, so that a page
that is asked for in the middle of a visit is good as well; the ranker knows
the two apart by the pause before them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from recommender.history import Items
from recommender.model import column_names, weights_by_hand
from recommender.ranker import Ranker
from recommender.sources.base import Source
from recommender.types import DAY, BoolArray, IntArray, is_use
from training.dataset import Log
from training.fit.ranker import fit_weights
from training.fit.reach import Lent, fit_reach, folds_of, lent_pages
from training.fit.replay import Replay, joined, replay_log, steps
from training.fit.text import reach_new
from training.questions import Asked, pages

SHARE = 0.2
"""A window is as long as the newest share of the uses took, ..."""

SHORTEST, LONGEST = 7.0, 60.0
"""... but as many days at least, and at most, ..."""

PARTS = 5
"""... and at most this part of the log."""

WINDOWS = 3

AFFORDED = 3_000_000
"""Events that the sources may be fitted on, all windows together: a large log has fewer windows, one at least."""

PAGES = 3_000
"""So many pages at most, and about as many steps: 2,500 and 2,500 lost .0014 of NDCG@20 on a shop's log."""

PRIOR = 100.0
"""How many questions' worth of evidence it takes to tell one situation from another; 20 and 300 were no better."""

Fit = Callable[[Log], tuple[Source, ...]]


@dataclass(frozen=True, slots=True)
class Window:
    """From when, and up to when, milliseconds UTC."""

    since: int
    until: int


def windows(log: Log, items: Items) -> list[Window]:
    """What the blend is learned on, newest first; the log must have uses."""
    used = is_use(log.events["type"]) & (items.positions(log.events["item"]) >= 0)
    time = log.events["time"][used]
    first, last = int(time.min()), int(time.max()) + 1
    newest = (last - np.quantile(time, 1 - SHARE)) / DAY
    length = int(min(np.clip(newest, SHORTEST, LONGEST) * DAY, (last - first) / PARTS))
    count = int(np.clip(AFFORDED // max(log.events.size, 1), 1, WINDOWS))
    return [Window(last - (number + 1) * length, last - number * length) for number in range(count)]


def fit_pages(log: Log, items: Items, fit: Fit, seed: int) -> tuple[tuple[Source, ...], Ranker]:
    """The published sources, and the ranker under which the first item of a page is most often a right one.

    fit: makes the sources out of a log. Where nobody could be asked, the blend is the one made by hand. There is no
    hidden layer: learned on some windows it takes their season for a law (a shop's next window, NDCG@20: .251 with
    it, .262 with weights by situation).
    """
    rng = np.random.default_rng(seed)
    found, folds = windows(log, items), folds_of(items, np.random.default_rng(seed))
    replays: list[Replay] = []
    lent: list[Lent] = []
    for window in found:
        pages_ = _known_customers(_pages(log, items, window, PAGES // len(found), rng))
        asked = pages_ + _known_customers(steps(log, items, _events(log, items, window, len(pages_), rng)))
        if asked:
            earlier = log.select(log.events["time"] < window.since)
            sources = fit(earlier)
            replays.append(replay_log(items, sources, asked, rng))
            lent += lent_pages(folds, sources, pages_, _used_in(earlier, items))
    sources = fit(log)
    if not replays:
        return sources, Ranker(column_names(sources), weights_by_hand(sources))
    ranker = Ranker(column_names(sources), fit_weights(joined(replays), PRIOR))
    return sources, fit_reach(reach_new(ranker), lent)


def _known_customers(asked: Iterator[Asked]) -> list[Asked]:
    """The questions of those who have a history: of strangers popularity alone decides."""
    return [one for one in asked if one.query.history.item.size]


def _pages(log: Log, items: Items, window: Window, limit: int, rng: np.random.Generator) -> Iterator[Asked]:
    customers = np.unique(log.who[_events(log, items, window, log.events.size, rng)])
    return pages(log, items, window.since, window.until, np.sort(rng.permutation(customers)[:limit]))


def _events(log: Log, items: Items, window: Window, limit: int, rng: np.random.Generator) -> IntArray:
    """At most so many uses of a window, ascending, at random where there are more."""
    time = log.events["time"]
    during = (time >= window.since) & (time < window.until) & is_use(log.events["type"])
    return np.sort(rng.permutation(np.flatnonzero(during & (items.positions(log.events["item"]) >= 0)))[:limit])


def _used_in(log: Log, items: Items) -> BoolArray:
    """Shape (n,): the items that anybody used."""
    position = items.positions(log.events["item"][is_use(log.events["type"])])
    return np.bincount(position[position >= 0], minlength=items.codes.size) > 0
