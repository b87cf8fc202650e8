"""What is asked of a log, by training and evaluation alike: each question as serving would have met it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from recommender.features import asked
from recommender.history import Context, Items, Query, history_of
from recommender.types import BoolArray, FloatArray, IntArray, is_use
from training.dataset import Log


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One question and its right answers.

    wanted: positions, ascending, each once. hidden: positions that are not ranked, such as what was used before.
    """

    customer: int
    query: Query
    wanted: IntArray
    hidden: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def shown(self, score: FloatArray) -> FloatArray:
        """Scores of all items, less those that are hidden."""
        if self.hidden.size:
            score = score.copy()
            score[..., self.hidden] = -np.inf
        return score


def step(log: Log, items: Items, customer: int, t: int) -> Query:
    """What serving would have been asked just before a customer's event number t."""
    event = log.events[log.starts[customer] + t]
    context = Context(int(event["time"]), int(event["zone"]), int(event["channel"]))
    return asked(log.prefix(customer, t), items, context)


def pages(
    log: Log, items: Items, since: int, until: int | None = None, customers: IntArray | None = None
) -> Iterator[Asked]:
    """A page for every customer with uses in [since, until): asked at `since`, right is all that they used then.

    since, until: milliseconds UTC; None is the end of the log. customers: ascending, if not all are to be asked.
    What is not an item of `items` is not asked for.
    """
    for customer in np.unique(log.who[_used(log, items, since, until)]) if customers is None else customers:
        part = slice(int(log.starts[customer]), int(log.starts[customer + 1]))
        events = log.events[part]
        before = int(np.searchsorted(events["time"], since))
        zone = int(events["zone"][max(before - 1, 0)])
        query = Query(items, history_of(log.prefix(customer, before), items), Context(since, zone))
        then = events[before:]
        then = then[is_use(then["type"])] if until is None else then[is_use(then["type"]) & (then["time"] < until)]
        position = items.positions(then["item"])
        yield Asked(int(customer), query, np.unique(position[position >= 0]))


def _used(log: Log, items: Items, since: int, until: int | None) -> BoolArray:
    """Shape (n,): the uses of these items in that time."""
    events = log.events
    during = (events["time"] >= since) & (True if until is None else events["time"] < until)
    return during & is_use(events["type"]) & (items.positions(events["item"]) >= 0)
