"""The store in memory: the contract at its plainest, for tests and trials; gone with the process."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from recommender.errors import ConflictError
from recommender.identity import link, unlink
from recommender.profile import EMPTY, Profile, fold, merge
from recommender.stores.base import (
    CustomerLog,
    EventBatch,
    Item,
    Key,
    Outcome,
    StoredEvent,
    first_id,
)
from recommender.stores.layout import usual_kind
from recommender.types import Kind


@dataclass(frozen=True, slots=True)
class _Event:
    record: np.void
    digest: int
    event_id: str | None
    extra: str | None


@dataclass(slots=True)
class _State:
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: dict[str, int] = field(default_factory=dict)
    customers: dict[str, AbstractSet[str]] = field(default_factory=dict)
    logs: dict[str, dict[int, _Event]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    item_ids: dict[int, str] = field(default_factory=dict)

    def enrol(self, identity: str) -> None:
        self.numbers.setdefault(identity, len(self.numbers) + 1)
        self.customers.setdefault(identity, frozenset({identity}))
        self.logs.setdefault(identity, {})

    def of_customer(self, identity: str) -> AbstractSet[str]:
        return self.customers.get(identity, frozenset({identity}))

    def profile(self, identities: AbstractSet[str]) -> Profile:
        return merge(EMPTY, *(self._own(identity) for identity in identities))

    def _own(self, identity: str) -> Profile:
        records = [event.record for event in self.logs.get(identity, {}).values()]
        return fold(EMPTY, np.array(records, EMPTY.events.dtype))


class MemoryStore:
    """The `Store` without a disk."""

    remote = False

    def __init__(self, strong: Sequence[str]) -> None:
        state = _State()
        self.items = MemoryItems(state)
        self.events = MemoryEvents(state, self.items)
        self.identities = MemoryIdentities(state, strong)
        self.ledger = MemoryLedger()
        self.keys = MemoryKeys()

    def check(self) -> dict[str, Any]:
        return {"engine": "memory", "events": self.events.count(), "ok": True, "problems": []}

    def close(self) -> None:
        pass


class MemoryEvents:
    """The `Events` seam."""

    def __init__(self, state: _State, items: "MemoryItems") -> None:
        self._state = state
        self._items = items

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        with self._state.lock:
            outcomes = [self._append(batch, at) for at in range(batch.records.size)]
        return np.array(outcomes, np.uint8)

    def _append(self, batch: EventBatch, at: int) -> Outcome:
        identity, record, digest = batch.identities[batch.who[at]], batch.records[at], int(batch.digests[at])
        self._state.enrol(identity)
        log, key = self._state.logs[identity], int(record["key"])
        if key in log:
            return Outcome.DUPLICATE if log[key].digest == digest else Outcome.CONFLICT
        log[key] = _Event(record.copy(), digest, batch.event_ids[at], batch.extras[at])
        self._state.names |= batch.names
        if int(record["item"]) in batch.items:
            id_, kind = batch.items[int(record["item"])]
            self._state.item_ids[int(record["item"])] = id_
            self._items.name(id_, kind or usual_kind(int(record["type"])))
        return Outcome.ACCEPTED

    def profile(self, identity: str) -> Profile:
        with self._state.lock:
            return self._state.profile(self._state.of_customer(identity))

    def recent(self, identity: str, limit: int) -> list[StoredEvent]:
        with self._state.lock:
            told = [
                (_order(event.record), self._told(name, event))
                for name in self._state.of_customer(identity)
                for event in self._state.logs.get(name, {}).values()
            ]
        return [event for _, event in sorted(told, key=lambda pair: pair[0], reverse=True)[:limit]]

    def _told(self, identity: str, event: _Event) -> StoredEvent:
        names, record = self._state.names, event.record
        return StoredEvent(
            identity=identity,
            event_id=event.event_id,
            type=names[int(record["type"])],
            item=self._state.item_ids.get(int(record["item"])),
            channel=names.get(int(record["channel"])),
            time=int(record["time"]),
            zone=int(record["zone"]),
            position=int(record["position"]),
            extra=orjson.loads(event.extra) if event.extra else {},
        )

    def scan(self, batch: int = 20_000) -> Iterator[CustomerLog]:
        with self._state.lock:
            customers = {
                min(self._state.numbers[name] for name in together): self._state.profile(together)
                for together in set(map(frozenset, self._state.customers.values()))
            }
            names = dict(self._state.names)
        numbers = sorted(number for number, profile in customers.items() if len(profile))
        for at in range(0, len(numbers), batch):
            some = numbers[at : at + batch]
            yield _laid(some, [customers[number] for number in some], names)

    def count(self) -> int:
        return sum(map(len, self._state.logs.values()))


def _order(record: np.void) -> tuple[int, int, int]:
    return int(record["time"]), int(record["seq"]), int(record["key"])


def _laid(numbers: Sequence[int], profiles: Sequence[Profile], names: Mapping[int, str]) -> CustomerLog:
    events, counts = [profile.events for profile in profiles], [profile.counts for profile in profiles]
    return CustomerLog(
        customers=np.array(numbers, np.int64),
        starts=np.cumsum([0, *map(len, events)]),
        events=np.concatenate(events),
        count_starts=np.cumsum([0, *map(len, counts)]),
        counts=np.concatenate(counts),
        names=names,
    )


class MemoryIdentities:
    """The `Identities` seam."""

    def __init__(self, state: _State, strong: Sequence[str]) -> None:
        self._state = state
        self._strong = tuple(strong)

    def find(self, identity: str) -> list[str]:
        return sorted(self._state.of_customer(identity))

    def link(self, a: str, b: str) -> list[str]:
        with self._state.lock:
            left = link(a, b, self._state.of_customer(a), self._state.of_customer(b), self._strong)
            self._state.enrol(a)
            self._state.enrol(b)
            return self._store(left, a)

    def unlink(self, identity: str) -> list[str]:
        with self._state.lock:
            return self._store(unlink(identity, self._state.of_customer(identity)), identity)

    def _store(self, left: list[AbstractSet[str]], identity: str) -> list[str]:
        for customer in left:
            for name in customer & self._state.numbers.keys():
                self._state.customers[name] = customer
        return self.find(identity)


class MemoryItems:
    """The `Items` seam."""

    def __init__(self, state: _State) -> None:
        self._lock = state.lock
        self._items: dict[str, tuple[int, Item | None]] = {}
        """The last change of each id, and what it left there: an item, or nothing."""
        self._change = 0

    def put(self, items: Sequence[Item]) -> int:
        with self._lock:
            kinds: dict[str, Kind] = {}
            for item in items:
                there = self.get(item.id)
                if kinds.setdefault(item.id, there.kind if there else item.kind) != item.kind:
                    raise ConflictError("An item's kind cannot change while it is in the catalogue. Delete it first.")
            self._change += 1
            self._items |= {item.id: (self._change, replace(item)) for item in items}
        return len(items)

    def get(self, item: str) -> Item | None:
        return self._items.get(item, (0, None))[1]

    def delete(self, item: str) -> bool:
        with self._lock:
            if self.get(item) is None:
                return False
            self._change += 1
            self._items[item] = (self._change, None)
            return True

    def changes(self, since: int) -> tuple[int, list[Item], list[str]]:
        with self._lock:
            after = sorted((change, id_) for id_, (change, _) in self._items.items() if change > since)
        left = [(id_, self._items[id_][1]) for _, id_ in after]
        cursor = after[-1][0] if after else since
        return cursor, [item for _, item in left if item], [id_ for id_, item in left if item is None]

    def name(self, id_: str, kind: Kind) -> None:
        """Enter an item that an event names, unless it is or was there."""
        if id_ not in self._items:
            self._change += 1
            self._items[id_] = (self._change, Item(id_, kind))


class MemoryLedger:
    """The `Ledger` seam."""

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        self._answers |= {answer["recommendation_id"]: orjson.dumps(answer) for answer in recommendations}

    def read(self, recommendation_id: str) -> dict[str, Any] | None:
        body = self._answers.get(recommendation_id)
        return dict(orjson.loads(body)) if body else None

    def given(self, identity: str, since: int, most: int) -> list[dict[str, Any]]:
        newest = sorted((id_ for id_ in self._answers if id_ >= first_id(since)), reverse=True)
        answers = (orjson.loads(self._answers[id_]) for id_ in newest)
        return list(islice((answer for answer in answers if answer.get("customer") == identity), most))

    def prune(self, before: int, most: int) -> int:
        given = {id_: orjson.loads(body)["at"] for id_, body in self._answers.items()}
        old = sorted((id_ for id_ in given if given[id_] < before), key=given.__getitem__)[:most]
        for id_ in old:
            del self._answers[id_]
        return len(old)

    def state(self) -> dict[str, int]:
        times = [orjson.loads(body)["at"] for body in self._answers.values()]
        return {
            "answers": len(times),
            "bytes": sum(map(len, self._answers.values())),
            "oldest": min(times, default=0),
            "newest": max(times, default=0),
        }


class MemoryKeys:
    """The `Keys` seam."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def add(self, key: Key) -> None:
        if self._keys.setdefault(key.prefix, key) is not key:
            raise ConflictError("There is a key of this prefix already. Try again.")

    def all(self) -> list[Key]:
        return sorted(self._keys.values(), key=lambda key: (key.created, key.prefix))

    def revoke(self, prefix: str, at: int) -> bool:
        key = self._keys.get(prefix)
        if key is None or key.revoked is not None:
            return False
        self._keys[prefix] = replace(key, revoked=at)
        return True
