"""The log of events and the profiles that it adds up to, written in one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import orjson

from recommender.consent import Purpose, customers_who
from recommender.profile import Profile
from recommender.stores.base import CustomerLog, EventBatch, Outcome, StoredEvent
from recommender.stores.layout import (
    PART,
    PART_BITS,
    RECORD,
    Question,
    Row,
    add_up,
    bounds,
    by_identity,
    counts_of,
    grown,
    judge,
    logs,
    newest,
    shortened,
)
from recommender.stores.postgres.consents import OF_CUSTOMER, statements_of
from recommender.stores.postgres.database import Connection, Database, many, number, rows
from recommender.stores.postgres.identities import enrol
from recommender.stores.postgres.items import name_items
from recommender.stores.postgres.tombstones import Tombstones
from recommender.types import EventArray, IntArray

_RANGE = f"BETWEEN i.id << {PART_BITS} AND (i.id << {PART_BITS}) + {PART}"
_OF_IDENTITY = "SELECT id, body FROM parts WHERE id BETWEEN %s AND %s ORDER BY id"
_LAST = f"""
SELECT l.id, l.body FROM unnest(%s::bigint[]) AS i(id) CROSS JOIN LATERAL (
    SELECT p.id, p.body FROM parts p WHERE p.id {_RANGE} AND p.id > i.id << {PART_BITS} ORDER BY p.id DESC LIMIT 1
) AS l
"""  # noqa: S608  the numbers are our own
_WRITE = "INSERT INTO parts VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_LOCK = "SELECT count(*) FROM (SELECT 1 FROM identities WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE) AS held"
_STORED = """
SELECT q.at, e.digest FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS q(identity, key, at)
JOIN events e ON e.identity = q.identity AND e.key = q.key
"""
_TOLD = """
SELECT i.name, e.event_id, t.name, m.id, c.name, e.extra FROM events e JOIN identities i ON i.id = e.identity
LEFT JOIN names t ON t.code = %s LEFT JOIN items m ON m.code = %s LEFT JOIN names c ON c.code = %s
WHERE e.identity = %s AND e.key = %s
"""
_ALL = f"""
SELECT i.customer, p.id, p.body FROM identities i JOIN parts p ON p.id {_RANGE} ORDER BY i.customer, p.id
"""  # noqa: S608  the numbers are our own
_FETCHED = 2_000
"""Rows of a scan that come at a time."""


class _ErasedMeanwhileError(Exception):
    """Somebody was erased between two looks at who they are; nothing is written."""


class PostgresEvents:
    """The `Events` seam on PostgreSQL."""

    def __init__(self, database: Database, tombstones: Tombstones, unstated: Mapping[Purpose, bool]) -> None:
        self._database, self._tombstones, self._unstated = database, tombstones, unstated
        self._names: set[int] = set()
        self._items: set[int] = set()
        """Codes that are surely there, since neither is ever removed: most events name nothing new."""

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        while batch.records.size:
            with suppress(_ErasedMeanwhileError):
                return self._append(batch)
        return np.zeros(0, np.uint8)

    def _append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        with self._database.writing() as connection:
            who, first_new = enrol(connection, batch.identities, batch.who, self._tombstones)
            old = np.unique(who[(who > 0) & (who < first_new)]).tolist()
            if number(connection, _LOCK, old) < len(old):
                raise _ErasedMeanwhileError
            outcome = np.full(who.size, Outcome.ERASED, np.uint8)
            rows_ = np.flatnonzero(who)
            known = batch if rows_.size == who.size else batch.select(rows_)
            outcome[rows_], named = self._write(connection, known, who[rows_], first_new)
        if (outcome == Outcome.ACCEPTED).any():
            self._names |= known.names.keys()
            self._items.update(named)
        return outcome

    def _write(
        self, connection: Connection, batch: EventBatch, who: IntArray, first_new: int
    ) -> tuple[npt.NDArray[np.uint8], AbstractSet[int]]:
        """An Outcome of each event, and which items are surely there now; who: shape (n,), numbers of identities."""
        order, outcome = judge(who, batch, first_new, lambda asked: _stored(connection, asked))
        accepted = order[outcome[order] == Outcome.ACCEPTED]
        if not accepted.size:
            return outcome, frozenset()
        _write_log(connection, batch, who, accepted)
        _extend(connection, *by_identity(who[accepted], batch.records[accepted]), first_new)
        new_names = [(code, batch.names[code]) for code in sorted(batch.names.keys() - self._names)]
        many(connection, "INSERT INTO names VALUES (%s, %s) ON CONFLICT DO NOTHING", new_names)
        return outcome, name_items(connection, batch, np.sort(accepted), batch.items.keys() - self._items)

    def profile(self, identity: str) -> Profile:
        return add_up(self._database.fetch(OF_CUSTOMER, identity))

    def recent(self, identity: str, limit: int) -> list[StoredEvent]:
        with self._database.reading() as connection:
            found = newest(rows(connection, OF_CUSTOMER, identity), limit)
            return [_told(connection, who, event) for who, event in found]

    def scan(self, batch: int = 20_000) -> Iterator[CustomerLog]:
        with self._database.reading() as connection, connection.cursor("scan", binary=True) as cursor:
            cursor.itersize = _FETCHED
            names = dict(rows(connection, "SELECT code, name FROM names"))
            unstated = self._unstated[Purpose.PERSONALISE]
            stated = customers_who(statements_of(connection, Purpose.PERSONALISE), agreed=not unstated)
            rows_ = (row for row in cursor.execute(_ALL) if (row[0] in stated) != unstated)
            yield from logs(rows_, batch, names)

    def count(self) -> int:
        return int(self._database.fetch("SELECT count(*) FROM events")[0][0])

    def check(self) -> tuple[int, list[str]]:
        """How many events there are, and what is wrong: each must be in the log once and in one profile once."""
        with self._database.reading() as connection:
            logged = number(connection, "SELECT count(*) FROM events")
            kept = number(connection, f"SELECT coalesce(sum(length(body)), 0) FROM parts WHERE id & {PART} <> 0")  # noqa: S608
            older = rows(connection, f"SELECT body FROM parts WHERE id & {PART} = 0")  # noqa: S608  our own number
        remembered = kept // RECORD + sum(int(counts_of(body)["count"].sum()) for (body,) in older)
        wrong = [] if logged == remembered else [f"the log holds {logged} events, the profiles {remembered}"]
        return logged, wrong


def _stored(connection: Connection, asked: Iterable[Question]) -> list[Row]:
    return rows(connection, _STORED, *map(list, zip(*asked, strict=True)))


def _write_log(connection: Connection, batch: EventBatch, who: IntArray, accepted: IntArray) -> None:
    records = batch.records[accepted]
    data = records.tobytes()
    places = accepted.tolist()
    table = zip(
        who[accepted].tolist(),
        records["key"].tolist(),
        batch.digests[accepted].tolist(),
        [data[at : at + RECORD] for at in range(0, len(data), RECORD)],
        map(batch.event_ids.__getitem__, places),
        map(batch.extras.__getitem__, places),
        strict=True,
    )
    with connection.cursor() as cursor, cursor.copy("COPY events FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "int8", "int8", "bytea", "text", "text"])
        for row in table:
            copy.write_row(row)


def _extend(
    connection: Connection, identities: Sequence[int], starts: Sequence[int], events: EventArray, first_new: int
) -> None:
    """Append events[starts[i]:starts[i + 1]] to the profile of identities[i]; none has one yet from `first_new` on."""
    old = [identity for identity in identities if identity < first_new]
    last = {number_ >> PART_BITS: (number_, body) for number_, body in rows(connection, _LAST, old)} if old else {}
    written, too_long = grown(last, identities, starts, events)
    many(connection, _WRITE, written)
    for identity in too_long:
        kept = shortened(identity, rows(connection, _OF_IDENTITY, *bounds(identity)))
        connection.execute("DELETE FROM parts WHERE id BETWEEN %s AND %s", bounds(identity))
        many(connection, _WRITE, kept)


def _told(connection: Connection, identity: int, event: np.void) -> StoredEvent:
    codes = (int(event["type"]), int(event["item"]), int(event["channel"]))
    name, event_id, type_, item, channel, extra = rows(connection, _TOLD, *codes, identity, int(event["key"]))[0]
    return StoredEvent(
        identity=name,
        event_id=event_id,
        type=type_,
        item=item,
        channel=channel,
        time=int(event["time"]),
        zone=int(event["zone"]),
        position=int(event["position"]),
        extra=orjson.loads(extra) if extra else {},
    )
