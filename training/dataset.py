"""A log in memory, as training and evaluation read it: every customer's profile, end to end.

Replaying means reading prefixes: what a customer's profile held before event
t is what `fold` makes of the events before t, so training sees exactly what
serving would have seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommender.history import Items
from recommender.profile import COUNT, EMPTY, HISTORY, CountArray, Profile, fold
from recommender.stores.base import Store
from recommender.types import EVENT, BoolArray, EventArray, IntArray, codes64


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """Customers' events in a profile's order.

    starts: shape (customers + 1,); events of customer c are events[starts[c]:starts[c + 1]].
    counts, count_starts: the same for what is older than a profile keeps.
    names: event types and channels by code, those that are known.
    """

    starts: IntArray
    events: EventArray
    count_starts: IntArray
    counts: CountArray
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self.starts.size - 1

    @property
    def who(self) -> IntArray:
        """Shape (n,): the customer of each event."""
        return np.repeat(np.arange(self.customers), np.diff(self.starts))

    @property
    def place(self) -> IntArray:
        """Shape (n,): how many events the customer of each event had before it."""
        return np.arange(self.events.size) - np.repeat(self.starts[:-1], np.diff(self.starts))

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last instant, in milliseconds UTC; zeros where the log is empty."""
        time = self.events["time"]
        return (int(time.min()), int(time.max())) if time.size else (0, 0)

    def profile(self, customer: int) -> Profile:
        """All that one customer did."""
        return self.prefix(customer, int(self.starts[customer + 1] - self.starts[customer]))

    def prefix(self, customer: int, t: int) -> Profile:
        """The profile of one customer before their event number t."""
        start = self.starts[customer]
        events = self.events[start : start + t]
        counts = self.counts[self.count_starts[customer] : self.count_starts[customer + 1]]
        if t <= HISTORY:
            return Profile(events, counts)
        return fold(Profile(events[:0], counts), events)

    def select(self, chosen: BoolArray) -> "Log":
        """The same customers with only the chosen events; shape of `chosen`: (n,). Older counts stay."""
        kept = np.concatenate([[0], np.cumsum(chosen)])
        return Log(kept[self.starts].astype(np.int64), self.events[chosen], self.count_starts, self.counts, self.names)


def log_of(who: npt.NDArray[np.int64], events: EventArray, customers: int = 0) -> Log:
    """A log out of loose events; who: shape (n,), the customer of each, 0 up. Order does not matter.

    customers: how many there are, where the last of them may have no event.
    """
    order = np.lexsort((events["key"], events["seq"], events["time"], who))
    customers = max(customers, int(who.max()) + 1 if who.size else 0)
    starts = np.searchsorted(who[order], np.arange(customers + 1)).astype(np.int64)
    return Log(starts, events[order], np.zeros(customers + 1, np.int64), EMPTY.counts)


def extract(store: Store) -> Log:
    """Everything a store knows, customers by ascending number."""
    parts = list(store.events.scan())
    if not parts:
        return log_of(np.zeros(0, np.int64), np.zeros(0, EVENT))
    return Log(
        _join([part.starts for part in parts]),
        np.concatenate([part.events for part in parts]),
        _join([part.count_starts for part in parts]),
        np.concatenate([part.counts for part in parts]) if parts else np.zeros(0, COUNT),
        parts[-1].names,
    )


def _join(starts: Sequence[IntArray]) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part) for part in starts]))]).astype(np.int64)


def items_of(
    ids: Sequence[str], tokens: Sequence[IntArray] | None = None, pieces: Sequence[IntArray] | None = None
) -> Items:
    """Items that a model will be trained on, ascending by code; tokens, pieces: the codes of each, see `Items`."""
    codes = codes64(ids)
    order = np.argsort(codes)
    nothing = [np.zeros(0, np.int64)] * len(ids)
    parts = (end_to_end([of_each[i] for i in order]) for of_each in (tokens or nothing, pieces or nothing))
    (token_starts, joined_tokens), (piece_starts, joined_pieces) = parts
    listed = [ids[i] for i in order]
    return Items(codes[order], codes.size, listed, token_starts, joined_tokens, piece_starts, joined_pieces)


def end_to_end(parts: Sequence[IntArray]) -> tuple[IntArray, IntArray]:
    """The arrays joined, and before them where each starts; one start more than there are parts."""
    starts = np.concatenate([[0], np.cumsum([part.size for part in parts], dtype=np.int64)]).astype(np.int64)
    return starts, np.concatenate([np.zeros(0, np.int64), *parts])
