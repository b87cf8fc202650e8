"""What customers agreed to, on PostgreSQL: statements by identity and time, none ever changed."""

from collections.abc import Mapping

from recommender.consent import Purpose, Statement, holds
from recommender.stores.base import Known
from recommender.stores.layout import PART, PART_BITS, known_of
from recommender.stores.postgres.database import WHO, Connection, Database, hold, rows
from recommender.stores.postgres.identities import enter
from recommender.stores.postgres.tombstones import Tombstones

_OF_CUSTOMER = """
SELECT i.name, c.purpose, c.given, c.at, c.by FROM identities n JOIN identities i ON i.customer = n.customer
JOIN consents c ON c.identity = i.id WHERE n.name = %s ORDER BY i.name, c.purpose, c.at
"""
OF_CUSTOMER = f"""
SELECT p.id, p.body FROM identities n JOIN identities i ON i.customer = n.customer
JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE n.name = %s
"""  # noqa: S608  the numbers are our own
_KNOWN = f"""
SELECT i.name, p.id, p.body FROM identities n JOIN identities i ON i.customer = n.customer
LEFT JOIN parts p ON p.id BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART} WHERE n.name = %s
"""  # noqa: S608  the numbers are our own
_STANDING = """
SELECT c.identity, c.at, c.given, n.id IS NULL AND EXISTS (SELECT 1 FROM tombstones)
FROM (SELECT 1) AS always LEFT JOIN identities n ON n.name = %s LEFT JOIN identities i ON i.customer = n.customer
LEFT JOIN consents c ON c.identity = i.id AND c.purpose = %s
"""
"""At least one row; it says of a stranger whether they may have been erased, so that mostly one question is enough."""
_AGREED = f"""
{_KNOWN} AND NOT EXISTS (
    SELECT 1 FROM identities j JOIN consents c ON c.identity = j.id AND c.purpose = %s
    WHERE j.customer = n.customer AND NOT c.given
)
"""  # noqa: S608 - constants alone
"""The customer who never said no: they are most, and one question is enough for them."""
_STATE = """
INSERT INTO consents SELECT i.id, %(purpose)s, greatest(%(at)s, (SELECT max(at) + 1 FROM consents c
WHERE c.identity = i.id AND c.purpose = %(purpose)s)), %(given)s, %(by)s
FROM identities n JOIN identities i ON i.customer = n.customer WHERE n.name = %(name)s
"""
"""A statement is later than the one before it, whatever the clocks say."""
_BY_CUSTOMER = """
SELECT i.customer, c.identity, c.at, c.given FROM consents c JOIN identities i ON i.id = c.identity WHERE c.purpose = %s
"""


class PostgresConsents:
    """The `Consents` seam on PostgreSQL."""

    def __init__(self, database: Database, tombstones: Tombstones, unstated: Mapping[Purpose, bool]) -> None:
        self._database, self._tombstones, self._unstated = database, tombstones, unstated

    def state(self, identity: str, given: Mapping[Purpose, bool], at: int, by: str) -> None:
        with self._database.writing() as connection:
            hold(connection, WHO)
            enter(connection, [identity], self._tombstones)
            for purpose, said in given.items():
                row = {"name": identity, "purpose": purpose.value, "at": at, "given": said, "by": by}
                connection.execute(_STATE, row)

    def allows(self, identity: str, purpose: Purpose) -> bool:
        found = self._database.fetch(_STANDING, identity, purpose.value)
        if found[0][3]:
            with self._database.connection() as connection:
                if self._tombstones.among(connection, [identity]):
                    return False
        return holds(((name, at, given) for name, at, given, _ in found if at is not None), self._unstated[purpose])

    def known(self, identity: str, purpose: Purpose) -> Known | None:
        found = self._database.fetch(_AGREED, identity, purpose.value) if self._unstated[purpose] else ()
        if not found:
            if not self.allows(identity, purpose):
                return None
            found = self._database.fetch(_KNOWN, identity)
        return known_of(found or [(identity, None, None)])

    def history(self, identity: str) -> list[Statement]:
        found = self._database.fetch(_OF_CUSTOMER, identity)
        return [Statement(name, Purpose(purpose), given, at, by) for name, purpose, given, at, by in found]


def statements_of(connection: Connection, purpose: Purpose) -> list[tuple[int, int, int, bool]]:
    """(customer, identity, time, given) of every statement of a purpose."""
    return [(row[0], row[1], row[2], row[3]) for row in rows(connection, _BY_CUSTOMER, purpose.value)]
