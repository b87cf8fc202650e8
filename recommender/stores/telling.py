"""What a store tells of a person, record by record, whichever store it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from recommender.consent import Statement
from recommender.profile import Profile
from recommender.stores.base import StoredEvent
from recommender.types import EVENT, instant

PAGE = 1_000
"""Records read at a time."""

FIRST = -(2**63)
"""Below every key."""

EventRow = tuple[int, bytes, str | None, str | None]
"""(key, record, event_id, extra)."""

Words = Callable[[Sequence[int]], Mapping[int, str]]
"""The texts of codes, those that are known."""


def told(identity: str, rows: Sequence[EventRow], names: Words, items: Words) -> list[StoredEvent]:
    """Some events of one identity for a person to read."""
    records = np.frombuffer(b"".join([row[1] for row in rows]), EVENT)
    spoken = names(np.unique(np.concatenate([records["type"], records["channel"]])).tolist())
    ids = items(np.unique(records["item"]).tolist())
    return [
        StoredEvent(
            identity=identity,
            event_id=event_id,
            type=spoken[int(record["type"])],
            item=ids.get(int(record["item"])),
            channel=spoken.get(int(record["channel"])),
            time=int(record["time"]),
            zone=int(record["zone"]),
            position=int(record["position"]),
            extra=orjson.loads(extra) if extra else {},
        )
        for record, (_, _, event_id, extra) in zip(records, rows, strict=True)
    ]


def event_as_sent(event: StoredEvent) -> dict[str, Any]:
    """An event as it was sent."""
    sent = {
        "event_id": event.event_id,
        "customer": event.identity,
        "type": event.type,
        "item": event.item,
        "at": instant(event.time, event.zone),
        "channel": event.channel,
        "position": event.position or None,
        **event.extra,
    }
    return {name: value for name, value in sent.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Pages:
    """How a store reads what it keeps of one identity. events: after a key, by key; answers: after an id, by id."""

    events: Callable[[str, int], Sequence[EventRow]]
    profile: Callable[[str], Profile]
    answers: Callable[[str, str], Sequence[tuple[str, bytes]]]
    names: Words
    items: Words

    def records(self, known: Sequence[str], identity: str, said: Iterable[Statement]) -> Iterator[dict[str, Any]]:
        """All that there is. known: the customer's identities, those that the store has; said: their statements."""
        yield from ({"record": "identity", "identity": name} for name in known)
        yield from map(_statement, said)
        for name in known:
            yield from self._events(name)
            yield self._profile(name)
        for name in known or [identity]:
            yield from self._answers(name)

    def _events(self, identity: str) -> Iterator[dict[str, Any]]:
        after = FIRST
        while rows := self.events(identity, after):
            after = rows[-1][0]
            for event in told(identity, rows, self.names, self.items):
                yield {"record": "event", **event_as_sent(event)}

    def _profile(self, identity: str) -> dict[str, Any]:
        """So many of the events, and counts of those before them."""
        profile = self.profile(identity)
        counts = profile.counts
        ids, spoken = self.items(counts["item"].tolist()), self.names(counts["type"].tolist())
        older = [
            {"item": ids.get(int(row["item"])), "type": spoken.get(int(row["type"])), "count": int(row["count"])}
            for row in counts
        ]
        return {"record": "profile", "identity": identity, "events": int(profile.events.size), "older": older}

    def _answers(self, identity: str) -> Iterator[dict[str, Any]]:
        after = ""
        while rows := self.answers(identity, after):
            after = rows[-1][0]
            yield from ({"record": "answer", **orjson.loads(body)} for _, body in rows)


def _statement(one: Statement) -> dict[str, Any]:
    return {
        "record": "consent",
        "identity": one.identity,
        "purpose": one.purpose.value,
        "given": one.given,
        "at": instant(one.at),
        "by": one.by,
    }
