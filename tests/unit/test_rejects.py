"""The rejects file holds people, so they can see their rows and have them removed."""

import json
from pathlib import Path
from typing import Any

from recommender.rejects import FILE, remove, rows_of, sweep

ROWS: list[Any] = [
    {"customer": "crm:1", "at": "yesterday"},
    {"customer": "17850.0", "at": "soon"},
    {"customer": 42, "item": "a"},
    "crm:1,pay-bill,broken \ud83e\uddab off",
    "crm:17,pay-bill,2",
    None,
    {"customer": ["crm:1"]},
]


def write(home: Path) -> None:
    lines = [json.dumps({"file": "f", "line": n, "code": "c", "reason": "r", "row": row}) for n, row in enumerate(ROWS)]
    (home / FILE).write_text("\n".join([*lines, '{"half']), encoding="ascii")


def lines(home: Path) -> list[int]:
    """The numbers of the rows that are still there."""
    whole = (home / FILE).read_text(encoding="ascii").split("\n")[:-1]
    return [entry["line"] for entry in map(json.loads, whole) if "line" in entry]


def test_a_persons_rows_are_found_as_an_import_reads_their_name(tmp_path: Path) -> None:
    write(tmp_path)
    assert [row["line"] for row in rows_of(tmp_path, ["crm:1", "id:17850", "id:42"])] == [0, 1, 2]
    assert list(rows_of(tmp_path, ["crm:2"])) == []


def test_removed_rows_leave_no_letter_and_the_others_stay_where_they_are(tmp_path: Path) -> None:
    write(tmp_path)
    size = (tmp_path / FILE).stat().st_size
    assert remove(tmp_path, ["crm:1", "id:17850"]) == 3
    assert lines(tmp_path) == [2, 4, 5, 6]
    assert (tmp_path / FILE).stat().st_size == size
    text = (tmp_path / FILE).read_text(encoding="ascii")
    assert "17850" not in text
    assert "broken" not in text
    assert text.endswith('{"half')
    assert remove(tmp_path, ["crm:1", "id:17850"]) == 0


def test_a_sweep_asks_who_was_erased(tmp_path: Path) -> None:
    write(tmp_path)
    assert sweep(tmp_path, lambda names: {name for name in names if name == "id:42"}) == 1
    assert lines(tmp_path) == [0, 1, 3, 4, 5, 6]


def test_a_home_without_rejects_has_none(tmp_path: Path) -> None:
    assert list(rows_of(tmp_path, ["crm:1"])) == []
    assert remove(tmp_path, ["crm:1"]) == sweep(tmp_path, set) == 0
