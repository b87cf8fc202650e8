"""Where a site's knowledge lies; opened by its place."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recommender.consent import UNSTATED, Purpose
from recommender.errors import UsageError
from recommender.secrets import Secret
from recommender.settings import Settings
from recommender.stores.base import Store

MEMORY = "memory:"
POSTGRES = ("postgresql://", "postgres://")


def open_store(
    location: str | Path,
    *,
    strong: Sequence[str],
    writable: bool = True,
    secret: Secret | None = None,
    unstated: Mapping[Purpose, bool] = UNSTATED,
) -> Store:
    """The store at a place: a home folder (SQLite), `postgresql://...`, or `memory:` (gone with the process).

    strong: the identity namespaces of which a customer has at most one. secret: what the names of erased people are
    hashed with; the home's, or the environment's where there is no home, if None. unstated: what holds for customers
    who did not say what they agree to.
    Raises UsageError for a place of another kind, StoreError where it cannot be opened.
    """
    if location == MEMORY:
        from recommender.stores.memory import MemoryStore

        return MemoryStore(strong, unstated)
    if str(location).startswith(POSTGRES):
        from recommender.stores.postgres.store import PostgresStore

        return PostgresStore(str(location), strong, writable=writable, secret=secret, unstated=unstated)
    if "://" in str(location):
        raise UsageError("A store is a home folder (SQLite) or postgresql://user@host:5432/name, not of another kind.")
    from recommender.stores.sqlite.store import SqliteStore

    return SqliteStore(Path(location), strong, writable=writable, secret=secret, unstated=unstated)


def store_of(home: Path, settings: Settings, place: str | Path | None = None) -> Store:
    """A site's store as its settings and its secret want it; place: in the home where None."""
    return open_store(place or home, strong=settings.strong, secret=Secret(home), unstated=settings.consent.unstated)
