"""Small logs to test stores with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.profile import EMPTY, Profile, fold
from recommender.stores.base import CustomerLog, EventBatch
from recommender.types import EVENT, EventArray, Kind, code32, code64, codes64, mix


@dataclass(frozen=True)
class Event:
    """One event as a test states it."""

    identity: str
    event_id: str
    time: int = 0
    item: str = "pay-bill"
    type: str = "use"
    channel: str = "web"
    kind: Kind | None = None
    extra: str | None = None
    position: int = 0

    @property
    def digest(self) -> int:
        """One code of all that is stated."""
        return code64(repr(self))


def batch(events: Sequence[Event]) -> EventBatch:
    """The events as they come through the door."""
    identities = list(dict.fromkeys(event.identity for event in events))
    spoken = {name for event in events for name in (event.type, event.channel) if name}
    return EventBatch(
        identities=identities,
        who=np.array([identities.index(event.identity) for event in events], np.int64),
        records=_records(events),
        digests=np.array([event.digest for event in events], np.int64),
        items={code64(event.item): (event.item, event.kind) for event in events if event.item},
        names={code32(name): name for name in spoken},
        event_ids=[event.event_id for event in events],
        extras=[event.extra for event in events],
    )


def _records(events: Sequence[Event]) -> EventArray:
    keys = mix(codes64(event.identity for event in events), codes64(event.event_id for event in events)).tolist()
    rows = [
        (e.time, key, code64(e.item) if e.item else 0, 0, code32(e.type), code32(e.channel), 120, e.position)
        for e, key in zip(events, keys, strict=True)
    ]
    return np.array(rows, EVENT)


def profile_of(events: Sequence[Event]) -> Profile:
    """What the events add up to."""
    return fold(EMPTY, batch(events).records)


def profiles_in(logs: Sequence[CustomerLog]) -> dict[int, Profile]:
    """Each customer's profile, by number."""
    found: dict[int, Profile] = {}
    for log in logs:
        for at, number in enumerate(log.customers.tolist()):
            events = log.events[log.starts[at] : log.starts[at + 1]]
            found[number] = Profile(events, log.counts[log.count_starts[at] : log.count_starts[at + 1]])
    return found
