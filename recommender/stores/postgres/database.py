"""One PostgreSQL database: a pool of connections, and its errors in our own words.

Every change is one transaction, durable when it is acknowledged
(synchronous_commit on). Transactions take their locks in one order, so that
replicas never wait for each other in a circle: ERASURE first, then WHO, then
identities ascending, then CATALOGUE.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from recommender.errors import StoreError, StoreFullError

Connection = psycopg.Connection[tuple[Any, ...]]

WHO = 0x4D55_0001
"""Held by who adds or joins identities, so that their numbers have no gaps and a customer is never read half-joined."""

CATALOGUE = 0x4D55_0002
"""Held by who changes the catalogue: changes become visible in the order of their numbers."""

LAYOUT = 0x4D55_0003
"""Held by who brings the tables up to date."""

ERASURE = 0x4D55_0004
"""Held by who erases a person; held together by those who write answers, which must not come in behind that."""

MOST = 8
"""Connections of one process."""

PATIENCE = 10.0
"""Seconds to wait for a connection, for the database at the start, and for a word from one that has fallen silent."""

RECONNECT = 2.0
"""Seconds after which the pool gives up and waits to be asked again; else it would try ever less often."""


class Database:
    """The connections to one database; safe for any number of threads."""

    def __init__(self, url: str, *, writable: bool) -> None:
        self.writable = writable
        self.place = _place(url)
        options = {"autocommit": True, "connect_timeout": int(PATIENCE), "application_name": "murmeli"}
        options["tcp_user_timeout"] = int(PATIENCE * 1000)
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=MOST,
            timeout=PATIENCE,
            reconnect_timeout=RECONNECT,
            kwargs=options,
            configure=_configure,
            open=False,
        )
        self._closed = False
        with self.explained():
            psycopg.connect(url, connect_timeout=int(PATIENCE)).close()  # the pool would try again and again, unheard
            self._pool.open(wait=True, timeout=PATIENCE)

    def fetch(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that one query finds, as of now. A connection that broke while it was idle is replaced."""
        with self.explained(), self._pooled() as connection:
            try:
                return rows(connection, query, *values)
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
        with self.connection() as connection:
            return rows(connection, query, *values)

    def execute(self, statement: str) -> None:
        """One statement that finds nothing."""
        with self.connection() as connection:
            connection.execute(statement)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that works; each statement sees every commit made before it."""
        with self.explained():
            while True:
                with self._pooled() as connection:
                    if _works(connection):
                        yield connection
                        return

    def _pooled(self) -> AbstractContextManager[Connection]:
        """A connection that may have broken while it was idle; the pool replaces it then."""
        if self._closed:
            raise StoreError("This store is closed. Open it again.")
        return self._pool.connection()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for several queries as of one moment."""
        with self.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of the block is durable when it ends, or nothing of it is there."""
        if not self.writable:
            raise StoreError("This store is open for reading only. Open it writable.")
        with self.connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell what PostgreSQL raises in our own errors, with a remedy; never its details, which may hold values."""
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise StoreFullError(f"{self.place} has no room left. Free some; nothing was half written.") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError(f"{self.place} refuses this user. Grant it the rights on its schema.") from error
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise StoreError(f"{self.place} cannot be reached. Check that it runs, and MURMELI_DATABASE.") from error
        except psycopg.Error as error:
            code = error.sqlstate or "none"
            raise StoreError(f"{self.place} refused a statement (SQLSTATE {code}). Run `murmeli doctor`.") from error

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
        self._closed = True
        self._pool.close()


def rows(connection: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows that one query finds."""
    return connection.execute(query, values or None, binary=True).fetchall()


def number(connection: Connection, query: str, *values: object) -> int:
    """The one number that a query finds."""
    return int(rows(connection, query, *values)[0][0])


def hold(connection: Connection, lock: int, *, shared: bool = False) -> None:
    """Wait for one of the locks above, and hold it until the transaction ends; shared: together with others."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    connection.execute(f"SELECT {function}(%s, hashtext(current_schema()))", (lock & 0x7FFF_FFFF,))


def many(connection: Connection, query: str, values: Sequence[Sequence[object]]) -> None:
    """One statement for each row of values, in one round trip or few."""
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(query, values)


def _works(connection: Connection) -> bool:
    try:
        connection.execute("")
    except psycopg.OperationalError:
        return False
    return True


def _configure(connection: Connection) -> None:
    connection.execute("SET synchronous_commit TO on")
    connection.execute("SET client_encoding TO 'UTF8'")
    connection.prepare_threshold = 2


def _place(url: str) -> str:
    """Where the database is, for messages: never its password."""
    try:
        known = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StoreError(
            "MURMELI_DATABASE is not a PostgreSQL address; write postgresql://user@host:5432/name."
        ) from None
    return f"PostgreSQL {known.get('dbname', '')!r} at {known.get('host', 'the local socket')}"
