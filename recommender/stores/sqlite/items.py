"""The catalogue on SQLite. A deleted item leaves its row, so that `changes` can tell and events keep their name."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import apsw
import numpy as np
import orjson

from recommender.errors import ConflictError
from recommender.stores.base import EventBatch, Item
from recommender.stores.layout import usual_kind
from recommender.stores.sqlite.database import Database, number
from recommender.types import IntArray, Kind, code64

_NEXT = "SELECT coalesce(max(change), 0) + 1 FROM items"
_COLUMNS = "id, kind, title, attributes, available"
_PUT = """
INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (code) DO UPDATE SET kind = excluded.kind,
title = excluded.title, attributes = excluded.attributes, available = excluded.available, deleted = 0,
change = excluded.change WHERE deleted OR kind = excluded.kind
"""
_CHANGES = f"SELECT change, deleted, {_COLUMNS} FROM items WHERE change > ? ORDER BY change, id"  # noqa: S608  our own words
_NAME = "INSERT OR IGNORE INTO items VALUES (?, ?, ?, NULL, NULL, 1, 0, ?)"


class SqliteItems:
    """The `Items` seam on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, items: Sequence[Item]) -> int:
        with self._database.writing() as connection:
            change = number(connection, _NEXT)
            for item in items:
                connection.execute(_PUT, (*_row(item), change))
                if not connection.changes():
                    raise ConflictError(
                        "An item's kind cannot change while it is in the catalogue, and one of these would. "
                        "Nothing was written. Delete the item first, or send it with its kind."
                    )
        return len(items)

    def get(self, item: str) -> Item | None:
        query = f"SELECT {_COLUMNS} FROM items WHERE code = ? AND NOT deleted"  # noqa: S608  our own words
        rows = self._database.fetch(query, code64(item))
        return _item(*rows[0]) if rows else None

    def delete(self, item: str) -> bool:
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE items SET deleted = 1, change = ? WHERE code = ? AND NOT deleted",
                (number(connection, _NEXT), code64(item)),
            )
            return connection.changes() > 0

    def changes(self, since: int) -> tuple[int, list[Item], list[str]]:
        rows = self._database.fetch(_CHANGES, since)
        if not rows:
            return since, [], []
        put = [_item(*row) for _, deleted, *row in rows if not deleted]
        return rows[-1][0], put, [row[2] for row in rows if row[1]]


def _row(item: Item) -> tuple[int, str, str, str | None, str | None, bool]:
    attributes = None if item.attributes is None else orjson.dumps(item.attributes).decode()
    return code64(item.id), item.id, item.kind.value, item.title, attributes, item.available


def _item(id_: str, kind: str, title: str | None, attributes: str | None, available: int) -> Item:
    return Item(id_, Kind(kind), title, orjson.loads(attributes) if attributes else None, bool(available))


def name_items(
    connection: apsw.Connection, batch: EventBatch, accepted: IntArray, unsure: AbstractSet[int]
) -> AbstractSet[int]:
    """Enter the items that accepted events name first; returns which of `unsure` are surely there now."""
    if not unsure:
        return unsure
    codes, first = np.unique(batch.records["item"][accepted], return_index=True)
    types = batch.records["type"][accepted[first]].tolist()
    usual = {code: usual_kind(type_) for code, type_ in zip(codes.tolist(), types, strict=True) if code in unsure}
    change = number(connection, _NEXT)
    rows: Iterable[tuple[int, str, str, int]] = (
        (code, batch.items[code][0], (batch.items[code][1] or kind).value, change) for code, kind in usual.items()
    )
    connection.executemany(_NAME, rows)
    return usual.keys()
