"""Every answer that was given, on SQLite, in a file of its own."""

from collections.abc import Sequence
from typing import Any

import orjson

from recommender.stores.base import first_id
from recommender.stores.sqlite.database import Database
from recommender.stores.sqlite.tombstones import Tombstones

CUSTOMER = "json_extract(CAST(body AS TEXT), '$.customer')"
"""The identity that an answer was for, in its body."""
_BY_CUSTOMER = f"CREATE INDEX IF NOT EXISTS answers_by_customer ON answers({CUSTOMER}, recommendation_id)"
"""50 bytes and 11 us an answer, behind it; then a customer's newest answer is found in 50 us, a stranger's none in 10.

The alternative was to load the newest answers at the start, which forgets the customers who come less often."""
_GIVEN = f"""
SELECT body FROM answers WHERE {CUSTOMER} = ? AND recommendation_id >= ? ORDER BY recommendation_id DESC LIMIT ?
"""  # noqa: S608 - constants alone


class SqliteLedger:
    """The `Ledger` seam on SQLite."""

    def __init__(self, database: Database, main: Database, tombstones: Tombstones) -> None:
        self._database, self._main, self._tombstones = database, main, tombstones
        if database.writable:
            with database.writing() as connection:
                connection.execute(_BY_CUSTOMER)  # a ledger of before has none

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        rows = [
            (answer["recommendation_id"], answer["at"], orjson.dumps(answer), answer.get("customer"))
            for answer in recommendations
        ]
        with self._database.writing() as connection:  # from here on whoever erases waits to remove what is written
            erased = self._tombstones.among(self._main.reader(), {row[3] for row in rows if row[3]})
            kept = [row[:3] for row in rows if row[3] not in erased]
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", kept)

    def read(self, recommendation_id: str) -> dict[str, Any] | None:
        query = "SELECT body FROM answers WHERE recommendation_id = ?"
        rows = self._database.fetch(query, recommendation_id)
        return dict(orjson.loads(rows[0][0])) if rows else None

    def given(self, identity: str, since: int, most: int) -> list[dict[str, Any]]:
        return [orjson.loads(body) for (body,) in self._database.fetch(_GIVEN, identity, first_id(since), most)]

    def prune(self, before: int, most: int) -> int:
        old = "SELECT recommendation_id FROM answers WHERE at < ? ORDER BY at LIMIT ?"
        with self._database.writing() as connection:
            connection.execute(f"DELETE FROM answers WHERE recommendation_id IN ({old})", (before, most))  # noqa: S608
            return connection.changes()

    def state(self) -> dict[str, int]:
        query = "SELECT count(*), coalesce(min(at), 0), coalesce(max(at), 0) FROM answers"
        answers, oldest, newest = self._database.fetch(query)[0]
        return {"answers": answers, "bytes": self._database.bytes(), "oldest": oldest, "newest": newest}
