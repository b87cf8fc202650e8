"""What a site keeps of a person, in its store and in its home: shown whole, or ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recommender import rejects
from recommender.stores.base import Store


def export(store: Store, home: Path | None, identity: str) -> Iterator[dict[str, Any]]:
    """Every record of the customer behind an identity; the last one says how many came before it."""
    count = 0
    for record in _records(store, home, identity):
        count += 1
        yield record
    yield {"record": "end", "records": count}


def _records(store: Store, home: Path | None, identity: str) -> Iterator[dict[str, Any]]:
    identities = store.identities.find(identity)
    yield from store.persons.export(identity)
    if home is not None:
        yield from rejects.rows_of(home, identities)


def erase(store: Store, home: Path | None, identity: str, at: int) -> dict[str, int]:
    """End all that is kept of the customer behind an identity, for good; how much it was, by kind.

    Rejects go first: after the store's part nobody knows any more which identities were theirs.
    """
    rows = rejects.remove(home, store.identities.find(identity)) if home is not None else 0
    return store.persons.erase(identity, at) | {"rejects": rows}
