"""All profiles, for training: read in ranges of customers, put in order in one go."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recommender.profile import EMPTY, HISTORY, Profile
from recommender.stores.base import CustomerLog
from recommender.stores.sqlite.database import Database, explained
from recommender.stores.sqlite.parts import PART, add_up
from recommender.stores.sqlite.schema import PART_BITS
from recommender.types import EVENT, BoolArray, EventArray, IntArray

_LARGEST = 100 * 2**20
"""Bytes of records at which a batch ends early, however few its customers."""

_PARTS = f"""
SELECT i.customer, p.id, p.body FROM identities i INDEXED BY identities_of_customer
CROSS JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} ORDER BY i.customer
"""  # noqa: S608  the numbers are our own

Row = tuple[Any, ...]


def scan(database: Database, batch: int) -> Iterator[CustomerLog]:
    """Logs of about `batch` customers at a time, all of one moment: what is written meanwhile is not in them."""
    connection = database.new_reader()
    try:
        with explained(database.path):
            connection.execute("BEGIN")
            names = dict(connection.execute("SELECT code, name FROM names"))
            for rows in _batches(connection.execute(_PARTS), batch):
                yield _log(rows, names)
    finally:
        connection.close()


def _batches(rows: Iterator[Row], batch: int) -> Iterator[list[Row]]:
    gathered: list[Row] = []
    customers = size = 0
    for row in rows:
        if not gathered or row[0] != gathered[-1][0]:
            if customers >= batch or size >= _LARGEST:
                yield gathered
                gathered, customers, size = [], 0, 0
            customers += 1
        gathered.append(row)
        size += len(row[2])
    if gathered:
        yield gathered


def _log(rows: Sequence[Row], names: Mapping[int, str]) -> CustomerLog:
    is_counts = np.array([not id_ & PART for _, id_, _ in rows])
    customers, owner = np.unique(np.array([row[0] for row in rows], np.int64), return_inverse=True)
    length = np.array([len(body) // EVENT.itemsize for _, _, body in rows]) * ~is_counts
    events = np.frombuffer(b"".join([body for _, id_, body in rows if id_ & PART]), EVENT)
    who = np.repeat(owner, length)
    events, repeats = _sorted(events, who)
    sizes = np.bincount(who, minlength=customers.size)
    odd = repeats | (sizes > HISTORY)
    odd[owner[is_counts]] = True
    profiles = {at: add_up([row[1:] for row in rows if row[0] == customers[at]]) for at in np.flatnonzero(odd).tolist()}
    return _laid(customers, sizes, events, profiles, names)


def _sorted(events: EventArray, who: IntArray) -> tuple[EventArray, BoolArray]:
    """The events of each customer in a profile's order, and for each customer, whether an event is there twice."""
    customers = int(who[-1]) + 1
    one = who[1:] == who[:-1]
    late = np.zeros(customers, np.bool_)
    late[who[1:][one & (events["time"][1:] <= events["time"][:-1])]] = True
    at = np.flatnonzero(late[who])
    if at.size:
        some = events[at]
        events = events.copy()
        events[at] = some[np.lexsort((some["key"], some["seq"], some["time"], who[at]))]
    repeats = np.zeros(customers, np.bool_)
    repeats[who[1:][one & (events["key"][1:] == events["key"][:-1])]] = True
    return events, repeats


def _laid(
    customers: IntArray, sizes: IntArray, events: EventArray, odd: dict[int, Profile], names: Mapping[int, str]
) -> CustomerLog:
    """Lay profiles end to end: the events as they are, but for some customers a profile of their own."""
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    pieces, counts, done = [EMPTY.events], [EMPTY.counts], 0
    sizes, count_sizes = sizes.copy(), np.zeros(customers.size, np.int64)
    for at, profile in odd.items():
        pieces += [events[bounds[done] : bounds[at]], profile.events]
        counts.append(profile.counts)
        sizes[at], count_sizes[at] = profile.events.size, profile.counts.size
        done = at + 1
    whole = np.concatenate([*pieces, events[bounds[done] :]]) if odd else events
    return CustomerLog(customers, _starts(sizes), whole, _starts(count_sizes), np.concatenate(counts), names)


def _starts(sizes: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes)])
