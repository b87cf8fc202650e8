"""Profiles at rest on SQLite: how they are read, extended and shortened (see layout.py for how they lie)."""

from collections.abc import Sequence

import apsw

from recommender.stores.layout import PART, PART_BITS, RECORD, bounds, counts_of, grown, shortened
from recommender.stores.sqlite.database import fetch, number
from recommender.types import EventArray

OF_CUSTOMER = f"""
SELECT p.id, p.body FROM identities n CROSS JOIN identities i ON i.customer = n.customer
CROSS JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE n.name = ?
"""  # noqa: S608  the numbers are our own
"""Finds the parts of all identities of the customer behind one."""
_OF_IDENTITY = "SELECT id, body FROM parts WHERE id BETWEEN ? AND ? ORDER BY id"
_LAST = "SELECT id, body FROM parts WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
_WRITE = "INSERT OR REPLACE INTO parts VALUES (?, ?)"


def count(connection: apsw.Connection) -> int:
    """How many events all profiles hold."""
    kept = number(connection, f"SELECT coalesce(sum(length(body)), 0) FROM parts WHERE id & {PART}")  # noqa: S608
    older = fetch(connection, f"SELECT body FROM parts WHERE NOT id & {PART}")  # noqa: S608  the number is our own
    return kept // RECORD + sum(int(counts_of(body)["count"].sum()) for (body,) in older)


def extend(
    connection: apsw.Connection, identities: Sequence[int], starts: Sequence[int], events: EventArray, first_new: int
) -> None:
    """Append events[starts[i]:starts[i + 1]] to the profile of identities[i]; none has one yet from `first_new` on."""
    ranges = [(first + 1, last) for first, last in (bounds(id_) for id_ in identities if id_ < first_new)]
    last = {id_ >> PART_BITS: (id_, body) for id_, body in connection.executemany(_LAST, ranges)} if ranges else {}
    rows, too_long = grown(last, identities, starts, events)
    connection.executemany(_WRITE, rows)
    for identity in too_long:
        shorten(connection, identity)


def shorten(connection: apsw.Connection, identity: int) -> None:
    """Keep the newest HISTORY records, counts of the rest: what the profile says stays the same."""
    rows = shortened(identity, fetch(connection, _OF_IDENTITY, *bounds(identity)))
    connection.execute("DELETE FROM parts WHERE id BETWEEN ? AND ?", bounds(identity))
    connection.executemany(_WRITE, rows)
