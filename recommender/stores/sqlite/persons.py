"""All that is kept of a person, and its end, on SQLite.

Two files cannot share a transaction. So an erasure first writes, in one transaction with everything that it does to
`murmeli.db`, whose answers are to go from `ledger.db`; it is over when these are gone too. Whoever opens the store
after a crash finishes it, and an answer that is written meanwhile asks for tombstones while it holds the ledger.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import orjson

from recommender.errors import StoreError
from recommender.profile import Profile
from recommender.stores.layout import PART, PART_BITS, add_up, bounds
from recommender.stores.sqlite.consents import SqliteConsents
from recommender.stores.sqlite.database import Database, fetch
from recommender.stores.sqlite.ledger import CUSTOMER
from recommender.stores.sqlite.tombstones import Tombstones
from recommender.stores.telling import PAGE, EventRow, Pages

_NUMBERS = """
SELECT i.name, i.id FROM identities n CROSS JOIN identities i ON i.customer = n.customer WHERE n.name = ? ORDER BY i.id
"""
_EVENTS = f"""
SELECT e.key, e.record, e.event_id, e.extra FROM identities i CROSS JOIN events e ON e.identity = i.id
WHERE i.name = ? AND e.key > ? ORDER BY e.key LIMIT {PAGE}
"""  # noqa: S608 - constants alone
_ANSWERS = f"""
SELECT recommendation_id, body FROM answers WHERE {CUSTOMER} = ? AND recommendation_id > ?
ORDER BY recommendation_id LIMIT {PAGE}
"""  # noqa: S608 - constants alone
_PARTS = f"""
SELECT p.id, p.body FROM identities i
CROSS JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE i.name = ?
"""  # noqa: S608 - constants alone
_NAMES = "SELECT code, name FROM names WHERE code IN (SELECT value FROM json_each(?))"
_ITEMS = "SELECT code, id FROM items WHERE code IN (SELECT value FROM json_each(?))"


class SqlitePersons:
    """The `Persons` seam on SQLite."""

    def __init__(self, main: Database, ledger: Database, consents: SqliteConsents, tombstones: Tombstones) -> None:
        self._main, self._ledger, self._consents, self._tombstones = main, ledger, consents, tombstones
        if main.writable:
            self._finish()

    def export(self, identity: str) -> Iterator[dict[str, Any]]:
        known = [name for name, _ in self._main.fetch(_NUMBERS, identity)]
        pages = Pages(self._events, self._profile, self._answers, self._names, self._items)
        return pages.records(known, identity, self._consents.history(identity))

    def erase(self, identity: str, at: int) -> dict[str, int]:
        with self._main.writing() as connection:
            numbers = dict(fetch(connection, _NUMBERS, identity))
            removed = {"identities": len(numbers), "events": 0, "statements": 0}
            for id_ in numbers.values():
                removed["events"] += _removed(connection, "events WHERE identity = ?", id_)
                removed["statements"] += _removed(connection, "consents WHERE identity = ?", id_)
                _removed(connection, "parts WHERE id BETWEEN ? AND ?", *bounds(id_))
                _removed(connection, "identities WHERE id = ?", id_)
            connection.execute("UPDATE totals SET value = value - ? WHERE name = 'events'", (removed["events"],))
            numbers = numbers or {identity: 0}
            self._tombstones.write(connection, numbers, at)
            connection.executemany("INSERT OR IGNORE INTO erasing VALUES (?)", [(name,) for name in numbers])
        return removed | {"answers": self._finish()}

    def erased(self, identities: Sequence[str]) -> set[str]:
        with self._main.reading() as connection:
            return self._tombstones.among(connection, identities)

    def check(self) -> list[str]:
        """What is wrong: that tombstones were written under another secret."""
        try:
            self.erased(())
        except StoreError as error:
            return [str(error)]
        return []

    def lift(self, identity: str) -> bool:
        with self._main.writing() as connection:
            return self._tombstones.lift(connection, identity)

    def _finish(self) -> int:
        """Remove the answers of those who are being erased, and what is left of them in freed pages and journals."""
        names = self._main.fetch("SELECT name FROM erasing")
        if not names:
            return 0
        with self._ledger.writing(surely=True) as connection:
            answers = sum(_removed(connection, f"answers WHERE {CUSTOMER} = ?", name) for (name,) in names)
        with self._main.writing() as connection:
            connection.executemany("DELETE FROM erasing WHERE name = ?", names)
        self._main.wipe()
        self._ledger.wipe()
        return answers

    def _events(self, identity: str, after: int) -> list[EventRow]:
        return self._main.fetch(_EVENTS, identity, after)

    def _answers(self, identity: str, after: str) -> list[tuple[str, bytes]]:
        return self._ledger.fetch(_ANSWERS, identity, after)

    def _profile(self, identity: str) -> Profile:
        return add_up(self._main.fetch(_PARTS, identity))

    def _names(self, codes: Sequence[int]) -> dict[int, str]:
        return dict(self._main.fetch(_NAMES, orjson.dumps(codes).decode()))

    def _items(self, codes: Sequence[int]) -> dict[int, str]:
        return dict(self._main.fetch(_ITEMS, orjson.dumps(codes).decode()))


def _removed(connection: apsw.Connection, rows: str, *bindings: int | str) -> int:
    connection.execute(f"DELETE FROM {rows}", bindings)  # noqa: S608 - our own words
    return connection.changes()
