"""What lies in the database, and how an older layout becomes today's: numbered steps, each run once.

They lie in the first schema of the connection's search path, so several sites can share a database.
"""

from recommender.errors import StoreError
from recommender.stores.postgres.database import LAYOUT, Database, hold, number

STEPS = (
    """
    CREATE TABLE identities(
        id bigint PRIMARY KEY,
        name text COLLATE "C" NOT NULL UNIQUE,
        customer bigint NOT NULL  -- the smallest id among the customer's identities
    );
    CREATE INDEX identities_of_customer ON identities(customer);
    CREATE TABLE events(
        identity bigint NOT NULL,
        key bigint NOT NULL,
        digest bigint NOT NULL,
        record bytea NOT NULL,
        event_id text,
        extra text,
        PRIMARY KEY(identity, key)
    );
    CREATE TABLE parts(id bigint PRIMARY KEY, body bytea NOT NULL) WITH (fillfactor = 70);
    ALTER TABLE parts ALTER body SET STORAGE EXTERNAL;  -- integers of hashes do not get smaller
    CREATE TABLE names(code integer PRIMARY KEY, name text NOT NULL);
    CREATE TABLE items(
        code bigint PRIMARY KEY,
        id text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        title text,
        attributes text,
        available boolean NOT NULL,
        deleted boolean NOT NULL,
        change bigint NOT NULL
    );
    CREATE INDEX items_by_change ON items(change);
    CREATE TABLE answers(recommendation_id text PRIMARY KEY, at bigint NOT NULL, body bytea NOT NULL);
    CREATE INDEX answers_by_time ON answers(at);
    """,
    """
    ALTER TABLE answers ADD COLUMN customer text COLLATE "C";  -- the identity that it was for
    UPDATE answers SET customer = convert_from(body, 'UTF8')::json ->> 'customer';
    CREATE INDEX answers_of_customer ON answers(customer, recommendation_id COLLATE "C" DESC);
    """,
    """
    CREATE TABLE keys(
        prefix text COLLATE "C" PRIMARY KEY,
        digest bytea NOT NULL,
        role text NOT NULL,
        name text NOT NULL,
        created bigint NOT NULL,
        revoked bigint
    );
    """,
    """
    CREATE TABLE consents(
        identity bigint NOT NULL,
        purpose text NOT NULL,
        at bigint NOT NULL,
        given boolean NOT NULL,
        by text NOT NULL,
        PRIMARY KEY(identity, purpose, at)
    );
    CREATE TABLE tombstones(
        digest bytea PRIMARY KEY,  -- a keyed hash of an identity that was erased
        at bigint NOT NULL,
        number bigint NOT NULL,  -- what it had in identities, which nobody gets again
        lifted boolean NOT NULL
    );
    CREATE INDEX tombstones_by_number ON tombstones(number);
    """,
)
"""Step n brings a database of version n to version n + 1. A step that was released never changes."""

VERSION = len(STEPS)


def prepare(database: Database) -> None:
    """Bring the tables up to date, in one transaction; a second replica that starts meanwhile waits.

    Raises StoreError where they are of a newer Murmeli.
    """
    with database.writing() as connection:
        hold(connection, LAYOUT)
        connection.execute("CREATE TABLE IF NOT EXISTS murmeli(version integer NOT NULL)")
        found = number(connection, "SELECT coalesce(max(version), 0) FROM murmeli")
        check_version(found)
        for step in STEPS[found:]:
            connection.execute(step)
        if found < VERSION:
            connection.execute("DELETE FROM murmeli")
            connection.execute("INSERT INTO murmeli VALUES (%s)", (VERSION,))


def version_of(database: Database) -> int:
    """The version of the tables, 0 where there are none."""
    there = database.fetch("SELECT to_regclass('murmeli') IS NOT NULL")[0][0]
    return int(database.fetch("SELECT coalesce(max(version), 0) FROM murmeli")[0][0]) if there else 0


def check_version(found: int) -> None:
    """Raises StoreError where the tables are of a version that cannot be read."""
    if found > VERSION:
        raise StoreError(f"This store has version {found}; up to {VERSION} can be read. Upgrade Murmeli.")
