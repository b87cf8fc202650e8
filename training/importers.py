"""Logs and catalogues of files into the store: through the door, sorted, in transactions of fifty thousand.

Events are gathered into runs of up to two million and each run is sorted by
identity, so that a profile and a page of the store's tree are touched once a
run, not once an event. Memory holds one run, and eight bytes for each row
without an id, by which equal rows of a file are numbered.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import numpy as np

from recommender.errors import UsageError
from recommender.events import FIELDS, Admitted, Defaults, Door, system_clock
from recommender.stores.base import Outcome, Store
from training.files import DAMAGED, LONGEST_SHOWN, Chunk, Table, open_table
from training.runs import Run

CHUNK = 100_000
CONFLICT = "Another event of this customer has this id, or this row was imported before with other options."

Progress = Callable[[float, int], None]
"""Told now and then: the share of all files that was read, and the rows so far."""


@dataclass(slots=True)
class ImportSummary:
    """What became of every row: rows == accepted + duplicate + rejected.

    reasons: how many rows were rejected, by code. returns, customers, items, first, last: of the rows that came
    through the door; instants in milliseconds UTC, 0 where there are none.
    """

    rows: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    returns: int = 0
    customers: int = 0
    items: int = 0
    first: int = 0
    last: int = 0
    seconds: float = 0.0
    files: list[str] = field(default_factory=list)
    rejects_file: str | None = None


class _Rejects:
    """The file of rows that stayed outside; made when the first one comes. It is for the operator: it holds values."""

    def __init__(self, path: Path | None, summary: ImportSummary) -> None:
        self._path, self._summary = path, summary
        self._stream: IO[str] | None = None

    def add(self, file: Path, line: int, code: str, reason: str, row: object) -> None:
        self._summary.rejected += 1
        self._summary.reasons[code] = self._summary.reasons.get(code, 0) + 1
        if self._path is None:
            return
        if self._stream is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._stream = self._path.open("w", encoding="ascii")
            self._summary.rejects_file = str(self._path)
        entry = {"file": str(file), "line": line, "code": code, "reason": reason, "row": row}
        self._stream.write(json.dumps(entry, default=str) + "\n")

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def import_events(
    store: Store,
    files: Sequence[Path],
    *,
    zone: ZoneInfo,
    mapping: Mapping[str, str] | None = None,
    defaults: Defaults | None = None,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
    now: Callable[[], int] = system_clock,
) -> ImportSummary:
    """Read logs into the store and say what became of every row.

    mapping: which column of the files is which field of an event (`customer` -> "user_id"); fields that are not
    named are read from columns of their own name. Importing the same rows again changes nothing.
    Raises UsageError for a file or a column that is not there, before anything of that file is written.
    """
    started = time.perf_counter()
    defaults = defaults or Defaults()
    door = Door(zone, replace(defaults, type=defaults.type or "use"), files=True, now=now)
    summary = ImportSummary(files=[str(file) for file in files])
    for file in files:
        with closing(open_table(file)) as table:
            _wanted(file, table, mapping or {})
    rejects = _Rejects(rejects_path, summary)
    run = Run(store.events)
    try:
        for number, file in enumerate(files):
            with closing(open_table(file)) as table:
                for share in _import_file(file, table, mapping or {}, door, run, summary, rejects):
                    if progress:
                        progress((number + share) / len(files), summary.rows)
    finally:
        rejects.close()
    summary.customers, summary.items, summary.returns = run.customers, run.items, run.returns
    summary.first, summary.last = run.span
    summary.seconds = time.perf_counter() - started
    return summary


def _wanted(file: Path, table: Table, mapping: Mapping[str, str]) -> dict[str, str]:
    """The column of each field. Raises UsageError where a field or a column is not there."""
    unknown = sorted(set(mapping) - set(FIELDS))
    if unknown:
        raise UsageError(f"--map names {_listed(unknown)}; an event has {_listed(FIELDS)}.")
    wanted = {name: name for name in FIELDS if name in table.columns} | dict(mapping)
    absent = sorted(set(wanted.values()) - set(table.columns))
    if table.columns and absent:
        raise UsageError(f"{file} has no column {_listed(absent)}; it has {_listed(table.columns)}. Correct --map.")
    if table.columns and "customer" not in wanted:
        raise UsageError(
            f"{file} has no column `customer`; it has {_listed(table.columns)}. "
            "Say which one it is: --map customer=COLUMN,item=COLUMN,at=COLUMN"
        )
    return wanted


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:30]).encode("utf-8", "backslashreplace").decode()
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"


def _import_file(
    file: Path,
    table: Table,
    mapping: Mapping[str, str],
    door: Door,
    run: Run,
    summary: ImportSummary,
    rejects: _Rejects,
) -> Iterator[float]:
    wanted = _wanted(file, table, mapping)
    run.new_file()
    for chunk in table.chunks(list(dict.fromkeys(wanted.values())), CHUNK):
        columns = {name: chunk.columns[column] for name, column in wanted.items()}
        admitted = door.admit(columns, chunk.lines.size)
        summary.rows += chunk.lines.size + len(chunk.bad)
        _file_rejects(file, chunk, admitted, columns, rejects)
        run.add(admitted, chunk.lines[admitted.rows])
        if run.full:
            _write(file, run, summary, rejects)
        yield table.progress()
    _write(file, run, summary, rejects)
    yield 1.0


def _file_rejects(
    file: Path, chunk: Chunk, admitted: Admitted, columns: Mapping[str, Sequence[object]], rejects: _Rejects
) -> None:
    for bad in chunk.bad:
        rejects.add(file, bad.line, bad.code, DAMAGED[bad.code], _shown(bad.raw))
    for reject in admitted.rejects:
        row = {name: _shown(column[reject.row]) for name, column in columns.items()}
        rejects.add(file, int(chunk.lines[reject.row]), reject.code, reject.detail, row)


def _shown(value: object) -> object:
    """A raw value, so far as a person would want to see it."""
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        return f"{value[:LONGEST_SHOWN]}... ({len(value)} characters)"
    return value


def _write(file: Path, run: Run, summary: ImportSummary, rejects: _Rejects) -> None:
    outcomes, lines = run.write()
    summary.accepted += int((outcomes == Outcome.ACCEPTED).sum())
    summary.duplicate += int((outcomes == Outcome.DUPLICATE).sum())
    for line in np.sort(lines[outcomes == Outcome.CONFLICT]).tolist():
        rejects.add(file, line, "conflict", CONFLICT, None)
