"""Catalogues of files into the store: one row, one item; what is no field of an item becomes an attribute.

Where there is no catalogue, what a log says of its items beside their ids.
"""

import math
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from recommender.columns import LARGEST_PROPERTIES, LONGEST_ID, LONGEST_NAME, Names
from recommender.errors import ConflictError, UsageError
from recommender.stores.base import Item, Items, Store
from recommender.types import Kind
from training.account import ImportSummary, Progress, Rejects, shown
from training.files import DAMAGED, Chunk, Table, open_table

FIELDS = ("id", "kind", "title", "available", "attributes")
LONGEST_TITLE = 2000
CHUNK, LOG_CHUNK = 5_000, 50_000
"""Rows read at a time: of a catalogue, and of a log that says of its items what they are like."""

REASONS = {
    "no_id": "`id` is missing or empty.",
    "bad_id": f"`id` is 1 to {LONGEST_ID} characters, none a control character or half of one.",
    "no_kind": "`kind` is missing: give the column, or --kind content or --kind feature for all rows.",
    "bad_kind": "`kind` is `content` or `feature`.",
    "bad_title": f"`title` is text of at most {LONGEST_TITLE} characters.",
    "bad_available": "`available` is true or false, or 1 or 0.",
    "bad_attributes": "An attribute is text, a number, true or false, or a list of texts; 32 KB in all.",
    "conflict": "This item is in the catalogue with another kind. Delete it first, or import it with its kind.",
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?", re.ASCII)
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class _WrongError(ValueError):
    """A row that is no item; the message is one of REASONS."""


def import_items(
    store: Store,
    files: Sequence[Path],
    *,
    mapping: Mapping[str, str] | None = None,
    kind: Kind | None = None,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Read catalogues into the store: `id`, `kind`, `title`, `available`; the other columns are attributes.

    mapping: which column is which field, or which attribute ("price" -> "UnitPrice"). kind: of rows that have none.
    An item that comes again is replaced; a row whose item came before in these files counts as duplicate.
    Raises UsageError for a file or a column that is not there, before anything is written.
    """
    started = time.perf_counter()
    summary = ImportSummary(files=[str(file) for file in files])
    reader = _Reader(kind)
    for file in files:
        with closing(open_table(file)) as table:
            _check(file, table, mapping or {})
    with closing(Rejects(rejects_path, summary)) as rejects:
        for number, file in enumerate(files):
            with closing(open_table(file)) as table:
                for chunk in table.chunks(None, CHUNK):
                    _import_chunk(store.items, file, chunk, mapping or {}, reader, summary, rejects)
                    if progress:
                        progress((number + table.progress()) / len(files), summary.rows)
    summary.items = len(reader.met)
    summary.seconds = time.perf_counter() - started
    return summary


def _check(file: Path, table: Table, mapping: Mapping[str, str]) -> None:
    """Raises UsageError where a column is not there."""
    taken, columns = set(mapping.values()), set(table.columns)
    absent = sorted(taken - columns)
    if table.columns and absent:
        raise UsageError(f"{file} has no column {', '.join(absent)}; it has {', '.join(table.columns)}. Correct --map.")
    if table.columns and "id" not in mapping.keys() | (columns - taken):
        raise UsageError(f"{file} has no column `id`; it has {', '.join(table.columns)}. Say --map id=COLUMN.")


def _rows(chunk: Chunk, mapping: Mapping[str, str]) -> Iterator[tuple[int, dict[str, object]]]:
    """The line of each row, and its fields and attributes by name."""
    taken = set(mapping.values())
    columns = {name: column for name, column in chunk.columns.items() if name not in taken}
    columns |= {name: chunk.columns[column] for name, column in mapping.items() if column in chunk.columns}
    for at, line in enumerate(chunk.lines.tolist()):
        yield line, {name: column[at] for name, column in columns.items()}


def _import_chunk(
    items: Items,
    file: Path,
    chunk: Chunk,
    mapping: Mapping[str, str],
    reader: "_Reader",
    summary: ImportSummary,
    rejects: Rejects,
) -> None:
    summary.rows += chunk.lines.size + len(chunk.bad)
    for bad in chunk.bad:
        rejects.add(file, bad.line, bad.code, DAMAGED[bad.code], shown(bad.raw))
    read: list[tuple[int, dict[str, object], Item]] = []
    for line, row in _rows(chunk, mapping):
        try:
            read.append((line, row, reader.item(row)))
        except _WrongError as error:
            rejects.add(file, line, str(error), REASONS[str(error)], {name: shown(v) for name, v in row.items()})
    refused = set(_put(items, [item for _, _, item in read]))
    for at, (line, row, item) in enumerate(read):
        if at in refused:
            rejects.add(file, line, "conflict", REASONS["conflict"], {name: shown(v) for name, v in row.items()})
        elif item.id in reader.met:
            summary.duplicate += 1
        else:
            reader.met.add(item.id)
            summary.accepted += 1


def _put(items: Items, batch: Sequence[Item]) -> Iterator[int]:
    """Put all items that can be; yields the place of each that cannot, found by halving."""
    waiting = [(0, len(batch))]
    while waiting:
        start, end = waiting.pop()
        try:
            items.put(batch[start:end])
        except ConflictError:
            if end - start == 1:
                yield start
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]


class _Reader:
    """Makes items of rows."""

    def __init__(self, kind: Kind | None) -> None:
        self._kind = kind
        self._ids = Names("item", files=True, limit=100_000)
        self.met: set[str] = set()

    def item(self, row: Mapping[str, object]) -> Item:
        """The item that a row states. Raises _WrongError."""
        slot = int(self._ids.slots([row.get("id")])[0])
        if slot < 2:
            raise _WrongError("bad_id" if slot else "no_id")
        return Item(
            id=self._ids.texts[slot],
            kind=self._kind_of(row.get("kind")),
            title=_title(row.get("title")),
            attributes=_attributes(row),
            available=_available(row.get("available")),
        )

    def _kind_of(self, value: object) -> Kind:
        if value is None or value == "":
            if self._kind is None:
                raise _WrongError("no_kind")
            return self._kind
        try:
            return Kind(str(value).lower())
        except ValueError:
            raise _WrongError("bad_kind") from None


def _title(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST_TITLE or not _is_unicode(value):
        raise _WrongError("bad_title")
    return value


def _available(value: object) -> bool:
    if value is None or value == "":
        return True
    found = _TRUTH.get(str(value).lower().removesuffix(".0"))
    if found is None:
        raise _WrongError("bad_available")
    return found


def _attributes(row: Mapping[str, object]) -> dict[str, Any] | None:
    given = row.get("attributes") or {}
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except ValueError:
            raise _WrongError("bad_attributes") from None
    if not isinstance(given, dict):
        raise _WrongError("bad_attributes")
    named = given | {name: value for name, value in row.items() if name not in FIELDS}
    kept = {name: _plain(value) for name, value in named.items() if not _is_nothing(value)}
    if any(not 0 < len(name) <= LONGEST_NAME for name in kept):
        raise _WrongError("bad_attributes")
    if len(orjson.dumps(kept)) > LARGEST_PROPERTIES:
        raise _WrongError("bad_attributes")
    return kept or None


def _is_nothing(value: object) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124 - NaN is how data frames say "nothing"


def _plain(value: object) -> object:
    """An attribute's value; a number that came as text is one."""
    if isinstance(value, str) and _is_unicode(value):
        if _NUMBER.fullmatch(value):
            return float(value) if "." in value else int(value)
        return value
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 2**63 and math.isfinite(value)):
        return value
    if isinstance(value, list) and all(isinstance(one, str) and _is_unicode(one) for one in value):
        return value
    raise _WrongError("bad_attributes")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def described(path: Path, mapping: Mapping[str, str]) -> list[Item]:
    """The items of a log that says of each what it is like: `item`, and columns that are its title and attributes.

    Of several values of one item numbers give their median, texts the commonest. Raises UsageError where a column
    is not there.
    """
    names = Names("item", files=True, limit=1_000_000)
    said: dict[str, dict[str, list[object]]] = {}
    with closing(open_table(path)) as table:
        absent = sorted(set(mapping.values()) - set(table.columns))
        if absent:
            raise UsageError(f"{path} has no column {', '.join(absent)}; it has {', '.join(table.columns)}.")
        for chunk in table.chunks(list(mapping.values()), LOG_CHUNK):
            columns = {name: chunk.columns[column] for name, column in mapping.items()}
            for at, slot in enumerate(names.slots(columns["item"]).tolist()):
                if slot >= 2:  # the first two stand for nothing and for the unfit
                    own = said.setdefault(names.texts[slot], {})
                    for name, values in columns.items():
                        if name != "item" and values[at] not in (None, ""):
                            own.setdefault(name, []).append(values[at])
    return [_item(id_, {name: _typical(values) for name, values in own.items()}) for id_, own in said.items()]


def _item(id_: str, attributes: dict[str, object]) -> Item:
    title = attributes.pop("title", None)
    return Item(id_, Kind.CONTENT, None if title is None else str(title), attributes)


def _typical(values: Sequence[object]) -> object:
    numbers = [_number(value) for value in values]
    if all(number is not None for number in numbers):
        return statistics.median(number for number in numbers if number is not None)
    return statistics.mode(map(str, values))


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None
