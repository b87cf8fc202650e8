"""How a profile lies in a database's rows, whichever database it is; pure functions over rows and arrays.

A profile lies in *parts*: part 0 holds its counts, parts 1, 2, ... its event
records in order of arrival, SEALED to a part, so that an event rewrites the
last part alone and reading a profile is one short range. A part's number is
`identity << PART_BITS | part`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.profile import COUNT, EMPTY, HISTORY, CountArray, Profile, fold, merge
from recommender.stores.base import CustomerLog, EventBatch, Known, Outcome
from recommender.types import EVENT, USE, BoolArray, EventArray, IntArray, Kind

SEALED = 256
"""Event records in a full part, 10 kB: what one more event may cost to rewrite."""

PART_BITS = 24
PART = (1 << PART_BITS) - 1
"""The bits of a part's number."""

SLACK = 4_096
"""Records beyond HISTORY that may gather before a profile is shortened, so that it happens once in so many events."""

RECORD = EVENT.itemsize
_FULL = SEALED * RECORD
_LARGEST = 100 * 2**20
"""Bytes of records at which a batch of a scan ends early, however few its customers."""

Row = tuple[Any, ...]

Parts = Sequence[Row]
"""(number, body), by identity and part."""

Question = tuple[int, int, int]
"""An identity, a key, and where the answer belongs."""


def add_up(parts: Parts) -> Profile:
    """The profile that parts of any identities make."""
    if not parts:
        return EMPTY
    events = fold(EMPTY, np.frombuffer(b"".join([body for number, body in parts if number & PART]), EVENT))
    counts = [Profile(EMPTY.events, counts_of(body)) for number, body in parts if not number & PART]
    return merge(events, *counts) if counts else events


def known_of(rows: Sequence[Row]) -> Known:
    """A customer by (name, number, body) of every part of each of their identities, None where one has no part."""
    names = sorted({name for name, _, _ in rows})
    return Known(names, add_up([row[1:] for row in rows if row[1] is not None]))


def counts_of(body: bytes) -> CountArray:
    """The counts that part 0 holds."""
    return np.frombuffer(body, COUNT)


def bounds(identity: int) -> tuple[int, int]:
    """The numbers of the first and the last part that an identity can have."""
    return identity << PART_BITS, identity << PART_BITS | PART


