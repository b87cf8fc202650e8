"""What lies in the files, and how an older layout becomes today's: numbered steps, each run once.

A part's number (see layout.py) is a row id: SQLite reads a range of those faster than any other index. `events`
holds the same records one by one, by (identity, key), with all that a person or a repeated sending may ask about them.
"""

from collections.abc import Sequence

import apsw

from recommender.errors import StoreError

APPLICATION = 0x4D55524D  # "MURM": what `file` and other readers see

MAIN = (
    """
CREATE TABLE identities(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    customer INTEGER NOT NULL  -- the smallest id among the customer's identities
);
CREATE INDEX identities_of_customer ON identities(customer);
CREATE TABLE events(
    identity INTEGER NOT NULL,
    key INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    record BLOB NOT NULL,
    event_id TEXT,
    extra TEXT,
    PRIMARY KEY(identity, key)
) WITHOUT ROWID;
CREATE TABLE parts(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE names(code INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE items(
    code INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT,
    attributes TEXT,
    available INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    change INTEGER NOT NULL
);
CREATE INDEX items_by_change ON items(change);
CREATE TABLE totals(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES ('events', 0);
""",
    """
CREATE TABLE keys(
    prefix TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
) WITHOUT ROWID;
    """,
    """
CREATE TABLE consents(
    identity INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    at INTEGER NOT NULL,
    given INTEGER NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY(identity, purpose, at)
) WITHOUT ROWID;
CREATE TABLE tombstones(
    digest BLOB PRIMARY KEY,  -- a keyed hash of an identity that was erased
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,  -- what it had in `identities`, which nobody gets again
    lifted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_by_number ON tombstones(number);
CREATE TABLE erasing(name TEXT PRIMARY KEY) WITHOUT ROWID;  -- whose answers are still to go from `ledger.db`
""",
)
"""Of `murmeli.db`. Step n brings a file of version n to version n + 1. A step that was released never changes."""

LEDGER = (
    """
CREATE TABLE answers(recommendation_id TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers(at);
""",
)
"""Of `ledger.db`."""


def prepare(connection: apsw.Connection, steps: Sequence[str]) -> None:
    """Lay the tables out in a new file, or bring an older one up to date; within the caller's transaction.

    Raises StoreError where the file is another program's, or of a version that cannot be read.
    """
    application, version = stamp(connection)
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        connection.pragma("application_id", APPLICATION)
    else:
        check_application(application, version, len(steps))
    for step in steps[version:]:
        connection.execute(step)
    if version < len(steps):
        connection.pragma("user_version", len(steps))


def stamp(connection: apsw.Connection) -> tuple[int, int]:
    """Whose file it is, and of which version."""
    return int(connection.pragma("application_id")), int(connection.pragma("user_version"))


def check_application(application: int, version: int, newest: int) -> None:
    """Raises StoreError unless these numbers say that the file is ours, and no newer than we can read."""
    if application != APPLICATION:
        raise StoreError("This file is a database of another program. Choose another home, or move the file away.")
    if version > newest:
        raise StoreError(f"This store has version {version}; up to {newest} can be read. Upgrade Murmeli.")
    if version < 1:
        raise StoreError(f"This store has version {version}, which no Murmeli wrote. Restore it from a backup.")


def check_version(application: int, version: int, newest: int) -> None:
    """The same, of a file that is only read: it must be up to date."""
    check_application(application, version, newest)
    if version < newest:
        raise StoreError(f"This store has version {version}, not {newest}. `murmeli doctor` brings it up to date.")
