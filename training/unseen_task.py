"""A log of visitors, cut by its column that tells learning from asking, as `unseen` asks about it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recommender.columns import Names
from recommender.errors import UsageError
from recommender.history import Items
from recommender.stores import MEMORY, open_store
from recommender.tokens import tokens_of
from recommender.types import EVENT, USE, EventArray, IntArray, Kind, codes64
from training.catalogues import import_items
from training.dataset import items_of, log_of
from training.files import open_table
from training.fit.kind import Subject

CHUNK = 50_000

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the log say what, and the value of `part` whose visitors are asked."""

    customer: str
    item: str
    part: str
    test: str


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """train: what may be fitted on. items: the same items first, then those that only test visitors used.

    uses: the test visitors' profiles, one after the other, each item once; starts: shape (visitors + 1,), where each
    begins.
    """

    train: Subject
    items: Items
    uses: EventArray
    starts: IntArray


def read_task(log: Path, catalogue: Path | None, mapping: Mapping[str, str], part: str, test: str) -> Task:
    """The log cut by its part. Raises UsageError where a file or a column is not there, or a part is empty."""
    names = _columns(log, mapping, part, test)
    pairs = {False: dict[tuple[str, str], None](), True: dict[tuple[str, str], None]()}
    for customer, item, asked in _read(log, names):
        pairs[asked][customer, item] = None
    for asked, found in pairs.items():
        if not found:
            which = f"a {part} of {test!r}" if asked else f"another {part} than {test!r}"
            raise UsageError(f"{log} holds no row with {which}. Say what splits it: --part COLUMN --test VALUE.")
    tokens = _tokens(catalogue, names.item, mapping) if catalogue else {}
    ids = sorted({item for _, item in pairs[False]} | tokens.keys())
    known = items_of(ids, [tokens.get(id_, _NONE) for id_ in ids])
    who, events = _events(list(pairs[False]))
    asked_who, asked_events = _events(list(pairs[True]))
    visitors = log_of(asked_who, asked_events)
    late = sorted({item for _, item in pairs[True]} - set(ids))
    return Task(
        Subject(Kind.FEATURE, known, log_of(who, events)), _joined(known, late), visitors.events, visitors.starts
    )


def _joined(known: Items, late: Sequence[str]) -> Items:
    """The same items, and then some that came after training, of which nothing is known but their ids."""
    new = items_of(late)
    starts = np.concatenate([known.token_starts, np.full(new.known, known.token_starts[-1])])
    codes, ids = np.concatenate([known.codes, new.codes]), [*known.ids, *new.ids]
    return Items(codes, known.known, ids, starts, known.tokens)


def _columns(log: Path, mapping: Mapping[str, str], part: str, test: str) -> Columns:
    """Where the log has what: as mapped, else by our names, else the first columns beside `part`, in this order."""
    with closing(open_table(log)) as table:
        columns = list(table.columns)
    others = [name for name in columns if name != part]
    customer = mapping.get("customer") or next(iter([n for n in others if n == "customer"] or others), "")
    rest = [name for name in others if name != customer]
    item = mapping.get("item") or next(iter([n for n in rest if n == "item"] or rest), "")
    absent = [name for name in (customer, item, part) if name not in columns]
    if absent or customer == item:
        raise UsageError(
            f"{log} has the columns {', '.join(columns) or 'none'}; wanted are a visitor's, an item's and `{part}`. "
            "Say which they are: --map customer=COLUMN,item=COLUMN --part COLUMN"
        )
    return Columns(customer, item, part, test)


def _read(log: Path, names: Columns) -> Iterator[tuple[str, str, bool]]:
    """Customer, item, and whether the row is of a test visitor; rows that lack an id are left out."""
    customers, items = (Names(field, files=True, limit=1 << 62) for field in ("item", "item"))
    with closing(open_table(log)) as table:
        for chunk in table.chunks([names.customer, names.item, names.part], CHUNK):
            who = customers.slots(chunk.columns[names.customer]).tolist()
            what = items.slots(chunk.columns[names.item]).tolist()
            for one, item, part in zip(who, what, chunk.columns[names.part], strict=True):
                if one > 1 and item > 1:
                    yield customers.texts[one], items.texts[item], str(part) == names.test


def _tokens(catalogue: Path, item: str, mapping: Mapping[str, str]) -> dict[str, IntArray]:
    """The attributes of a catalogue's items, by id; its ids are in the mapped column, in `id`, or in the log's."""
    with closing(open_table(catalogue)) as table:
        own = item if item in table.columns and "id" not in table.columns else "id"
    found = {"id": mapping.get("id", own)}
    with closing(open_store(MEMORY, strong=())) as store:
        import_items(store, [catalogue], mapping=found, kind=Kind.FEATURE)
        return {entry.id: tokens_of(entry) for entry in store.items.changes(0)[1]}


def _events(pairs: Sequence[tuple[str, str]]) -> tuple[IntArray, EventArray]:
    """Uses without a clock, all at one instant, and whose they are: numbered as they come."""
    number = {customer: place for place, customer in enumerate(dict.fromkeys(customer for customer, _ in pairs))}
    events = uses_of(codes64(item for _, item in pairs))
    return np.array([number[customer] for customer, _ in pairs], np.int64), events


def uses_of(codes: IntArray) -> EventArray:
    """Uses of these items, without a clock: all at one instant."""
    events = np.zeros(codes.size, EVENT)
    events["item"], events["type"], events["key"] = codes, USE, np.arange(1, codes.size + 1)
    return events
