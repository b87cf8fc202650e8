"""The store in memory: the contract at its plainest, for tests and trials; gone with the process."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from recommender.consent import UNSTATED, Purpose, Statement, holds
from recommender.errors import ConflictError, ErasedError
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
from recommender.stores.telling import PAGE, EventRow, consent_records, event_records, identity_record, profile_record
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
    statements: dict[str, list[Statement]] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    last: int = 0

    def enrol(self, identity: str) -> None:
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
        said = chain.from_iterable(self.statements.get(name, ()) for name in identities)
        return holds(((one.identity, one.at, one.given) for one in said if one.purpose is purpose), unstated)

    def of_customer(self, identity: str) -> AbstractSet[str]:
        return self.customers.get(identity, frozenset({identity}))

    def profile(self, identities: AbstractSet[str]) -> Profile:
        return merge(EMPTY, *(self._own(identity) for identity in identities))

    def words(self, codes: Sequence[int]) -> dict[int, str]:
        return {code: self.names[code] for code in codes if code in self.names}

    def ids(self, codes: Sequence[int]) -> dict[int, str]:
        return {code: self.item_ids[code] for code in codes if code in self.item_ids}

    def _own(self, identity: str) -> Profile:
        records = [event.record for event in self.logs.get(identity, {}).values()]
        return fold(EMPTY, np.array(records, EMPTY.events.dtype))


class MemoryStore:
    """The `Store` without a disk."""

    remote = False

    def __init__(self, strong: Sequence[str], unstated: Mapping[Purpose, bool] = UNSTATED) -> None:
        state = _State()
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


class MemoryEvents:
    """The `Events` seam."""

    def __init__(self, state: _State, items: "MemoryItems", unstated: Mapping[Purpose, bool]) -> None:
        self._state = state
        self._items = items
        self._unstated = unstated[Purpose.PERSONALISE]

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        with self._state.lock:
            outcomes = [self._append(batch, at) for at in range(batch.records.size)]
        return np.array(outcomes, np.uint8)

    def _append(self, batch: EventBatch, at: int) -> Outcome:
        identity, record, digest = batch.identities[batch.who[at]], batch.records[at], int(batch.digests[at])
        if identity in self._state.tombstones:
            return Outcome.ERASED
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

    def page(self, identity: str, after: int) -> list[EventRow]:
        """Some events of one identity, by key."""
        with self._state.lock:
            rows = sorted(item for item in self._state.logs.get(identity, {}).items() if item[0] > after)
        return [(key, event.record.tobytes(), event.event_id, event.extra) for key, event in rows[:PAGE]]

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
                if self._state.standing(together, Purpose.PERSONALISE, self._unstated)
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
            if self._state.tombstones & {a, b}:
                raise ErasedError
            left = link(a, b, self._state.of_customer(a), self._state.of_customer(b), self._strong)
            self._state.enter(a, b)
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

    def __init__(self, state: _State) -> None:
        self._state = state
        self._answers: dict[str, bytes] = {}

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        with self._state.lock:
            kept = [answer for answer in recommendations if answer.get("customer") not in self._state.tombstones]
            self._answers |= {answer["recommendation_id"]: orjson.dumps(answer) for answer in kept}

    def of(self, identity: str) -> list[dict[str, Any]]:
        """The answers that one identity was given."""
        answers = [orjson.loads(body) for _, body in sorted(self._answers.items())]
        return [answer for answer in answers if answer.get("customer") == identity]

    def remove(self, answers: Sequence[dict[str, Any]]) -> None:
        """Forget some answers."""
        for answer in answers:
            del self._answers[answer["recommendation_id"]]

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


class MemoryConsents:
    """The `Consents` seam."""

    def __init__(self, state: _State, unstated: Mapping[Purpose, bool]) -> None:
        self._state, self._unstated = state, unstated

    def state(self, identity: str, given: Mapping[Purpose, bool], at: int, by: str) -> None:
        with self._state.lock:
            self._state.enter(identity)
            for name in self._state.of_customer(identity):
                said = self._state.statements.setdefault(name, [])
                for purpose, value in given.items():
                    after = max((one.at + 1 for one in said if one.purpose is purpose), default=at)
                    said.append(Statement(name, purpose, value, max(at, after), by))

    def allows(self, identity: str, purpose: Purpose) -> bool:
        with self._state.lock:
            if identity in self._state.tombstones:
                return False
            return self._state.standing(self._state.of_customer(identity), purpose, self._unstated[purpose])

    def profile(self, identity: str, purpose: Purpose) -> Profile | None:
        with self._state.lock:
            return self._state.profile(self._state.of_customer(identity)) if self.allows(identity, purpose) else None

    def history(self, identity: str) -> list[Statement]:
        with self._state.lock:
            said = [one for name in self._state.of_customer(identity) for one in self._state.statements.get(name, ())]
        return sorted(said, key=lambda one: (one.identity, one.purpose.value, one.at))


class MemoryPersons:
    """The `Persons` seam."""

    def __init__(self, state: _State, events: MemoryEvents, ledger: MemoryLedger, consents: MemoryConsents) -> None:
        self._state, self._events, self._ledger, self._consents = state, events, ledger, consents

    def export(self, identity: str) -> Iterator[dict[str, Any]]:
        names = sorted(self._state.of_customer(identity))
        known = [name for name in names if name in self._state.numbers]
        yield from map(identity_record, known)
        yield from consent_records(self._consents.history(identity))
        for name in known:
            yield from event_records(name, partial(self._events.page, name), self._state.words, self._state.ids)
            profile = self._state.profile({name})
            yield profile_record(name, profile, self._state.words, self._state.ids)
        for name in names:
            yield from ({"record": "answer", **answer} for answer in self._ledger.of(name))

    def erase(self, identity: str, at: int) -> dict[str, int]:  # noqa: ARG002 - nothing here outlives the process
        state = self._state
        with state.lock:
            names = set(state.of_customer(identity))
            known = names & state.numbers.keys()
            answers = [answer for name in names for answer in self._ledger.of(name)]
            events = [state.logs.pop(name) for name in known]
            statements = [state.statements.pop(name, []) for name in known]
            for name in known:
                del state.customers[name]
                del state.numbers[name]
            self._ledger.remove(answers)
            state.tombstones |= names
        return {
            "identities": len(known),
            "events": sum(map(len, events)),
            "statements": sum(map(len, statements)),
            "answers": len(answers),
        }

    def erased(self, identities: Sequence[str]) -> set[str]:
        return self._state.tombstones.intersection(identities)

    def lift(self, identity: str) -> bool:
        with self._state.lock:
            found = identity in self._state.tombstones
            self._state.tombstones.discard(identity)
            return found
