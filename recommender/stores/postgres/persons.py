"""All that is kept of a person, and its end, on PostgreSQL: one transaction, answers included."""

from collections.abc import Iterator, Sequence
from typing import Any

from recommender.errors import StoreError
from recommender.profile import Profile
from recommender.stores.layout import PART, PART_BITS, add_up
from recommender.stores.postgres.consents import PostgresConsents
from recommender.stores.postgres.database import ERASURE, WHO, Connection, Database, hold
from recommender.stores.postgres.tombstones import Tombstones
from recommender.stores.telling import PAGE, EventRow, Pages

_NUMBERS = """
SELECT i.name, i.id FROM identities n JOIN identities i ON i.customer = n.customer WHERE n.name = %s ORDER BY i.id
"""
_EVENTS = f"""
SELECT e.key, e.record, e.event_id, e.extra FROM identities i JOIN events e ON e.identity = i.id
WHERE i.name = %s AND e.key > %s ORDER BY e.key LIMIT {PAGE}
"""  # noqa: S608 - constants alone
_ANSWERS = f"""
SELECT recommendation_id, body FROM answers WHERE customer = %s AND recommendation_id COLLATE "C" > %s
ORDER BY recommendation_id COLLATE "C" LIMIT {PAGE}
"""  # noqa: S608 - constants alone
_RANGE = f"BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART}"
_PARTS = f"SELECT p.id, p.body FROM identities i JOIN parts p ON p.id {_RANGE} WHERE i.name = %s"  # noqa: S608 - as above
_REMOVED = {
    "events": "DELETE FROM events WHERE identity = ANY(%s)",
    "statements": "DELETE FROM consents WHERE identity = ANY(%s)",
    "parts": f"DELETE FROM parts p USING identities i WHERE i.id = ANY(%s) AND p.id {_RANGE}",  # noqa: S608 - as above
    "identities": "DELETE FROM identities WHERE id = ANY(%s)",
}


class PostgresPersons:
    """The `Persons` seam on PostgreSQL."""

    def __init__(self, database: Database, consents: PostgresConsents, tombstones: Tombstones) -> None:
        self._database, self._consents, self._tombstones = database, consents, tombstones

    def export(self, identity: str) -> Iterator[dict[str, Any]]:
        known = [name for name, _ in self._database.fetch(_NUMBERS, identity)]
        pages = Pages(self._events, self._profile, self._answers, self._names, self._items)
        return pages.records(known, identity, self._consents.history(identity))

    def erase(self, identity: str, at: int) -> dict[str, int]:
        with self._database.writing() as connection:
            hold(connection, ERASURE)
            hold(connection, WHO)
            # Whoever is writing events of theirs holds their rows; whoever waits for these finds none, and looks again.
            numbers = dict(connection.execute(f"{_NUMBERS} FOR UPDATE OF i", (identity,)).fetchall())
            removed = {
                what: connection.execute(query, (list(numbers.values()),)).rowcount for what, query in _REMOVED.items()
            }
            del removed["parts"]
            numbers = numbers or {identity: 0}
            removed["answers"] = _answers_removed(connection, list(numbers))
            self._tombstones.write(connection, numbers, at)
        return removed

    def erased(self, identities: Sequence[str]) -> set[str]:
        with self._database.connection() as connection:
            return self._tombstones.among(connection, identities)

    def check(self) -> list[str]:
        """What is wrong: that tombstones were written under another secret."""
        try:
            self.erased(())
        except StoreError as error:
            return [str(error)]
        return []

    def lift(self, identity: str) -> bool:
        with self._database.writing() as connection:
            return self._tombstones.lift(connection, identity)

    def _events(self, identity: str, after: int) -> list[EventRow]:
        return [(key, record, id_, extra) for key, record, id_, extra in self._database.fetch(_EVENTS, identity, after)]

    def _answers(self, identity: str, after: str) -> list[tuple[str, bytes]]:
        return [(id_, body) for id_, body in self._database.fetch(_ANSWERS, identity, after)]

    def _profile(self, identity: str) -> Profile:
        return add_up(self._database.fetch(_PARTS, identity))

    def _names(self, codes: Sequence[int]) -> dict[int, str]:
        return dict(self._database.fetch("SELECT code, name FROM names WHERE code = ANY(%s)", list(codes)))

    def _items(self, codes: Sequence[int]) -> dict[int, str]:
        return dict(self._database.fetch("SELECT code, id FROM items WHERE code = ANY(%s)", list(codes)))


def _answers_removed(connection: Connection, names: Sequence[str]) -> int:
    return connection.execute("DELETE FROM answers WHERE customer = ANY(%s)", (list(names),)).rowcount
