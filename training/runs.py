"""Events gathered, sorted by identity and written to a store."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommender.events import Admitted, with_ordinals
from recommender.stores.base import EventBatch
from recommender.types import RETURN, EventArray, IntArray, Kind, codes64

RUN = 2_000_000
BATCH = 50_000
"""Events of one transaction."""

_MOST_SORTED = 8


class Sink(Protocol):
    """What takes the events: a store's `events`, or whatever else wants them in batches."""

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        """Take the events; shape (n,), an Outcome each."""


class Ordinals:
    """Numbers equal rows of one file, 0 for the first; remembers eight bytes a row."""

    def __init__(self) -> None:
        self._seen: list[IntArray] = []

    def number(self, bases: IntArray) -> IntArray:
        """How many equal ones came before each, in this call and in earlier ones."""
        order = np.argsort(bases, kind="stable")
        ascending = bases[order]
        first = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]])[: bases.size])
        sizes = np.diff(np.append(first, bases.size))
        met = ascending[first]
        before = np.zeros(met.size, np.int64)
        for seen in self._seen:
            before += np.searchsorted(seen, met, "right") - np.searchsorted(seen, met, "left")
        ordinals = np.empty(bases.size, np.int64)
        ordinals[order] = np.arange(bases.size) - np.repeat(first - before, sizes)
        self._seen.append(ascending)
        if len(self._seen) > _MOST_SORTED:
            self._seen = [np.sort(np.concatenate(self._seen), kind="stable")]
        return ordinals


class Run:
    """Gathers what the door lets in, and writes it sorted when there is enough or a file ends."""

    def __init__(self, events: Sink, size: int = RUN) -> None:
        self._events, self._size = events, size
        self._customers = self._items = np.zeros(0, np.int64)
        self._span: tuple[int, int] | None = None
        self.returns = 0
        self._ordinals = Ordinals()
        self._clear()

    def _clear(self) -> None:
        self._parts: list[tuple[Admitted, IntArray, IntArray]] = []
        self._identities: dict[str, int] = {}
        self._item_names: dict[int, tuple[str, Kind | None]] = {}
        self._names: dict[int, str] = {}
        self._count = 0

    @property
    def customers(self) -> int:
        """How many identities there were in all runs."""
        return self._customers.size

    @property
    def items(self) -> int:
        """How many items there were in all runs."""
        return self._items.size

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last instant of all runs; zeros where there was no event."""
        return self._span or (0, 0)

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return self._count >= self._size

    def new_file(self) -> None:
        """Rows are from now on of another file."""
        self._ordinals = Ordinals()

    def add(self, admitted: Admitted, lines: IntArray) -> None:
        """Keep events until `write`; lines: of each event in its file."""
        batch = admitted.batch
        if not batch.records.size:
            return
        known = self._identities
        numbers = [known.setdefault(identity, len(known)) for identity in batch.identities]
        self._parts.append((admitted, np.array(numbers, np.int64)[batch.who], lines))
        self._item_names |= {code: item for code, item in batch.items.items() if code not in self._item_names}
        self._names |= batch.names
        self._count += batch.records.size

    def write(self) -> tuple[npt.NDArray[np.uint8], IntArray]:
        """Write all that was gathered: the Outcome of each event and its line."""
        if not self._parts:
            return np.zeros(0, np.uint8), np.zeros(0, np.int64)
        identities = sorted(self._identities)
        rank = np.empty(len(identities), np.int64)
        rank[[self._identities[identity] for identity in identities]] = np.arange(len(identities))
        who = rank[np.concatenate([numbers for _, numbers, _ in self._parts])]
        records = self._keyed(codes64(identities)[who])
        order = np.lexsort((records["time"], who))
        whole = EventBatch(
            identities=identities,
            who=who[order],
            records=records[order],
            digests=np.concatenate([part.batch.digests for part, _, _ in self._parts])[order],
            items=self._item_names,
            names=self._names,
            event_ids=_gathered([part.batch.event_ids for part, _, _ in self._parts], order),
            extras=_gathered([part.batch.extras for part, _, _ in self._parts], order),
        )
        lines = np.concatenate([lines for _, _, lines in self._parts])[order]
        self._note(whole)
        self._clear()
        outcomes = [self._events.append(batch) for batch in _batches(whole)]
        return np.concatenate(outcomes), lines

    def _keyed(self, identities: IntArray) -> EventArray:
        """The records, each with its key; identities: the code of each event's."""
        records = np.concatenate([part.batch.records for part, _, _ in self._parts])
        bases = np.concatenate([part.bases for part, _, _ in self._parts])
        derived = np.flatnonzero(bases)
        ordinals = self._ordinals.number(bases[derived])
        records["key"][derived] = with_ordinals(identities[derived], bases[derived], ordinals)
        return records

    def _note(self, whole: EventBatch) -> None:
        self._customers = np.union1d(self._customers, codes64(whole.identities))
        self._items = np.union1d(self._items, np.fromiter(whole.items, np.int64, len(whole.items)))
        self.returns += int((whole.records["type"] == RETURN).sum())
        first, last = int(whole.records["time"].min()), int(whole.records["time"].max())
        before = self._span or (first, last)
        self._span = min(first, before[0]), max(last, before[1])


def _gathered(parts: list[Sequence[str | None]], order: IntArray) -> Sequence[str | None]:
    if all(part.count(None) == len(part) for part in parts):
        return _nones(order.size)
    texts = np.array([text for part in parts for text in part], object)
    return list(texts[order])


def _nones(n: int) -> list[str | None]:
    return [None] * n


def _batches(whole: EventBatch) -> list[EventBatch]:
    """The same events in transactions of at most BATCH; an identity's stay together where they can."""
    cuts, n = [0], whole.who.size
    while cuts[-1] < n:
        cut = min(cuts[-1] + BATCH, n)
        if cut < n:
            start = int(np.searchsorted(whole.who, whole.who[cut]))
            cut = start if start > cuts[-1] else cut
        cuts.append(cut)
    return [_cut(whole, start, end) for start, end in pairwise(cuts)]


def _cut(whole: EventBatch, start: int, end: int) -> EventBatch:
    who, records = whole.who[start:end], whole.records[start:end]
    low, high = int(who[0]), int(who[-1])
    codes = np.unique(records["item"]).tolist()
    return EventBatch(
        identities=whole.identities[low : high + 1],
        who=who - low,
        records=np.ascontiguousarray(records),
        digests=whole.digests[start:end],
        items={code: whole.items[code] for code in codes if code},
        names=whole.names,
        event_ids=whole.event_ids[start:end],
        extras=whole.extras[start:end],
    )
