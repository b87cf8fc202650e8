"""One SQLite file: a writer that one thread holds at a time, and a reader for each thread.

WAL lets readers of any process go on while one writes. Each read is its own
short transaction, so it sees every commit made before it. apsw brings its own
SQLite: CPython's is the system's, and up to 3.51.2 that can corrupt a WAL file
which several processes write and checkpoint, as the server and the command
line do. It is no slower: one event with its profile .31 ms (stdlib .29), 500
events 3.8 ms (4.3), the bytes of a profile of 500 events 14 us (13).
"""

import math
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from recommender.errors import StoreError, StoreFullError
from recommender.stores.sqlite.schema import check_version, prepare, stamp

BUSY_MS = 30_000
"""How long a writer waits for another process; an import's transaction takes about half a second."""
BUSY_EVERY = 0.01
"""Seconds between two tries where SQLite itself does not wait."""
WIPE_MS = 200
"""How long the end of an erasure waits for readers of before."""
WIPE_EVERY = 5.0
"""Seconds until it tries again."""
CHECKPOINT_PAGES = 4_000
CACHE_KIB = 16 * 1024
"""What the writer of a file keeps of it in memory, at most."""


class Database:
    """One file and its connections."""

    def __init__(self, path: Path, steps: Sequence[str], *, synchronous: str, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._synchronous = synchronous
        self._lock = threading.RLock()
        self._local = threading.local()
        self._readers: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self._closed = False
        self._wipe_at = math.inf
        self._writer: apsw.Connection | None = None
        with explained(path):
            if writable:
                self._writer = self._open_writer(steps)
            else:
                check_version(*stamp(self.reader()), len(steps))

    def _open_writer(self, steps: Sequence[str]) -> apsw.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MS)
        try:
            connection.pragma("synchronous", self._synchronous)
            connection.pragma("cache_size", -CACHE_KIB)
            connection.pragma("secure_delete", "ON")
            with _immediate(connection):
                prepare(connection, steps)
            _log_ahead(connection)
            connection.pragma("journal_size_limit", 4 * CHECKPOINT_PAGES * 4096)
            connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        except BaseException:
            connection.close()
            raise
        return connection

    def reader(self) -> apsw.Connection:
        """The calling thread's own connection, read only."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None or self._closed:
            connection = self._local.connection = self.new_reader()
        return connection

    def new_reader(self) -> apsw.Connection:
        """A connection of the caller's own, to hold a snapshot with; the caller closes it."""
        if self._closed:
            raise StoreError("This store is closed. Open it again.")
        if not self.path.exists():
            raise StoreError(f"There is no store at {self.path}. `murmeli import events FILE` makes one.")
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        self._readers.add(connection)
        return connection

    def fetch(self, query: str, *bindings: int | str) -> list[tuple[Any, ...]]:
        """All rows that one query finds, as of now."""
        try:  # what `explained` does, 3 us sooner: this is on the way of every answer
            return self.reader().execute(query, bindings).fetchall()
        except apsw.Error as error:
            raise _in_our_words(self.path, error) from error

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """The calling thread's connection, for several queries as of one moment."""
        with explained(self.path):
            connection = self.reader()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def writing(self, *, surely: bool = False) -> Iterator[apsw.Connection]:
        """One transaction: all of the block is durable when it ends, or nothing of it is there.

        surely: also against a power cut, where the file otherwise does without.
        """
        with self._lock, explained(self.path):
            if self._writer is None:
                reason = "closed. Open it again" if self._closed else "open for reading only. Open it writable"
                raise StoreError(f"This store is {reason}.")
            if surely:
                self._writer.pragma("synchronous", "FULL")
            try:
                with _immediate(self._writer):
                    yield self._writer
            finally:
                if surely:
                    self._writer.pragma("synchronous", self._synchronous)
            if time.monotonic() >= self._wipe_at:
                self.wipe()

    def wipe(self) -> None:
        """Leave nothing of what was deleted in the write-ahead log: in the file it is overwritten (secure_delete).

        Where a reader of before is in the way, it is done after a later transaction.
        """
        with self._lock, explained(self.path):
            assert self._writer is not None  # noqa: S101 - whoever has deleted has it open
            self._wipe_at = time.monotonic() + WIPE_EVERY
            self._writer.set_busy_timeout(WIPE_MS)
            try:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._wipe_at = math.inf
            except apsw.BusyError:
                pass
            finally:
                self._writer.set_busy_timeout(BUSY_MS)

    def bytes(self) -> int:
        """The size of the file, what waits in its log not counted."""
        return _size(self.path)

    def close(self) -> None:
        """Close every connection, of other threads too."""
        with self._lock, explained(self.path):
            self._closed = True
            for connection in list(self._readers):
                connection.close()
            if self._writer is not None:
                self._writer.close()
            self._writer = None

    def check(self) -> tuple[dict[str, object], list[str]]:
        """How the file is written and how large it is; and what is wrong with it, be it that it cannot be read."""
        try:
            return self._check()
        except StoreError as error:
            return {"bytes": self.bytes()}, [str(error)]

    def _check(self) -> tuple[dict[str, object], list[str]]:
        with self._lock, self.reading() as connection:
            writer = self._writer or connection
            journal = str(connection.pragma("journal_mode"))
            found = {
                "synchronous": {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}[int(writer.pragma("synchronous"))],
                "journal_mode": journal,
                "bytes": self.bytes(),
                "wal_bytes": _size(self.path.with_name(f"{self.path.name}-wal")),
            }
            problems = [
                f"{self.path.name}: {row[0]}" for row in connection.execute("PRAGMA quick_check") if row[0] != "ok"
            ]
        if journal != "wal":
            problems.append(f"{self.path.name}: journal mode is {journal}, wanted wal")
        if self.writable and found["synchronous"] != self._synchronous:
            problems.append(f"{self.path.name}: synchronous is {found['synchronous']}, wanted {self._synchronous}")
        return found, problems


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def fetch(connection: apsw.Connection, query: str, *bindings: int | str) -> list[tuple[Any, ...]]:
    """All rows that a query finds."""
    return connection.execute(query, bindings).fetchall()


def number(connection: apsw.Connection, query: str, *bindings: int | str) -> int:
    """The one number that a query finds."""
    return int(fetch(connection, query, *bindings)[0][0])


@contextmanager
def _immediate(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _log_ahead(connection: apsw.Connection) -> None:
    """Switch to a write-ahead log; SQLite does not wait for others who open the file at the same moment."""
    until = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(BUSY_EVERY)
        else:
            return


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Tell what SQLite and the system raise in our own errors, with a remedy."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise _in_our_words(path, error) from error


def _in_our_words(path: Path, error: Exception) -> StoreError:
    if isinstance(error, apsw.FullError):
        return StoreFullError(f"There is no room left to write {path}. Free some space; nothing was half written.")
    remedy = "Run `murmeli doctor`."
    if isinstance(error, (apsw.CantOpenError, apsw.ReadOnlyError, OSError)):
        remedy = f"Make the folder {path.parent} and the files in it writable for this user, or choose another home."
    elif isinstance(error, apsw.BusyError):
        remedy = f"Another process has been writing for {BUSY_MS // 1000} s; wait for it or stop it."
    elif isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        remedy = "The file is damaged or not a store; restore it from a backup."
    return StoreError(f"{path} cannot be used: {error}. {remedy}")