def grown(
    last: Mapping[int, Row], identities: Sequence[int], starts: Sequence[int], events: EventArray
) -> tuple[list[Row], list[int]]:
    """The parts to write once events[starts[i]:starts[i + 1]] are appended to identities[i], and who is now too long.

    last: by identity, the (number, body) of its last part, where it has one.
    """
    data = events.tobytes()
    rows: list[Row] = []
    too_long: list[int] = []
    for index, identity in enumerate(identities):
        part, body = last.get(identity, (identity << PART_BITS | 1, b""))
        body += data[starts[index] * RECORD : starts[index + 1] * RECORD]
        rows.extend((part + at // _FULL, body[at : at + _FULL]) for at in range(0, len(body), _FULL))
        if ((part & PART) - 1) * SEALED + len(body) // RECORD > HISTORY + SLACK:
            too_long.append(identity)
    return rows, too_long


def shortened(identity: int, parts: Parts) -> list[Row]:
    """All parts of an identity anew: the newest HISTORY records, and counts of the rest. The profile is the same."""
    profile, first = add_up(parts), identity << PART_BITS
    data = profile.events.tobytes()
    rows = [(first + 1 + at // _FULL, data[at : at + _FULL]) for at in range(0, len(data), _FULL)]
    return [(first, profile.counts.tobytes()), *rows]


def by_identity(who: IntArray, records: EventArray) -> tuple[list[int], list[int], EventArray]:
    """Records in a profile's order, by identity: the identities, where each begins and the last ends, the records."""
    order = np.lexsort((records["key"], records["seq"], records["time"], who))
    who = who[order]
    starts = np.concatenate([[0], np.flatnonzero(who[1:] != who[:-1]) + 1, [who.size]])
    return who[starts[:-1]].tolist(), starts.tolist(), records[order]


def judge(
    who: IntArray, batch: EventBatch, first_new: int, stored: Callable[[Iterable[Question]], Iterable[Row]]
) -> tuple[IntArray, npt.NDArray[np.uint8]]:
    """The events' order by (identity, key), and an Outcome for each: the first of a key counts, the store's at best.

    who: shape (n,), numbers of identities; from first_new on they have no event yet. stored: gives (where, digest)
    for those questions whose event is there.
    """
    key = batch.records["key"]
    order = np.lexsort((key, who))
    sorted_who, sorted_key = who[order], key[order]
    first = np.ones(order.size, np.bool_)
    first[1:] = (sorted_who[1:] != sorted_who[:-1]) | (sorted_key[1:] != sorted_key[:-1])
    group = np.cumsum(first) - 1
    leader = order[first]
    truth = batch.digests[leader]
    known = np.zeros(leader.size, np.bool_)
    asked = np.flatnonzero(who[leader] < first_new)
    if asked.size:
        questions = zip(who[leader[asked]].tolist(), key[leader[asked]].tolist(), asked.tolist(), strict=True)
        for at, digest in stored(questions):
            known[at], truth[at] = True, digest
    outcome = np.empty(order.size, np.uint8)
    repeated = np.where(batch.digests[order] == truth[group], Outcome.DUPLICATE, Outcome.CONFLICT)
    outcome[order] = np.where(first & ~known[group], Outcome.ACCEPTED, repeated)
    return order, outcome


def newest(parts: Parts, limit: int) -> list[tuple[int, np.void]]:
    """The newest records of some parts, newest first, each with the number of its identity."""
    found = [(number, body) for number, body in parts if number & PART]
    events = np.frombuffer(b"".join([body for _, body in found]), EVENT)
    who = np.repeat([number >> PART_BITS for number, _ in found], [len(body) // RECORD for _, body in found])
    order = np.lexsort((events["key"], events["seq"], events["time"]))[::-1][:limit]
    return [(int(who[at]), events[at]) for at in order]


def logs(rows: Iterable[Row], batch: int, names: Mapping[int, str]) -> Iterator[CustomerLog]:
    """Logs of about `batch` customers at a time; rows: (customer, number, body), by ascending customer."""
    return (_log(some, names) for some in _batches(rows, batch))


def _batches(rows: Iterable[Row], batch: int) -> Iterator[list[Row]]:
    gathered: list[Row] = []
    customers = size = 0
    for row in rows:
        if not gathered or row[0] != gathered[-1][0]:
            if customers >= batch or size >= _LARGEST:
                yield gathered
                gathered, customers, size = [], 0, 0
            customers += 1
        gathered.append(row)
        size += len(row[2])
    if gathered:
        yield gathered


def _log(rows: Sequence[Row], names: Mapping[int, str]) -> CustomerLog:
    is_counts = np.array([not number & PART for _, number, _ in rows])
    customers, owner = np.unique(np.array([row[0] for row in rows], np.int64), return_inverse=True)
    length = np.array([len(body) // RECORD for _, _, body in rows]) * ~is_counts
    events = np.frombuffer(b"".join([body for _, number, body in rows if number & PART]), EVENT)
    who = np.repeat(owner, length)
    events, repeats = _sorted(events, who)
    sizes = np.bincount(who, minlength=customers.size)
    odd = repeats | (sizes > HISTORY)
    odd[owner[is_counts]] = True
    profiles = {at: add_up([row[1:] for row in rows if row[0] == customers[at]]) for at in np.flatnonzero(odd).tolist()}
    return _laid(customers, sizes, events, profiles, names)


def _sorted(events: EventArray, who: IntArray) -> tuple[EventArray, BoolArray]:
    """The events of each customer in a profile's order, and for each customer, whether an event is there twice."""
    customers = int(who[-1]) + 1
    one = who[1:] == who[:-1]
    late = np.zeros(customers, np.bool_)
    late[who[1:][one & (events["time"][1:] <= events["time"][:-1])]] = True
    at = np.flatnonzero(late[who])
    if at.size:
        some = events[at]
        events = events.copy()
        events[at] = some[np.lexsort((some["key"], some["seq"], some["time"], who[at]))]
    repeats = np.zeros(customers, np.bool_)
    repeats[who[1:][one & (events["key"][1:] == events["key"][:-1])]] = True
    return events, repeats


def _laid(
    customers: IntArray, sizes: IntArray, events: EventArray, odd: dict[int, Profile], names: Mapping[int, str]
) -> CustomerLog:
    """Lay profiles end to end: the events as they are, but for some customers a profile of their own."""
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    pieces, counts, done = [EMPTY.events], [EMPTY.counts], 0
    sizes, count_sizes = sizes.copy(), np.zeros(customers.size, np.int64)
    for at, profile in odd.items():
        pieces += [events[bounds[done] : bounds[at]], profile.events]
        counts.append(profile.counts)
        sizes[at], count_sizes[at] = profile.events.size, profile.counts.size
        done = at + 1
    whole = np.concatenate([*pieces, events[bounds[done] :]]) if odd else events
    return CustomerLog(customers, _starts(sizes), whole, _starts(count_sizes), np.concatenate(counts), names)


def _starts(sizes: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes)])


def usual_kind(type_: int) -> Kind:
    """The kind of an item that an event of this type names first and says nothing else of."""
    return Kind.FEATURE if type_ == USE else Kind.CONTENT
