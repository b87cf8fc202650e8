"""The account of an import: what became of every row, and the file of those that stayed outside."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LONGEST_SHOWN = 1000
"""Characters of a raw value that a person gets to see."""

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


class Rejects:
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


def shown(value: object) -> object:
    """A raw value, so far as a person would want to see it."""
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        return f"{value[:LONGEST_SHOWN]}... ({len(value)} characters)"
    return value
