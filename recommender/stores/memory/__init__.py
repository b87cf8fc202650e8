"""The store in memory: the contract at its plainest, for tests and trials; gone with the process."""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.consent import UNSTATED, Purpose
from recommender.stores.memory.events import MemoryEvents
from recommender.stores.memory.identities import MemoryIdentities
from recommender.stores.memory.items import MemoryItems
from recommender.stores.memory.keys import MemoryKeys
from recommender.stores.memory.ledger import MemoryLedger
from recommender.stores.memory.persons import MemoryConsents, MemoryPersons
from recommender.stores.memory.state import State


class MemoryStore:
    """The `Store` without a disk."""

    remote = False

    def __init__(self, strong: Sequence[str], unstated: Mapping[Purpose, bool] = UNSTATED) -> None:
        state = State()
        self.items = MemoryItems(state)
        self.events = MemoryEvents(state, self.items, unstated)
        self.identities = MemoryIdentities(state, strong)
        self.ledger = MemoryLedger(state)
        self.consents = MemoryConsents(state, unstated)
        self.persons = MemoryPersons(state, self.events, self.ledger, self.consents)
        self.keys = MemoryKeys()

    def check(self) -> dict[str, Any]:
        return {"engine": "memory", "events": self.events.count(), "ok": True, "problems": []}

    def close(self) -> None:
        pass
