"""Small logs whose items are letters: what is used, in order, and questions asked about it."""

from collections.abc import Sequence

import numpy as np

from recommender.history import Context, History, Items, Query
from recommender.sources.base import Source
from recommender.types import EVENT, MINUTE, USE, FloatArray, IntArray, codes64
from training.dataset import Log, items_of, log_of

MONDAY = 1_763_942_400_000  # 2025-11-24T00:00Z
_NONE = np.zeros(0, np.int64)


def letters(text: str) -> Items:
    return items_of(sorted(set(text)))


def log_of_letters(*customers: str, step: int = MINUTE) -> Log:
    """One use every `step` milliseconds, one text a customer."""
    size = sum(map(len, customers))
    events = np.zeros(size, EVENT)
    events["item"] = codes64("".join(customers))
    events["time"] = MONDAY + step * np.concatenate([_NONE, *(np.arange(len(text)) for text in customers)])
    events["seq"], events["key"], events["type"] = np.arange(size), np.arange(size) + 1, USE
    return log_of(np.repeat(np.arange(len(customers)), [len(text) for text in customers]), events)


def asked(items: Items, text: str, *, now: int | None = None, at: Sequence[int] = (), channels: str = "") -> Query:
    """What is asked after these uses; at: their minutes since Monday midnight, one after the other by default."""
    minute = np.array(at or range(len(text)), np.int64)
    channel = np.array([ord(name) for name in channels] or [0] * len(text), np.int64)
    history = History(positions(items, text), MONDAY + minute * MINUTE, minute, channel, _NONE, _NONE)
    then = (int(minute[-1]) + 1 if len(text) else 0) if now is None else now
    return Query(items, history, Context(MONDAY + then * MINUTE, channel=int(channel[-1]) if len(text) else 0))


def positions(items: Items, text: str) -> IntArray:
    return items.positions(codes64(text))


def column(source: Source, name: str, query: Query) -> FloatArray:
    """One column, dense, less its floor."""
    row = source.columns.index(name)
    scores = source.score([query])[0]
    dense: FloatArray = scores.dense(query.items.codes.size)[row] - scores.floor[row]
    return dense
