"""What the seams in memory share: who is who, and what they did."""

import threading
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from recommender.consent import Purpose, Statement, holds
from recommender.errors import ErasedError
from recommender.profile import EMPTY, Profile, fold, merge


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it is kept."""

    record: np.void
    digest: int
    event_id: str | None
    extra: str | None


@dataclass(slots=True)
class State:
    """By identity: numbers, customers (all identities of each), logs by key, statements. names, item_ids: by code."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: dict[str, int] = field(default_factory=dict)
    customers: dict[str, AbstractSet[str]] = field(default_factory=dict)
    logs: dict[str, dict[int, Entry]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    item_ids: dict[int, str] = field(default_factory=dict)
    statements: dict[str, list[Statement]] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    last: int = 0

    def enrol(self, identity: str) -> None:
        """Make an identity known."""
        if identity not in self.numbers:
            self.last += 1
            self.numbers[identity] = self.last
        self.customers.setdefault(identity, frozenset({identity}))
        self.logs.setdefault(identity, {})

    def enter(self, *identities: str) -> None:
        """`enrol`, of those that were not erased."""
        if self.tombstones.intersection(identities):
            raise ErasedError
        for identity in identities:
            self.enrol(identity)

    def standing(self, identities: AbstractSet[str], purpose: Purpose, unstated: bool) -> bool:
        """Whether some identities agree to a purpose."""
        said = chain.from_iterable(self.statements.get(name, ()) for name in identities)
        return holds(((one.identity, one.at, one.given) for one in said if one.purpose is purpose), unstated)

    def of_customer(self, identity: str) -> AbstractSet[str]:
        """All identities of a customer."""
        return self.customers.get(identity, frozenset({identity}))

    def profile(self, identities: AbstractSet[str]) -> Profile:
        """What some identities add up to."""
        return merge(EMPTY, *(self._own(identity) for identity in identities))

    def words(self, codes: Sequence[int]) -> dict[int, str]:
        """Event types and channels by code."""
        return {code: self.names[code] for code in codes if code in self.names}

    def ids(self, codes: Sequence[int]) -> dict[int, str]:
        """Items by code."""
        return {code: self.item_ids[code] for code in codes if code in self.item_ids}

    def _own(self, identity: str) -> Profile:
        records = [event.record for event in self.logs.get(identity, {}).values()]
        return fold(EMPTY, np.array(records, EMPTY.events.dtype))
