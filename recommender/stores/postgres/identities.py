"""Who is who, on PostgreSQL: each identity points at its customer, the smallest number among that customer's."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from recommender.errors import ErasedError
from recommender.identity import link, unlink
from recommender.stores.postgres.database import WHO, Connection, Database, hold, many, number, rows
from recommender.stores.postgres.tombstones import Tombstones
from recommender.types import IntArray

_OF_CUSTOMER = """
SELECT i.name FROM identities n JOIN identities i ON i.customer = n.customer WHERE n.name = %s ORDER BY i.name
"""
_JOIN = """
UPDATE identities SET customer = (SELECT min(id) FROM identities WHERE name = ANY(%(names)s))
WHERE name = ANY(%(names)s)
"""
_NEXT = """
SELECT 1 + greatest((SELECT max(id) FROM identities), (SELECT max(number) FROM tombstones), 0)
"""
_NUMBERS = "SELECT name, id FROM identities WHERE name = ANY(%s)"


class PostgresIdentities:
    """The `Identities` seam on PostgreSQL."""

    def __init__(self, database: Database, strong: Sequence[str], tombstones: Tombstones) -> None:
        self._database = database
        self._strong = tuple(strong)
        self._tombstones = tombstones

    def find(self, identity: str) -> list[str]:
        return [name for (name,) in self._database.fetch(_OF_CUSTOMER, identity)] or [identity]

    def link(self, a: str, b: str) -> list[str]:
        with self._database.writing() as connection:
            hold(connection, WHO)
            enter(connection, sorted({a, b}), self._tombstones)
            of_a, of_b = frozenset(_of_customer(connection, a)), frozenset(_of_customer(connection, b))
            _store(connection, link(a, b, of_a, of_b, self._strong))
            return _of_customer(connection, a)

    def unlink(self, identity: str) -> list[str]:
        with self._database.writing() as connection:
            hold(connection, WHO)
            _store(connection, unlink(identity, frozenset(_of_customer(connection, identity))))
            return [identity]


def _of_customer(connection: Connection, identity: str) -> list[str]:
    return [name for (name,) in rows(connection, _OF_CUSTOMER, identity)]


def _store(connection: Connection, customers: Iterable[AbstractSet[str]]) -> None:
    for customer in customers:
        connection.execute(_JOIN, {"names": sorted(customer)})


def enter(connection: Connection, identities: Sequence[str], tombstones: Tombstones) -> None:
    """Make each of them known. Raises ErasedError where one was erased."""
    numbers, _ = enrol(connection, identities, np.arange(len(identities)), tombstones)
    if not numbers.all():
        raise ErasedError


def enrol(
    connection: Connection, identities: Sequence[str], who: IntArray, tombstones: Tombstones
) -> tuple[IntArray, int]:
    """The number of each event's identity, and the number from which on they are new; who: shape (n,), indexes.

    Those never seen become customers of their own; those that were erased have no number, 0.
    """
    used = np.zeros(len(identities), np.bool_)
    used[who] = True
    wanted = [identities[at] for at in np.flatnonzero(used).tolist()]
    known: dict[str, int] = dict(rows(connection, _NUMBERS, wanted))
    first_new = np.iinfo(np.int64).max
    if len(known) < len(wanted):
        hold(connection, WHO)
        known |= dict(rows(connection, _NUMBERS, [name for name in wanted if name not in known]))
        unseen = [name for name in wanted if name not in known]
        erased = tombstones.among(connection, unseen) if unseen else set()
        new = [name for name in unseen if name not in erased]
        if new:
            first_new = number(connection, _NEXT)
            known |= {name: first_new + at for at, name in enumerate(new)}
            many(connection, "INSERT INTO identities VALUES (%s, %s, %s)", [(known[n], n, known[n]) for n in new])
    numbers = np.zeros(len(identities), np.int64)
    numbers[used] = [known.get(name, 0) for name in wanted]
    return numbers[who], int(first_new)
