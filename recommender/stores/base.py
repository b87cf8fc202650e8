"""The store's contract: seven small seams that share one transaction, and the values they exchange.

    Events       append, profile, recent, scan
    Identities   find, link, unlink
    Items        put, get, delete, changes
    Ledger       write, read, given, prune, state
    Keys         add, all, revoke
    Consents     state, allows, known, history
    Persons      export, erase, erased, lift

An event and what it changes (profile, new identity, new item) are one
transaction: when `append` returns, it is durable and in the next `profile`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from recommender.consent import Purpose, Statement
from recommender.profile import Profile
from recommender.types import EventArray, IntArray, Kind, Role


class Outcome(IntEnum):
    """What became of one event."""

    ACCEPTED = 0
    DUPLICATE = 1
    CONFLICT = 2  # this identity already has another event of that id
    ERASED = 3  # this identity was erased, and the event came late


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Events past the door, column by column; n of them, of any number of identities.

    identities: the distinct identities, `namespace:value`; who: shape (n,), an index into them.
    records: dtype EVENT, shape (n,). digests: shape (n,), one code of all that a sender stated: the
    same key with another digest is a conflict.
    items: (id, kind) by code, for every item code in `records`; the kind counts where the item is new,
    None means: the type's usual kind (`use` is of a feature, all else of content).
    names: event types and channels by code. event_ids: n ids as sent; None was derived from the row.
    extras: n JSON objects as text, or None: session, recommendation_id, value, properties.
    """

    identities: Sequence[str]
    who: IntArray
    records: EventArray
    digests: IntArray
    items: dict[int, tuple[str, Kind | None]]
    names: dict[int, str]
    event_ids: Sequence[str | None]
    extras: Sequence[str | None]

    def select(self, rows: IntArray) -> "EventBatch":
        """Some of the events; rows: their places."""
        places = rows.tolist()
        return replace(
            self,
            who=self.who[rows],
            records=self.records[rows],
            digests=self.digests[rows],
            event_ids=[self.event_ids[at] for at in places],
            extras=[self.extras[at] for at in places],
        )


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it was sent, for a person to read."""

    identity: str
    event_id: str | None
    type: str
    item: str | None
    channel: str | None
    time: int
    zone: int
    position: int
    extra: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the catalogue. attributes: text, numbers, booleans, or lists of text, by name."""

    id: str
    kind: Kind
    title: str | None = None
    attributes: dict[str, Any] | None = None
    available: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept: never itself. digest: see `recommender.keys`; times in milliseconds UTC."""

    prefix: str
    digest: bytes
    role: Role
    name: str
    created: int
    revoked: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CustomerLog:
    """Some customers' profiles, laid end to end for training.

    starts: shape (customers + 1,); events of customer c are events[starts[c]:starts[c + 1]], in a
    profile's order. counts: dtype COUNT, with count_starts as starts.
    customers: shape (customers,), the customer numbers, ascending over the whole scan.
    names: event types and channels by code, all that the store knows.
    """

    customers: IntArray
    starts: IntArray
    events: EventArray
    count_starts: IntArray
    counts: npt.NDArray[np.void]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Who a customer is, and what is remembered of them. identities: ascending."""

    identities: Sequence[str]
    profile: Profile


class Events(Protocol):
    """The log of events and the profiles that it adds up to."""

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        """Write the events; shape (n,), an Outcome each. A repeat within the batch counts as a repeat."""

    def profile(self, identity: str) -> Profile:
        """The profile of the customer behind an identity; EMPTY for one never seen."""

    def recent(self, identity: str, limit: int) -> list[StoredEvent]:
        """The newest events of the customer, newest first."""

    def scan(self, batch: int = 20_000) -> Iterator[CustomerLog]:
        """The profiles that may be learned from, about `batch` customers at a time, by ascending customer number.

        Whoever does not agree to `personalise` is not among them.
        """

    def count(self) -> int:
        """How many events are stored."""


