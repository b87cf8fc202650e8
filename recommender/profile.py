"""A profile is a sum: the time-ordered set of a customer's events, and counts for what is older.

Folding is insertion and merging is set union, so profiles form a commutative
monoid with EMPTY as zero: any order and any split of the same events gives
the same bytes. The newest HISTORY events are kept whole. What they push out
is added to integer counts per item and type; from there on the union no
longer sees repeats, so merging is idempotent only below that bound, and the
store answers for an event reaching a profile once.

Nothing here is a float. Frequency, recency, habit and transitions are
computed from these arrays when they are needed (see history.py), after
merging, so that they cannot drift from the log.
"""

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from recommender.errors import StoreError
from recommender.types import EVENT, EventArray, IntArray

HISTORY = 16_384
"""Events that a profile keeps whole. On real shell logs .557 of MRR needs all of them, 4,096 give .548."""

COUNT = np.dtype([("item", "<i8"), ("type", "<i8"), ("count", "<i8")])
"""How often one item was met, in one way, before the kept history. `type` is a 32-bit code in 64 bits."""

CountArray = npt.NDArray[np.void]

FORMAT = 1
_HEADER = np.dtype([("magic", "S3"), ("format", "u1"), ("events", "<u4"), ("counts", "<u8")])
_MAGIC = b"mur"


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the events of one or more identities add up to.

    events: dtype EVENT, shape (n,), n <= HISTORY, ascending by (time, seq, key), no key twice.
    counts: dtype COUNT, shape (m,), ascending by (item, type), none zero: what is older than `events`.
    """

    events: EventArray
    counts: CountArray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and encode(self) == encode(other)

    def __hash__(self) -> int:
        return hash(encode(self))

    def __len__(self) -> int:
        """How many events went in, all told."""
        return self.events.size + int(self.counts["count"].sum())


EMPTY = Profile(np.zeros(0, EVENT), np.zeros(0, COUNT))


def fold(profile: Profile, events: EventArray) -> Profile:
    """The profile that has also seen these events, in whatever order they come; one event is an array of one."""
    if profile.events.size:  # joining records field by field costs more than all the rest
        events = np.concatenate([profile.events, events])
    return _canonical(events, profile.counts)


def merge(*profiles: Profile) -> Profile:
    """The profile of one customer out of the profiles of their identities."""
    if len(profiles) == 1:
        return profiles[0]
    return _canonical(
        np.concatenate([EMPTY.events, *(profile.events for profile in profiles)]),
        reduce(_add, (profile.counts for profile in profiles), EMPTY.counts),
    )


def _canonical(events: EventArray, counts: CountArray) -> Profile:
    events = _union(events)
    overflow = events.size - HISTORY
    if overflow > 0:
        counts = _add(counts, _count(events[:overflow]))
        events = events[overflow:]
    return Profile(events, counts)


def _union(events: EventArray) -> EventArray:
    """The records in order of (time, seq, key), each once."""
    at = _not_later(events)
    if at.size and bool((events["time"][at + 1] < events["time"][at]).any()):
        order = np.argsort(events["time"], kind="stable")  # parts that are each in order: mostly that is all
        events = events.take(order)  # of records, a tenth of the time that an index takes
        at = _not_later(events)
    if _in_order(events.take(at), events.take(at + 1)):
        return events
    events = events.take(np.lexsort((events["key"], events["seq"], events["time"])))
    key, time = events["key"], events["time"]
    repeated = (key[1:] == key[:-1]) & (time[1:] == time[:-1])
    if repeated.any():
        events = events[np.concatenate([[True], ~repeated])]
    return events


def _not_later(events: EventArray) -> IntArray:
    """The positions of records whose successors are no later than they are; mostly there are none."""
    time = events["time"]
    return np.flatnonzero(time[1:] <= time[:-1])


def _in_order(first: EventArray, second: EventArray) -> bool:
    """Whether each of some records comes before another one by (time, seq, key), and is not the same."""
    if not first.size:
        return True
    together = (second["time"] == first["time"]) & (second["key"] != first["key"])
    alike = second["seq"] == first["seq"]
    return bool((together & ((second["seq"] > first["seq"]) | (alike & (second["key"] > first["key"])))).all())


def _count(events: EventArray) -> CountArray:
    counts = np.zeros(events.size, COUNT)
    counts["item"], counts["type"], counts["count"] = events["item"], events["type"], 1
    return _add(counts, EMPTY.counts)


def _add(left: CountArray, right: CountArray) -> CountArray:
    """The counts of both, ascending by (item, type)."""
    both = np.concatenate([left, right])
    if both.size == 0:
        return both
    both = both[np.lexsort((both["type"], both["item"]))]
    item, type_ = both["item"], both["type"]
    first = np.flatnonzero(np.concatenate([[True], (item[1:] != item[:-1]) | (type_[1:] != type_[:-1])]))
    total = both[first]
    total["count"] = np.add.reduceat(both["count"], first)
    return total


def encode(profile: Profile) -> bytes:
    """The profile as bytes: a header of 16, the event records, the counts. Equal profiles, equal bytes."""
    header = np.array([(_MAGIC, FORMAT, profile.events.size, profile.counts.size)], _HEADER)
    return header.tobytes() + profile.events.tobytes() + profile.counts.tobytes()


def decode(data: bytes) -> Profile:
    """The profile that these bytes encode, of this format or any older one.

    The arrays are read-only views of `data`. Raises StoreError where the
    bytes are not a profile, or were written by a newer Murmeli.
    """
    size = _HEADER.itemsize
    if data[:3] != _MAGIC or len(data) < size:
        raise StoreError("These bytes are not a profile. Restore the store from a backup.")
    _, format_, events, counts = np.frombuffer(data, _HEADER, 1)[0].item()
    if format_ != FORMAT:
        raise StoreError(f"This profile has format {format_}; up to {FORMAT} can be read. Upgrade Murmeli.")
    split = size + events * EVENT.itemsize
    if len(data) != split + counts * COUNT.itemsize:
        raise StoreError("This profile is cut short. Restore the store from a backup.")
    return Profile(np.frombuffer(data, EVENT, events, size), np.frombuffer(data, COUNT, counts, split))
