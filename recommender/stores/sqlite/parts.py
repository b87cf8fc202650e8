"""Profiles at rest: how they are read, extended and shortened (see schema.py for how they lie)."""

from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np

from recommender.profile import COUNT, EMPTY, HISTORY, CountArray, Profile, fold, merge
from recommender.stores.sqlite.database import fetch, number
from recommender.stores.sqlite.schema import PART_BITS, SEALED
from recommender.types import EVENT, EventArray

SLACK = 4_096
"""Records beyond HISTORY that may gather before a profile is shortened, so that it happens once in so many events."""

PART = (1 << PART_BITS) - 1
"""The bits of a part's number."""

_RECORD = EVENT.itemsize
_FULL = SEALED * _RECORD
OF_CUSTOMER = f"""
SELECT p.id, p.body FROM identities n CROSS JOIN identities i ON i.customer = n.customer
CROSS JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE n.name = ?
"""  # noqa: S608  the numbers are our own
"""Finds the parts of all identities of the customer behind one."""
_OF_IDENTITY = "SELECT id, body FROM parts WHERE id BETWEEN ? AND ? ORDER BY id"
_LAST = "SELECT id, body FROM parts WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
_WRITE = "INSERT OR REPLACE INTO parts VALUES (?, ?)"

Parts = Sequence[tuple[Any, ...]]
"""(id, body), by identity and part."""


def add_up(parts: Parts) -> Profile:
    """The profile that parts of any identities make."""
    if not parts:
        return EMPTY
    events = fold(EMPTY, np.frombuffer(b"".join([body for id_, body in parts if id_ & PART]), EVENT))
    counts = [Profile(EMPTY.events, _counts(body)) for id_, body in parts if not id_ & PART]
    return merge(events, *counts) if counts else events


def count(connection: apsw.Connection) -> int:
    """How many events all profiles hold."""
    kept = number(connection, f"SELECT coalesce(sum(length(body)), 0) FROM parts WHERE id & {PART}")  # noqa: S608
    older = fetch(connection, f"SELECT body FROM parts WHERE NOT id & {PART}")  # noqa: S608  the number is our own
    return kept // _RECORD + sum(int(_counts(body)["count"].sum()) for (body,) in older)


def _counts(body: bytes) -> CountArray:
    return np.frombuffer(body, COUNT)


def extend(
    connection: apsw.Connection, identities: Sequence[int], starts: Sequence[int], events: EventArray, first_new: int
) -> None:
    """Append events[starts[i]:starts[i + 1]] to the profile of identities[i]; none has one yet from `first_new` on."""
    data = events.tobytes()
    ranges = [(id_ << PART_BITS | 1, id_ << PART_BITS | PART) for id_ in identities if id_ < first_new]
    last = {id_ >> PART_BITS: (id_, body) for id_, body in connection.executemany(_LAST, ranges)} if ranges else {}
    rows: list[tuple[int, bytes]] = []
    too_long: list[int] = []
    for index, identity in enumerate(identities):
        part, body = last.get(identity, (identity << PART_BITS | 1, b""))
        body += data[starts[index] * _RECORD : starts[index + 1] * _RECORD]
        rows.extend((part + at // _FULL, body[at : at + _FULL]) for at in range(0, len(body), _FULL))
        if ((part & PART) - 1) * SEALED + len(body) // _RECORD > HISTORY + SLACK:
            too_long.append(identity)
    connection.executemany(_WRITE, rows)
    for identity in too_long:
        shorten(connection, identity)


def shorten(connection: apsw.Connection, identity: int) -> None:
    """Keep the newest HISTORY records, counts of the rest: what the profile says stays the same."""
    bounds = (identity << PART_BITS, identity << PART_BITS | PART)
    profile = add_up(fetch(connection, _OF_IDENTITY, *bounds))
    connection.execute("DELETE FROM parts WHERE id BETWEEN ? AND ?", bounds)
    data = profile.events.tobytes()
    rows = [(bounds[0] + 1 + at // _FULL, data[at : at + _FULL]) for at in range(0, len(data), _FULL)]
    connection.executemany(_WRITE, [(bounds[0], profile.counts.tobytes()), *rows])
