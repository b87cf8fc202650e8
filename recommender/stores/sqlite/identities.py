"""Who is who, on SQLite: each identity points at its customer, the smallest number among that customer's."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import apsw
import numpy as np
import orjson

from recommender.errors import ErasedError
from recommender.identity import link, unlink
from recommender.stores.sqlite.database import Database, fetch, number
from recommender.stores.sqlite.tombstones import Tombstones
from recommender.types import IntArray

_OF_CUSTOMER = """
SELECT i.name FROM identities n CROSS JOIN identities i ON i.customer = n.customer WHERE n.name = ? ORDER BY i.name
"""
_JOIN = """
UPDATE identities SET customer = (SELECT min(id) FROM identities WHERE name IN (SELECT value FROM json_each(?1)))
WHERE name IN (SELECT value FROM json_each(?1))
"""
_NEXT = """
SELECT 1 + max((SELECT coalesce(max(id), 0) FROM identities), (SELECT coalesce(max(number), 0) FROM tombstones))
"""


class SqliteIdentities:
    """The `Identities` seam on SQLite."""

    def __init__(self, database: Database, strong: Sequence[str], tombstones: Tombstones) -> None:
        self._database = database
        self._strong = tuple(strong)
        self._tombstones = tombstones

    def find(self, identity: str) -> list[str]:
        return [name for (name,) in self._database.fetch(_OF_CUSTOMER, identity)] or [identity]

    def link(self, a: str, b: str) -> list[str]:
        with self._database.writing() as connection:
            enter(connection, sorted({a, b}), self._tombstones)
            of_a, of_b = frozenset(_of_customer(connection, a)), frozenset(_of_customer(connection, b))
            _store(connection, link(a, b, of_a, of_b, self._strong))
            return _of_customer(connection, a)

    def unlink(self, identity: str) -> list[str]:
        with self._database.writing() as connection:
            _store(connection, unlink(identity, frozenset(_of_customer(connection, identity))))
            return [identity]


def _of_customer(connection: apsw.Connection, identity: str) -> list[str]:
    return [name for (name,) in fetch(connection, _OF_CUSTOMER, identity)]


def _store(connection: apsw.Connection, customers: Iterable[AbstractSet[str]]) -> None:
    for customer in customers:
        connection.execute(_JOIN, (orjson.dumps(sorted(customer)).decode(),))


def enter(connection: apsw.Connection, identities: Sequence[str], tombstones: Tombstones) -> None:
    """Make each of them known. Raises ErasedError where one was erased."""
    numbers, _ = enrol(connection, identities, np.arange(len(identities)), tombstones)
    if not numbers.all():
        raise ErasedError


def enrol(
    connection: apsw.Connection, identities: Sequence[str], who: IntArray, tombstones: Tombstones
) -> tuple[IntArray, int]:
    """The number of each event's identity, and the number from which on they are new; who: shape (n,), indexes.

    Those never seen become customers of their own; those that were erased have no number, 0.
    """
    used = np.zeros(len(identities), np.bool_)
    used[who] = True
    wanted = [(identities[at], at) for at in np.flatnonzero(used).tolist()]
    numbers = np.zeros(len(identities), np.int64)
    for at, id_ in connection.executemany("SELECT ?2, id FROM identities WHERE name = ?1", wanted):
        numbers[at] = id_
    unseen = np.flatnonzero(used & (numbers == 0)).tolist()
    erased = tombstones.among(connection, [identities[at] for at in unseen]) if unseen else ()
    new = np.array([at for at in unseen if identities[at] not in erased], np.int64)
    first_new = number(connection, _NEXT)
    numbers[new] = np.arange(first_new, first_new + new.size)
    rows = [(id_, identities[at]) for id_, at in zip(numbers[new].tolist(), new.tolist(), strict=True)]
    connection.executemany("INSERT INTO identities VALUES (?1, ?2, ?1)", rows)
    return numbers[who], first_new
