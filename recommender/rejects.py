"""The rows of the last import that stayed outside: a file for the operator, with values, so with people in it.

A row that goes is overwritten where it lies: nothing of it stays, and an import that is writing the file goes on.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from recommender.columns import Names

FILE = "rejects.jsonl"

_GONE = b'{"erased":true}'


def rows_of(home: Path, identities: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of these identities, as they stand in the file; a line that could not be read is nobody's."""
    wanted = set(identities)
    found = _entries(home, _hints(identities))
    return ({"record": "reject", **entry} for _, entry, identity in found if identity in wanted)


def remove(home: Path, identities: Sequence[str]) -> int:
    """Overwrite the rows of these identities, and lines that could not be read and seem to name one; how many."""
    wanted = set(identities)
    named = re.compile("|".join(rf"(?<!\w){re.escape(name.partition(':')[2])}(?!\w)" for name in identities))

    def whose(entry: dict[str, Any], identity: str) -> bool:
        unread = entry.get("row")
        return identity in wanted or (isinstance(unread, str) and bool(named.search(unread)))

    found = _entries(home, _hints(identities))
    return _overwrite(home, [place for place, entry, identity in found if whose(entry, identity)])


def sweep(home: Path, erased: Callable[[Sequence[str]], set[str]]) -> int:
    """Overwrite the rows of whoever was erased: an import brought them again, or wrote them meanwhile."""
    gone = erased(sorted({identity for _, _, identity in _entries(home)} - {""}))
    return remove(home, sorted(gone)) if gone else 0


def _overwrite(home: Path, places: Sequence[tuple[int, int]]) -> int:
    if places:
        with (home / FILE).open("r+b") as stream:
            for at, length in places:
                stream.seek(at)
                stream.write(_GONE.ljust(length))
    return len(places)


def _hints(identities: Sequence[str]) -> list[bytes]:
    """What a line of these identities surely holds: looking for it is thirty times as fast as reading the line."""
    if not all(map(str.isascii, identities)):  # a picture of a control character is a control character in the file
        return []
    return [json.dumps(name.partition(":")[2])[1:-1].encode() for name in identities]


def _entries(home: Path, hints: Sequence[bytes] = ()) -> Iterator[tuple[tuple[int, int], dict[str, Any], str]]:
    """Where each whole line lies and how long it is, what it says, and whose row it is as an import reads it.

    hints: lines that hold none of these are passed over.
    """
    names, at = Names("customer", files=True, limit=1000), 0
    if not (home / FILE).is_file():
        return
    with (home / FILE).open("rb") as stream:
        for line in stream:
            wanted = not hints or any(hint in line for hint in hints)
            if wanted and line.endswith(b"\n"):  # else it is being written
                entry = json.loads(line)
                row = entry.get("row")
                said = row.get("customer") if isinstance(row, dict) else None
                yield (at, len(line) - 1), entry, names.texts[names.slots([said])[0]]
            at += len(line)
