"""Logs and catalogues as people keep them, CSV, JSONL or Parquet, plain or gzipped, read a chunk of rows at a time.

A row that cannot be told apart from its neighbours (too few fields, broken
JSON, the end of a torn archive) is handed on as a `Bad` one, never left out.
Broken UTF-8 becomes lone surrogates, which no check of a value lets pass.
"""

import csv
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import orjson

from recommender.errors import UsageError
from recommender.types import IntArray

DAMAGED = {
    "bad_row": "This row does not have as many fields as the header.",
    "bad_json": "This line is not a JSON object, or its text is not UTF-8.",
    "field_too_large": f"A field is longer than {csv.field_size_limit()} characters; a quote may be missing.",
    "file_ends_early": "The archive is damaged or cut short here; what came before was read. Get it whole.",
}
"""What can be wrong with a row before anyone looks at its values."""

_FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "1GB",
    "threads": 2,
}
_LOOK_AHEAD = 1000
_BUFFER = 1 << 18
_TORN = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that is no row. line: counted from 1, of the file as text; raw: what can be shown of it."""

    line: int
    code: str
    raw: object


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows, column by column. lines: shape (n,), where each row ends in the file (Parquet: its number)."""

    columns: dict[str, Sequence[object]]
    lines: IntArray
    bad: list[Bad] = field(default_factory=list)


