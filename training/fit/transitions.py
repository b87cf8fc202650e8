"""Fits the table of shared transitions: what others do after the same one or two steps."""

import numpy as np

from recommender.history import Items
from recommender.sources.transitions import STRIDE, Transitions
from recommender.types import BoolArray, FloatArray, IntArray, is_use
from training.dataset import Log

WIDTH = 100
"""Followers kept for each key, the most lifted ones."""

DOUBT = 1.0
"""Times that a step must have been met to count as much as what was expected anyway."""


def fit_transitions(log: Log, items: Items) -> Transitions:
    """The table of a log. A customer's repeats count less and less, so that no single one speaks for all."""
    step, customer = _uses(log, items)
    size = items.codes.size
    share = (np.bincount(step, minlength=size) + 1) / (step.size + size)
    one = np.flatnonzero(customer[1:] == customer[:-1]) + 1
    two = one[one >= 2]
    two = two[customer[two - 2] == customer[two]]
    key, item, count = _crowd(step[one - 1], step[one], customer[one])
    pair, then, seen = _crowd(step[two - 1] + STRIDE * (step[two - 2] + 1), step[two], customer[two])
    total = np.bincount(key, count, size) + DOUBT
    likely = (count[_find(key, item, pair % STRIDE, then)] + DOUBT * share[then]) / total[pair % STRIDE]
    lift = np.concatenate([count / share[item], seen / likely]) / DOUBT
    return _table(np.concatenate([key, pair]), np.concatenate([item, then]), np.log1p(lift).astype(np.float32))


def _find(key: IntArray, item: IntArray, wanted_key: IntArray, wanted_item: IntArray) -> IntArray:
    """Where each wanted (key, item) stands among the ascending ones; all do."""
    return np.searchsorted(key * STRIDE + item, wanted_key * STRIDE + wanted_item)


def _table(key: IntArray, item: IntArray, lift: FloatArray) -> Transitions:
    """The most lifted items of each key, by ascending item."""
    order = np.lexsort((-lift, key))
    key, item, lift = key[order], item[order], lift[order]
    first = np.flatnonzero(_changes(key))
    kept = np.arange(key.size) - np.repeat(first, np.diff(first, append=key.size)) < WIDTH
    key, item, lift = key[kept], item[kept], lift[kept]
    order = np.lexsort((item, key))
    keys, starts = np.unique(key, return_index=True)
    return Transitions(keys, np.append(starts, key.size), item[order], lift[order])


def _uses(log: Log, items: Items) -> tuple[IntArray, IntArray]:
    """The position and the customer of each use of an item of this kind."""
    step = items.positions(log.events["item"])
    chosen = (step >= 0) & is_use(log.events["type"])
    return step[chosen], log.who[chosen]


def _crowd(key: IntArray, item: IntArray, customer: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """The distinct (key, item), ascending, and how often each was met: 1 + log(n) for n times by one customer."""
    order = np.lexsort((customer, item, key))
    key, item, customer = key[order], item[order], customer[order]
    own = np.flatnonzero(_changes(key, item, customer))
    pair = np.flatnonzero(_changes(key, item))
    count = 1 + np.log(np.diff(own, append=key.size))
    total = np.add.reduceat(count, np.searchsorted(own, pair)) if pair.size else count
    return key[pair], item[pair], total.astype(np.float32)


def _changes(*columns: IntArray) -> BoolArray:
    """Where a row differs from the one before."""
    changed = np.zeros(columns[0].size, np.bool_)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed
