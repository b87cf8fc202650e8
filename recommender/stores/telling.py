"""What a store tells of a person, record by record, whichever store it is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def event_records(
    identity: str, page: Callable[[int], Sequence[EventRow]], names: Words, items: Words
) -> Iterator[dict[str, Any]]:
    """The events of one identity; page: those after a key, by key."""
    after = FIRST
    while rows := page(after):
        after = rows[-1][0]
        for event in told(identity, rows, names, items):
            yield {"record": "event", **event_as_sent(event)}


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


def answer_records(page: Callable[[str], Sequence[tuple[str, bytes]]]) -> Iterator[dict[str, Any]]:
    """The answers that one identity was given; page: those after an id, by id."""
    after = ""
    while rows := page(after):
        after = rows[-1][0]
        yield from ({"record": "answer", **orjson.loads(body)} for _, body in rows)


def profile_record(identity: str, profile: Profile, names: Words, items: Words) -> dict[str, Any]:
    """What an identity's profile holds: so many of the events, and counts of those before them."""
    counts = profile.counts
    ids, spoken = items(counts["item"].tolist()), names(counts["type"].tolist())
    older = [
        {"item": ids.get(int(row["item"])), "type": spoken.get(int(row["type"])), "count": int(row["count"])}
        for row in counts
    ]
    return {"record": "profile", "identity": identity, "events": int(profile.events.size), "older": older}


def identity_record(identity: str) -> dict[str, Any]:
    """A name of the customer."""
    return {"record": "identity", "identity": identity}


def consent_records(statements: Iterable[Statement]) -> Iterator[dict[str, Any]]:
    """What was agreed to, and when."""
    for one in statements:
        yield {
            "record": "consent",
            "identity": one.identity,
            "purpose": one.purpose.value,
            "given": one.given,
            "at": instant(one.at),
            "by": one.by,
        }
