"""Fits how items are used again: whether, and after how long."""

import numpy as np

from recommender.history import Items
from recommender.sources.habit import VISIT
from recommender.sources.repeats import Repeats, days
from recommender.types import is_use
from training.dataset import Log

PRIOR_USERS = 20.0
"""An item's own share of users who came back counts as much as all items' share when it has so many users."""

PRIOR_PAUSES = 10.0
"""The same for its pauses."""

MONTH = float(np.log(30))
"""The usual pause, as a logarithm of days, where nobody used anything again."""


def fit_repeats(log: Log, items: Items) -> Repeats:
    """Each customer counts once for an item, however often they came back; what was returned was used all the same."""
    size = items.codes.size
    position = items.positions(log.events["item"])
    uses = (position >= 0) & is_use(log.events["type"])
    position, time, who = position[uses], log.events["time"][uses], log.who[uses]
    opens = np.ones(who.size, np.bool_)
    opens[1:] = (np.diff(who) != 0) | (np.diff(time) > VISIT)
    order = np.lexsort((time, position, who))
    item, customer, visit, when = position[order], who[order], np.cumsum(opens)[order], time[order]
    same = np.zeros(order.size, np.bool_)
    same[1:] = (np.diff(customer) == 0) & (np.diff(item) == 0)
    back = same.copy()
    back[1:] &= np.diff(visit) > 0
    first = np.flatnonzero(~same)
    returned = np.add.reduceat(back, first) > 0 if first.size else np.zeros(0, np.bool_)
    users, again = (np.bincount(item[some], minlength=size) for some in (first, first[returned]))
    everybody = (again.sum() + 0.5) / (users.sum() + 1)
    share = (again + PRIOR_USERS * everybody) / (users + PRIOR_USERS)
    pause = days(np.diff(when, prepend=0))[back]
    usual = float(pause.mean()) if pause.size else MONTH
    count = np.bincount(item[back], minlength=size)
    pauses = (np.bincount(item[back], pause, size) + PRIOR_PAUSES * usual) / (count + PRIOR_PAUSES)
    return Repeats(
        np.log(share / (1 - share)).astype(np.float32),
        pauses.astype(np.float32),
        np.array([np.log(everybody / (1 - everybody)), usual], np.float32),
    )
