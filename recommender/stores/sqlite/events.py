"""The log of events and the profiles that it adds up to, written in one transaction."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

import apsw
import numpy as np
import numpy.typing as npt
import orjson

from recommender.consent import Purpose
from recommender.errors import StoreError
from recommender.profile import Profile
from recommender.stores.base import CustomerLog, EventBatch, Outcome, StoredEvent
from recommender.stores.layout import add_up, by_identity, judge, newest
from recommender.stores.sqlite import parts
from recommender.stores.sqlite.database import Database, fetch, number
from recommender.stores.sqlite.identities import enrol
from recommender.stores.sqlite.items import name_items
from recommender.stores.sqlite.scan import scan
from recommender.stores.sqlite.tombstones import Tombstones
from recommender.types import EVENT, IntArray

_STORED = "SELECT ?3, digest FROM events WHERE identity = ?1 AND key = ?2"
_WRITE = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
_TOLD = """
SELECT i.name, e.event_id, t.name, m.id, c.name, e.extra FROM events e JOIN identities i ON i.id = e.identity
LEFT JOIN names t ON t.code = ?3 LEFT JOIN items m ON m.code = ?4 LEFT JOIN names c ON c.code = ?5
WHERE e.identity = ?1 AND e.key = ?2
"""


class SqliteEvents:
    """The `Events` seam on SQLite."""

    def __init__(self, database: Database, tombstones: Tombstones, unstated: Mapping[Purpose, bool]) -> None:
        self._database, self._tombstones, self._unstated = database, tombstones, unstated
        self._names: set[int] = set()
        self._items: set[int] = set()
        """Codes that are surely on disk, since neither is ever removed: most events name nothing new."""

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        with self._database.writing() as connection:
            who, first_new = enrol(connection, batch.identities, batch.who, self._tombstones)
            outcome = np.full(who.size, Outcome.ERASED, np.uint8)
            rows = np.flatnonzero(who)
            known = batch if rows.size == who.size else batch.select(rows)
            outcome[rows], named = self._write(connection, known, who[rows], first_new)
        if (outcome == Outcome.ACCEPTED).any():
            self._names |= known.names.keys()
            self._items.update(named)
        return outcome

    def _write(
        self, connection: apsw.Connection, batch: EventBatch, who: IntArray, first_new: int
    ) -> tuple[npt.NDArray[np.uint8], AbstractSet[int]]:
        """An Outcome of each event, and which items are surely there now; who: shape (n,), numbers of identities."""
        order, outcome = judge(who, batch, first_new, lambda asked: connection.executemany(_STORED, asked))
        accepted = order[outcome[order] == Outcome.ACCEPTED]
        if not accepted.size:
            return outcome, frozenset()
        _write_log(connection, batch, who, accepted)
        parts.extend(connection, *by_identity(who[accepted], batch.records[accepted]), first_new)
        new_names = [(code, batch.names[code]) for code in batch.names.keys() - self._names]
        connection.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", new_names)
        return outcome, name_items(connection, batch, np.sort(accepted), batch.items.keys() - self._items)

    def profile(self, identity: str) -> Profile:
        return add_up(self._database.fetch(parts.OF_CUSTOMER, identity))

    def recent(self, identity: str, limit: int) -> list[StoredEvent]:
        with self._database.reading() as connection:
            found = newest(fetch(connection, parts.OF_CUSTOMER, identity), limit)
            return [_told(connection, who, event) for who, event in found]

    def scan(self, batch: int = 20_000) -> Iterator[CustomerLog]:
        return scan(self._database, batch, self._unstated[Purpose.PERSONALISE])

    def count(self) -> int:
        return int(self._database.fetch("SELECT value FROM totals WHERE name = 'events'")[0][0])

    def check(self) -> tuple[int, list[str]]:
        """How many events there are, and what is wrong: each must be in the log once and in one profile once."""
        try:
            total, logged, remembered = self._totals()
        except StoreError as error:
            return 0, [str(error)]
        if total == logged == remembered:
            return total, []
        return total, [f"{total} events were accepted, the log holds {logged}, the profiles {remembered}"]

    def _totals(self) -> tuple[int, int, int]:
        with self._database.reading() as connection:
            total = number(connection, "SELECT value FROM totals WHERE name = 'events'")
            logged = number(connection, "SELECT count(*) FROM events")
            return total, logged, parts.count(connection)


def _write_log(connection: apsw.Connection, batch: EventBatch, who: IntArray, accepted: IntArray) -> None:
    records = batch.records[accepted]
    places = accepted.tolist()
    data, size = records.tobytes(), EVENT.itemsize
    rows = zip(
        who[accepted].tolist(),
        records["key"].tolist(),
        batch.digests[accepted].tolist(),
        [data[at : at + size] for at in range(0, len(data), size)],
        map(batch.event_ids.__getitem__, places),
        map(batch.extras.__getitem__, places),
        strict=True,
    )
    connection.executemany(_WRITE, rows)
    connection.execute("UPDATE totals SET value = value + ? WHERE name = 'events'", (len(places),))


def _told(connection: apsw.Connection, identity: int, event: np.void) -> StoredEvent:
    codes = (int(event["type"]), int(event["item"]), int(event["channel"]))
    rows = fetch(connection, _TOLD, identity, int(event["key"]), *codes)
    name, event_id, type_, item, channel, extra = rows[0]
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
