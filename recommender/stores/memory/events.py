"""The log of events in memory; a profile is folded when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import orjson

from recommender.consent import Purpose
from recommender.profile import Profile
from recommender.stores.base import (
    CustomerLog,
    EventBatch,
    Outcome,
    StoredEvent,
)
from recommender.stores.layout import usual_kind
from recommender.stores.memory.items import MemoryItems
from recommender.stores.memory.state import Entry, State
from recommender.stores.telling import PAGE, EventRow


class MemoryEvents:
    """The `Events` seam."""

    def __init__(self, state: State, items: MemoryItems, unstated: Mapping[Purpose, bool]) -> None:
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
        log[key] = Entry(record.copy(), digest, batch.event_ids[at], batch.extras[at])
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

    def _told(self, identity: str, event: Entry) -> StoredEvent:
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
