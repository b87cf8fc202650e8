"""Ways to rank that need no model: what every model has to be better than."""

from collections.abc import Callable

import numpy as np

from recommender.history import Query
from recommender.types import FloatArray, IntArray

Ranking = Callable[[Query], FloatArray]
"""Scores of all items for one question: shape (n,), higher is better, -inf for an item it cannot rank."""


def most_used(query: Query) -> FloatArray:
    """The customer's own items by how often they were used."""
    count = np.bincount(query.history.item, minlength=query.items.codes.size)
    np.add.at(count, query.history.older_item, query.history.older_count)
    return _met(count)


def most_recent(query: Query) -> FloatArray:
    """The customer's own items, the last used first."""
    last = np.full(query.items.codes.size, -np.inf, np.float32)
    last[query.history.item] = np.arange(query.history.item.size)
    return last


def popularity(uses: IntArray, size: int) -> Ranking:
    """All items by how often anybody used them; uses: shape (m,), the position of each use's item, of `size` items."""
    score = _met(np.bincount(uses, minlength=size))
    return lambda _: score


def _met(count: IntArray) -> FloatArray:
    return np.where(count > 0, count, -np.inf).astype(np.float32)
