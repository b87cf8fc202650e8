"""A site moves from SQLite to PostgreSQL: the tables have the same columns, so rows are copied as they are.

An answer's customer has a column of its own there, where SQLite looks into the body.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from recommender.errors import UsageError
from recommender.stores.postgres import schema
from recommender.stores.postgres.database import Connection, Database, number
from recommender.stores.sqlite.database import Database as SqliteDatabase
from recommender.stores.sqlite.database import explained
from recommender.stores.sqlite.database import number as sqlite_number
from recommender.stores.sqlite.ledger import CUSTOMER
from recommender.stores.sqlite.schema import LEDGER, MAIN
from recommender.stores.sqlite.store import LEDGER_FILE, MAIN_FILE

TABLES: dict[str, tuple[str, ...]] = {
    "identities": ("int8", "text", "int8"),
    "events": ("int8", "int8", "int8", "bytea", "text", "text"),
    "parts": ("int8", "bytea"),
    "names": ("int4", "text"),
    "items": ("int8", "text", "text", "text", "text", "bool", "bool", "int8"),
    "keys": ("text", "bytea", "text", "text", "int8", "int8"),
    "consents": ("int8", "text", "int8", "bool", "text"),
    "tombstones": ("bytea", "int8", "int8", "bool"),
}
"""What `murmeli.db` holds, each table with its columns' types."""

ANSWERS = ("text", "int8", "bytea", "text")

Progress = Callable[[str, float, float], None]
"""Called with a table, how many of its rows are copied, of how many."""


def move(home: Path, url: str, progress: Progress) -> dict[str, int]:
    """Copy a home's store into an empty PostgreSQL store; returns the rows of each table.

    All that the home holds at this moment is there afterwards, or nothing. What is written to it meanwhile is not
    copied: stop its server first. Raises UsageError where the target holds something, StoreError where a side cannot
    be used.
    """
    main = SqliteDatabase(home / MAIN_FILE, MAIN, synchronous="FULL", writable=False)
    ledger = SqliteDatabase(home / LEDGER_FILE, LEDGER, synchronous="NORMAL", writable=False)
    target = Database(url, writable=True)
    try:
        schema.prepare(target)
        with main.reading(), ledger.reading(), target.writing() as connection:  # each side as of one moment
            connection.execute(f"LOCK TABLE {', '.join((*TABLES, 'answers'))} IN EXCLUSIVE MODE")
            _wanted_empty(connection)
            _wanted_whole(main)
            copied = {name: _copy(connection, main, name, types, progress) for name, types in TABLES.items()}
            copied["answers"] = _copy(connection, ledger, "answers", ANSWERS, progress, f"*, {CUSTOMER}")
        target.execute("ANALYZE")
        return copied
    finally:
        for side in (main, ledger, target):
            side.close()


def _wanted_empty(connection: Connection) -> None:
    for name in (*TABLES, "answers"):
        if number(connection, f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT 1) AS any_row"):  # noqa: S608
            raise UsageError(
                "The target holds a store already; nothing was copied. Give an empty database, or another schema "
                "of it: ...?options=-csearch_path%3DNAME."
            )


def _wanted_whole(main: SqliteDatabase) -> None:
    """Somebody whose answers are still to go would come back with them."""
    if sqlite_number(main.reader(), "SELECT count(*) FROM erasing"):
        raise UsageError("An erasure was broken off in this home. `murmeli doctor` finishes it; then move.")


def _copy(
    connection: Connection,
    source: SqliteDatabase,
    table: str,
    types: Sequence[str],
    progress: Progress,
    columns: str = "*",
) -> int:
    with explained(source.path):
        reader = source.reader()
        total = sqlite_number(reader, f"SELECT count(*) FROM {table}")  # noqa: S608  our own names
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(list(types))
            flags = [at for at, name in enumerate(types) if name == "bool"]
            found = reader.execute(f"SELECT {columns} FROM {table}")  # noqa: S608  our own names
            for count, row in enumerate(_rows(found, flags)):
                copy.write_row(row)
                if count % 10_000 == 0:
                    progress(table, count, total)
        progress(table, total, total)
    return total


def _rows(found: Iterator[tuple[Any, ...]], flags: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """SQLite keeps what is true or false as 1 or 0."""
    if not flags:
        return found
    return (tuple(bool(value) if at in flags else value for at, value in enumerate(row)) for row in found)
