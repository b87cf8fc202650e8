"""What customers agreed to, on SQLite: statements by identity and time, none ever changed."""

from collections.abc import Mapping

import apsw

from recommender.consent import Purpose, Statement, holds
from recommender.stores.base import Known
from recommender.stores.layout import PART, PART_BITS, add_up, known_of
from recommender.stores.sqlite.database import Database, fetch
from recommender.stores.sqlite.identities import enter
from recommender.stores.sqlite.tombstones import Tombstones

_OF_CUSTOMER = """
SELECT i.name, c.purpose, c.given, c.at, c.by FROM identities n CROSS JOIN identities i ON i.customer = n.customer
CROSS JOIN consents c ON c.identity = i.id WHERE n.name = ? ORDER BY i.name, c.purpose, c.at
"""
_STANDING = """
SELECT c.identity, c.at, c.given FROM identities n CROSS JOIN identities i ON i.customer = n.customer
LEFT JOIN consents c ON c.identity = i.id AND c.purpose = ?2 WHERE n.name = ?1
"""
_KNOWN = f"""
SELECT i.name, p.id, p.body FROM identities n CROSS JOIN identities i ON i.customer = n.customer
LEFT JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE n.name = ?
"""  # noqa: S608 - constants alone
_OF_ONE = f"""
SELECT id, body FROM parts WHERE id BETWEEN (
    SELECT n.id << {PART_BITS} FROM identities n WHERE n.name = ?1
    AND NOT EXISTS (SELECT 1 FROM identities j WHERE j.customer = n.customer AND j.id <> n.id)
    AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.identity = n.id AND c.purpose = ?2 AND NOT c.given)
) AND (SELECT (n.id << {PART_BITS}) + {PART} FROM identities n WHERE n.name = ?1)
"""  # noqa: S608 - constants alone
"""The parts of a customer of one identity who never said no: they are most, and a third of the time is enough."""
_STATE = """
INSERT INTO consents SELECT i.id, ?2, max(?3, coalesce((SELECT max(at) + 1 FROM consents
WHERE identity = i.id AND purpose = ?2), 0)), ?4, ?5 FROM identities n CROSS JOIN identities i
ON i.customer = n.customer WHERE n.name = ?1
"""
"""A statement is later than the one before it, whatever the clocks say."""
BY_CUSTOMER = """
SELECT i.customer, c.identity, c.at, c.given FROM consents c CROSS JOIN identities i ON i.id = c.identity
WHERE c.purpose = ?
"""


class SqliteConsents:
    """The `Consents` seam on SQLite."""

    def __init__(self, database: Database, tombstones: Tombstones, unstated: Mapping[Purpose, bool]) -> None:
        self._database, self._tombstones, self._unstated = database, tombstones, unstated

    def state(self, identity: str, given: Mapping[Purpose, bool], at: int, by: str) -> None:
        with self._database.writing() as connection:
            enter(connection, [identity], self._tombstones)
            for purpose, said in given.items():
                connection.execute(_STATE, (identity, purpose.value, at, said, by))

    def allows(self, identity: str, purpose: Purpose) -> bool:
        rows = self._database.fetch(_STANDING, identity, purpose.value)
        if not rows and self._tombstones.among(self._database.reader(), [identity]):
            return False
        return holds(((name, at, bool(given)) for name, at, given in rows if at is not None), self._unstated[purpose])

    def known(self, identity: str, purpose: Purpose) -> Known | None:
        parts = self._database.fetch(_OF_ONE, identity, purpose.value) if self._unstated[purpose] else ()
        if parts:
            return Known((identity,), add_up(parts))
        if not self.allows(identity, purpose):
            return None
        return known_of(self._database.fetch(_KNOWN, identity) or [(identity, None, None)])

    def history(self, identity: str) -> list[Statement]:
        rows = self._database.fetch(_OF_CUSTOMER, identity)
        return [Statement(name, Purpose(purpose), bool(given), at, by) for name, purpose, given, at, by in rows]


def statements_of(connection: apsw.Connection, purpose: Purpose) -> list[tuple[int, int, int, bool]]:
    """(customer, identity, time, given) of every statement of a purpose."""
    return [(*row[:3], bool(row[3])) for row in fetch(connection, BY_CUSTOMER, purpose.value)]
