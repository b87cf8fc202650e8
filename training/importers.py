"""Logs and catalogues of files into the store: through the door, sorted, in transactions of fifty thousand.

Events are gathered into runs of up to two million and each run is sorted by
identity, so that a profile and a page of the store's tree are touched once a
run, not once an event. Memory holds one run, and eight bytes for each row
without an id, by which equal rows of a file are numbered.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from recommender.errors import UsageError
from recommender.events import FIELDS, Admitted, Defaults, Door, system_clock
from recommender.stores.base import Outcome
from recommender.types import IntArray
from training.account import ImportSummary, Progress, Rejects, shown
from training.ahead import ahead
from training.catalogues import import_items
from training.files import DAMAGED, Chunk, Table, open_table
from training.runs import Run, Sink

__all__ = ["Defaults", "ImportSummary", "import_events", "import_items"]

CHUNK = 50_000

LARGE = 8 << 20
"""Bytes of a file from which on it pays to read it in a second process, which takes half a second to start."""

_REFUSED = {
    Outcome.CONFLICT: (
        "conflict",
        "Another event of this customer has this id, or this row was imported before with other options.",
    ),
    Outcome.ERASED: ("erased", "This customer was erased, and nothing of them is kept any more."),
}


def import_events(
    sink: Sink,
    files: Sequence[Path],
    *,
    zone: ZoneInfo,
    mapping: Mapping[str, str] | None = None,
    defaults: Defaults | None = None,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
    now: Callable[[], int] = system_clock,
) -> ImportSummary:
    """Read logs into a store's `events` and say what became of every row.

    mapping: which column of the files is which field of an event (`customer` -> "user_id"); fields that are not
    named are read from columns of their own name. Importing the same rows again changes nothing.
    Raises UsageError for a file or a column that is not there, before anything of that file is written.
    """
    started = time.perf_counter()
    defaults = defaults or Defaults()
    door = partial(Door, zone, replace(defaults, type=defaults.type or "use"), files=True, now=now)
    summary = ImportSummary(files=[str(file) for file in files])
    for file in files:
        with closing(open_table(file)) as table:
            _wanted(file, table, mapping or {})
    run = Run(sink)
    with closing(Rejects(rejects_path, summary)) as rejects, _without_cycles():
        for number, file in enumerate(files):
            for share in _import_file(file, mapping or {}, door, run, summary, rejects):
                if progress:
                    progress((number + share) / len(files), summary.rows)
    summary.customers, summary.items, summary.returns = run.customers, run.items, run.returns
    summary.first, summary.last = run.span
    summary.seconds = time.perf_counter() - started
    return summary


@contextmanager
def _without_cycles() -> Iterator[None]:
    """Rows in lists by the million, and no cycle among them: looking for some would take a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _wanted(file: Path, table: Table, mapping: Mapping[str, str]) -> dict[str, str]:
    """The column of each field. Raises UsageError where a field or a column is not there."""
    unknown = sorted(set(mapping) - set(FIELDS))
    if unknown:
        raise UsageError(f"--map names {_listed(unknown)}; an event has {_listed(FIELDS)}.")
    wanted = {name: name for name in FIELDS if name in table.columns or not table.complete} | dict(mapping)
    absent = sorted(set(mapping.values()) - set(table.columns))
    if table.columns and absent:
        raise UsageError(f"{file} has no column {_listed(absent)}; it has {_listed(table.columns)}. Correct --map.")
    if table.columns and "customer" not in {*mapping, *table.columns}:
        raise UsageError(
            f"{file} has no column `customer`; it has {_listed(table.columns)}. "
            "Say which one it is: --map customer=COLUMN,item=COLUMN,at=COLUMN"
        )
    return wanted


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:30]).encode("utf-8", "backslashreplace").decode()
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some rows of a file, past the door. lines: of each event; rejects: line, code, reason and raw row of the rest."""

    rows: int
    admitted: Admitted
    lines: IntArray
    rejects: list[tuple[int, str, str, object]]
    share: float


def _import_file(
    file: Path,
    mapping: Mapping[str, str],
    door: Callable[[], Door],
    run: Run,
    summary: ImportSummary,
    rejects: Rejects,
) -> Iterator[float]:
    run.new_file()
    large = file.stat().st_size >= LARGE
    for part in ahead(_parts, file, mapping, door) if large else _parts(file, mapping, door):
        summary.rows += part.rows
        for reject in part.rejects:
            rejects.add(file, *reject)
        run.add(part.admitted, part.lines)
        if run.full:
            _write(file, run, summary, rejects)
        yield part.share
    _write(file, run, summary, rejects)
    yield 1.0


def _parts(file: Path, mapping: Mapping[str, str], door: Callable[[], Door]) -> Iterator[_Part]:
    """A file through the door."""
    doorkeeper = door()
    with closing(open_table(file)) as table, _without_cycles():
        wanted = _wanted(file, table, mapping)
        for chunk in table.chunks(list(dict.fromkeys(wanted.values())), CHUNK):
            columns = {name: chunk.columns[column] for name, column in wanted.items()}
            if not table.complete:
                columns = {name: column for name, column in columns.items() if any(one is not None for one in column)}
            admitted = doorkeeper.admit(columns, chunk.lines.size)
            yield _Part(
                rows=chunk.lines.size + len(chunk.bad),
                admitted=replace(admitted, rejects=[]),
                lines=chunk.lines[admitted.rows],
                rejects=_rejected(chunk, admitted, columns),
                share=table.progress(),
            )


def _rejected(
    chunk: Chunk, admitted: Admitted, columns: Mapping[str, Sequence[object]]
) -> list[tuple[int, str, str, object]]:
    rejects: list[tuple[int, str, str, object]] = [
        (bad.line, bad.code, DAMAGED[bad.code], shown(bad.raw)) for bad in chunk.bad
    ]
    for reject in admitted.rejects:
        row = {name: shown(column[reject.row]) for name, column in columns.items()}
        rejects.append((int(chunk.lines[reject.row]), reject.code, reject.detail, row))
    return rejects


def _write(file: Path, run: Run, summary: ImportSummary, rejects: Rejects) -> None:
    outcomes, lines = run.write()
    summary.accepted += int((outcomes == Outcome.ACCEPTED).sum())
    summary.duplicate += int((outcomes == Outcome.DUPLICATE).sum())
    for outcome, (code, reason) in _REFUSED.items():
        for line in np.sort(lines[outcomes == outcome]).tolist():
            rejects.add(file, line, code, reason, None)