class Table(Protocol):
    """A file that was opened."""

    complete: bool
    """Whether no row has more columns than `columns`."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns, as far as they can be known before reading everything."""

    def chunks(self, wanted: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        """All rows, `size` at a time, once; of these columns, or of all that a row of the chunk has."""

    def progress(self) -> float:
        """How much has been read, from 0 to 1."""

    def close(self) -> None: ...


def open_table(path: Path) -> Table:
    """A file by its name's ending, or by how it begins. Raises UsageError where it cannot be read."""
    closing = ExitStack()
    try:
        raw = closing.enter_context(path.open("rb"))
        stream = _unzipped(raw, closing)
        kind = _format(path, stream)
        if kind == "parquet":
            return ParquetTable(_on_disk(path, raw, stream, closing), closing)
        share = partial(_share, raw, path.stat().st_size)
        return CsvTable(stream, share, closing) if kind == "csv" else JsonTable(stream, share, closing)
    except OSError as error:
        closing.close()
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except BaseException:
        closing.close()
        raise


def _share(raw: IO[bytes], size: int) -> float:
    return raw.tell() / size if size else 1.0


class _Unzipping(io.RawIOBase):
    """An archive that gives what it has before it tells that it is torn; GzipFile's own reads lose that."""

    def __init__(self, archive: gzip.GzipFile) -> None:
        self._archive = archive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._archive.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _unzipped(raw: io.BufferedReader, closing: ExitStack) -> io.BufferedReader:
    if raw.peek(2)[:2] != b"\x1f\x8b":
        return raw
    archive = closing.enter_context(gzip.GzipFile(fileobj=raw))
    return closing.enter_context(io.BufferedReader(_Unzipping(archive), _BUFFER))


def _peek(stream: io.BufferedReader) -> bytes:
    try:
        return stream.peek(4096)
    except _TORN:
        return b""


def _until_torn(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except (*_TORN, csv.Error):
        return


def _format(path: Path, stream: io.BufferedReader) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in _FORMATS:
        return _FORMATS[suffixes[-1]]
    head = _peek(stream).lstrip()
    if head[:4] == b"PAR1":
        return "parquet"
    return "jsonl" if head[:1] == b"{" else "csv"


def _on_disk(path: Path, raw: IO[bytes], stream: IO[bytes], closing: ExitStack) -> Path:
    """Where a reader that needs a plain file finds one."""
    if stream is raw:
        return path
    plain = closing.enter_context(tempfile.NamedTemporaryFile(suffix=".parquet"))  # noqa: SIM115 - closed by `closing`
    try:
        shutil.copyfileobj(stream, plain)
    except _TORN as error:
        raise UsageError(f"{path} is damaged or cut short; Parquet cannot be read in part. Copy it again.") from error
    plain.flush()
    return Path(plain.name)


class CsvTable:
    """CSV with a header, in UTF-8 or (with its mark) UTF-16; the delimiter is the header's: comma, ; | or tab."""

    complete = True

    def __init__(self, stream: io.BufferedReader, share: Callable[[], float], closing: ExitStack) -> None:
        head = _peek(stream)
        encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        header = head.decode(encoding, "replace").partition("\n")[0]
        delimiter = max(",;\t|", key=header.count)
        text = closing.enter_context(io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline=""))
        self._rows = csv.reader(text, delimiter=delimiter)
        self.columns = next(_until_torn(self._rows), [])
        self._progress, self._closing = share, closing

    def progress(self) -> float:
        return self._progress()

    def close(self) -> None:
        self._closing.close()

    def chunks(self, wanted: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        wanted = list(dict.fromkeys(self.columns)) if wanted is None else wanted
        pick = [(name, itemgetter(self.columns.index(name))) for name in wanted]
        more = True
        while more:
            before = self._rows.line_num
            rows, lines, bad = self._take(size)
            more = bool(self._rows.line_num > before) and not (bad and bad[-1].code == "file_ends_early")
            if rows or bad:
                yield Chunk({name: list(map(get, rows)) for name, get in pick}, lines, bad)

    def _take(self, size: int) -> tuple[list[list[str]], IntArray, list[Bad]]:
        before, rows, bad = self._rows.line_num, list[list[str]](), list[Bad]()
        try:
            rows.extend(islice(self._rows, size))
        except csv.Error:
            bad.append(Bad(self._rows.line_num, "field_too_large", None))
        except _TORN:
            bad.append(Bad(self._rows.line_num + 1, "file_ends_early", None))
        if self._rows.line_num - before == len(rows):
            lines = np.arange(before + 1, before + 1 + len(rows))
        else:
            heights = [1 + sum(value.count("\n") for value in row) for row in rows]
            lines = before + np.cumsum(heights, dtype=np.int64)
        width = len(self.columns)
        if set(map(len, rows)) <= {width}:
            return rows, lines, bad
        bad += [
            Bad(line, "bad_row", row) for row, line in zip(rows, lines.tolist(), strict=True) if 0 < len(row) != width
        ]
        fits = np.fromiter(map(len, rows), np.int64, len(rows)) == width
        return [row for row in rows if len(row) == width], lines[fits], bad


class JsonTable:
    """One JSON object a line; a name that the first lines lack may come later."""

    complete = False

    def __init__(self, stream: io.BufferedReader, share: Callable[[], float], closing: ExitStack) -> None:
        self._source = stream
        self._line, self._ended = 0, False
        self._first = self._take(_LOOK_AHEAD)
        self.columns = list(dict.fromkeys(name for row in self._first[0] for name in row))
        self._progress, self._closing = share, closing

    def progress(self) -> float:
        return self._progress()

    def close(self) -> None:
        self._closing.close()

    def chunks(self, wanted: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        rows, lines, bad = self._first
        while True:
            if rows or bad:
                names = dict.fromkeys(name for row in rows for name in row) if wanted is None else wanted
                yield Chunk({name: [row.get(name) for row in rows] for name in names}, np.array(lines, np.int64), bad)
            if self._ended:
                return
            rows, lines, bad = self._take(size)

    def _take(self, size: int) -> tuple[list[dict[str, object]], list[int], list[Bad]]:
        rows, lines, bad = list[dict[str, object]](), list[int](), list[Bad]()
        before = self._line
        try:
            for text in islice(self._source, size):
                self._line += 1
                if text.isspace():
                    continue
                row = _parsed(text)
                if row is None:
                    bad.append(Bad(self._line, "bad_json", text.decode(errors="backslashreplace")))
                else:
                    rows.append(row)
                    lines.append(self._line)
            self._ended = self._line == before
        except _TORN:
            bad.append(Bad(self._line + 1, "file_ends_early", None))
            self._ended = True
        return rows, lines, bad


def _parsed(text: bytes) -> dict[str, object] | None:
    try:
        row = orjson.loads(text)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


class ParquetTable:
    """Parquet, through DuckDB with its downloads switched off; times come in UTC where the file says so."""

    complete = True

    def __init__(self, path: Path, closing: ExitStack) -> None:
        import duckdb

        self._path, self._closing = str(path), closing
        self._database = closing.enter_context(duckdb.connect(config=_DUCKDB))
        try:
            found = self._database.execute("DESCRIBE SELECT * FROM read_parquet(?)", [self._path]).fetchall()
            count = self._database.execute("SELECT count(*) FROM read_parquet(?)", [self._path]).fetchone()
        except duckdb.Error as error:
            raise UsageError(f"{path} is not a Parquet file that can be read: {error}") from error
        self._types = {name: kind for name, kind, *_ in found}
        self._rows, self._read = int(count[0]) if count else 0, 0
        self.columns = list(self._types)

    def progress(self) -> float:
        return self._read / self._rows if self._rows else 1.0

    def close(self) -> None:
        self._closing.close()

    def chunks(self, wanted: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        wanted = self.columns if wanted is None else wanted
        picked = ", ".join(self._expression(name) for name in wanted)
        result = self._database.execute(f"SELECT {picked} FROM read_parquet(?)", [self._path])  # noqa: S608 - quoted
        while rows := result.fetchmany(size):
            lines = np.arange(self._read + 1, self._read + 1 + len(rows))
            self._read += len(rows)
            yield Chunk(dict(zip(wanted, zip(*rows, strict=True), strict=True)), lines)

    def _expression(self, name: str) -> str:
        quoted = '"' + name.replace('"', '""') + '"'
        kind = self._types[name]
        if kind == "TIMESTAMP WITH TIME ZONE":
            return f"strftime(make_timestamp(epoch_us({quoted})), '%Y-%m-%dT%H:%M:%S.%fZ')"
        if kind.startswith("DECIMAL"):
            return f"CAST({quoted} AS DOUBLE)"
        return f"CAST({quoted} AS VARCHAR)" if kind in ("UUID", "TIME") else quoted


def csv_to_parquet(source: Path, target: Path) -> None:
    """Write a CSV file with a header as Parquet, all columns as text."""
    import duckdb

    with duckdb.connect(config=_DUCKDB) as database:
        table = database.read_csv(str(source), header=True, all_varchar=True)
        table.write_parquet(str(target), compression="zstd")
