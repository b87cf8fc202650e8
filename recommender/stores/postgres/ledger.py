"""Every answer that was given, on PostgreSQL."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson

from recommender.stores.base import first_id
from recommender.stores.postgres.database import ERASURE, Database, hold, many
from recommender.stores.postgres.tombstones import Tombstones

_WRITE = """
INSERT INTO answers(recommendation_id, at, body, customer) VALUES (%s, %s, %s, %s)
ON CONFLICT (recommendation_id) DO UPDATE SET at = excluded.at, body = excluded.body, customer = excluded.customer
"""
_GIVEN = """
SELECT body FROM answers WHERE customer = %s AND recommendation_id COLLATE "C" >= %s
ORDER BY recommendation_id COLLATE "C" DESC LIMIT %s
"""
_STATE = """
SELECT count(*), pg_total_relation_size('answers'), coalesce(min(at), 0), coalesce(max(at), 0) FROM answers
"""


class PostgresLedger:
    """The `Ledger` seam on PostgreSQL."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database, self._tombstones = database, tombstones

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        rows = [
            (answer["recommendation_id"], answer["at"], orjson.dumps(answer), answer.get("customer"))
            for answer in recommendations
        ]
        with self._database.writing() as connection:
            connection.execute("SET LOCAL synchronous_commit TO off")  # nobody waits for the ledger
            hold(connection, ERASURE, shared=True)
            erased = self._tombstones.among(connection, {row[3] for row in rows if row[3]})
            many(connection, _WRITE, sorted((row for row in rows if row[3] not in erased), key=itemgetter(0)))

    def read(self, recommendation_id: str) -> dict[str, Any] | None:
        rows = self._database.fetch("SELECT body FROM answers WHERE recommendation_id = %s", recommendation_id)
        return dict(orjson.loads(rows[0][0])) if rows else None

    def given(self, identity: str, since: int, most: int) -> list[dict[str, Any]]:
        return [orjson.loads(body) for (body,) in self._database.fetch(_GIVEN, identity, first_id(since), most)]

    def prune(self, before: int, most: int) -> int:
        old = "SELECT recommendation_id FROM answers WHERE at < %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED"
        with self._database.writing() as connection:
            query = f"DELETE FROM answers WHERE recommendation_id IN ({old})"  # noqa: S608  our own words
            return connection.execute(query, (before, most)).rowcount

    def state(self) -> dict[str, int]:
        answers, size, oldest, newest = self._database.fetch(_STATE)[0]
        return {"answers": answers, "bytes": size, "oldest": oldest, "newest": newest}