class Identities(Protocol):
    """Who is who. A customer is a set of identities; each identity belongs to exactly one."""

    def find(self, identity: str) -> list[str]:
        """All identities of the customer behind this one, ascending; itself alone where it was never seen."""

    def link(self, a: str, b: str) -> list[str]:
        """Make both one customer and return their identities; either may be new.

        Where the union would hold two identities of one strong namespace, a weak one of the two named
        moves, alone, to the other's customer; two strong ones, or two weak ones of different persons,
        raise ConflictError. One that was erased raises ErasedError.
        """

    def unlink(self, identity: str) -> list[str]:
        """Give an identity back to itself, with its own events; returns itself alone."""


class Items(Protocol):
    """The catalogue. It also holds every item that an event named first."""

    def put(self, items: Sequence[Item]) -> int:
        """Insert or replace; returns how many. ConflictError where an item's kind would change."""

    def get(self, item: str) -> Item | None:
        """One item, or None."""

    def delete(self, item: str) -> bool:
        """Take an item out of every ranking; False where it was not there. Its events stay."""

    def changes(self, since: int) -> tuple[int, list[Item], list[str]]:
        """What changed after a cursor (0: everything): the new cursor, items put, ids deleted."""


class Ledger(Protocol):
    """Every answer that was given."""

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        """Append answers, in one transaction; each has `recommendation_id` and `at` (milliseconds UTC).

        `given` goes by their `customer`, the identity they were for.
        """

    def read(self, recommendation_id: str) -> dict[str, Any] | None:
        """One answer as written, or None."""

    def given(self, identity: str, since: int, most: int) -> list[dict[str, Any]]:
        """The newest answers for an identity, up to so many, newest first: the greatest `recommendation_id`.

        since: milliseconds UTC; none of before is among them.
        """

    def prune(self, before: int, most: int) -> int:
        """Forget answers given before an instant, the oldest first, up to so many; returns how many."""

    def state(self) -> dict[str, int]:
        """`answers`, `bytes`, and `oldest` and `newest` in milliseconds UTC (0 where empty)."""


def first_id(since: int) -> str:
    """The least `recommendation_id` that an answer given at this instant, milliseconds UTC, can have."""
    return f"{max(since, 0):012x}"


class Consents(Protocol):
    """What customers agreed to; see consent.py for what holds."""

    def state(self, identity: str, given: Mapping[Purpose, bool], at: int, by: str) -> None:
        """Write a statement for every identity of the customer, who may be new; at: milliseconds UTC.

        Raises ErasedError.
        """

    def allows(self, identity: str, purpose: Purpose) -> bool:
        """Whether the customer behind an identity agrees; never for one that was erased."""

    def known(self, identity: str, purpose: Purpose) -> Known | None:
        """The customer behind an identity, for a purpose; None, and nothing is read, where they do not agree."""

    def history(self, identity: str) -> list[Statement]:
        """All statements of the customer, by identity, purpose and time."""


class Persons(Protocol):
    """All that is kept of a person, and its end."""

    def export(self, identity: str) -> Iterator[dict[str, Any]]:
        """Every record of the customer, as it stands when it is reached; `record` says of which kind each is.

        Holds a page at a time, and ends where the customer is erased meanwhile.
        """

    def erase(self, identity: str, at: int) -> dict[str, int]:
        """Remove the customer with all identities for good, and keep late events out; how much there was, by kind.

        All of it or nothing, durable when it returns; again changes nothing. An identity never seen is kept out too.
        """

    def erased(self, identities: Sequence[str]) -> set[str]:
        """Those that were erased."""

    def lift(self, identity: str) -> bool:
        """Let an identity in again, with nothing of before; False where it was not kept out."""


class Keys(Protocol):
    """The API keys."""

    def add(self, key: Key) -> None:
        """Keep a new key. ConflictError where its prefix is taken."""

    def all(self) -> list[Key]:
        """Every key that there ever was, oldest first."""

    def revoke(self, prefix: str, at: int) -> bool:
        """Make a key invalid; False where there is no such key that is valid."""


class Store(Protocol):
    """One site's store. Safe for one writing thread and any number of reading ones.

    remote: whether a read waits for another process, so that who has more to do reads in a thread.
    """

    @property
    def remote(self) -> bool: ...
    @property
    def events(self) -> Events: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def items(self) -> Items: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def persons(self) -> Persons: ...

    def check(self) -> dict[str, Any]:
        """What `murmeli doctor` shows: engine, version, durability, sizes, and `ok` with `problems`."""

    def close(self) -> None:
        """Close every connection. Closing twice is harmless."""
