"""The catalogue on PostgreSQL. A deleted item leaves its row, so that `changes` can tell and events keep their name."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import orjson

from recommender.errors import ConflictError
from recommender.stores.base import EventBatch, Item
from recommender.stores.layout import usual_kind
from recommender.stores.postgres.database import CATALOGUE, Connection, Database, hold, many, number
from recommender.types import IntArray, Kind, code64

_NEXT = "SELECT coalesce(max(change), 0) + 1 FROM items"
_COLUMNS = "id, kind, title, attributes, available"
_PUT = """
INSERT INTO items VALUES (%s, %s, %s, %s, %s, %s, false, %s) ON CONFLICT (code) DO UPDATE SET kind = excluded.kind,
title = excluded.title, attributes = excluded.attributes, available = excluded.available, deleted = false,
change = excluded.change WHERE items.deleted OR items.kind = excluded.kind
"""
_NAME = "INSERT INTO items VALUES (%s, %s, %s, NULL, NULL, true, false, %s) ON CONFLICT DO NOTHING"


class PostgresItems:
    """The `Items` seam on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, items: Sequence[Item]) -> int:
        with self._database.writing() as connection:
            hold(connection, CATALOGUE)
            change = number(connection, _NEXT)
            for item in items:
                if connection.execute(_PUT, (*_row(item), change)).rowcount == 0:
                    raise ConflictError(
                        "An item's kind cannot change while it is in the catalogue, and one of these would. "
                        "Nothing was written. Delete the item first, or send it with its kind."
                    )
        return len(items)

    def get(self, item: str) -> Item | None:
        query = f"SELECT {_COLUMNS} FROM items WHERE code = %s AND NOT deleted"  # noqa: S608  our own words
        found = self._database.fetch(query, code64(item))
        return _item(*found[0]) if found else None

    def delete(self, item: str) -> bool:
        with self._database.writing() as connection:
            hold(connection, CATALOGUE)
            change = number(connection, _NEXT)
            query = "UPDATE items SET deleted = true, change = %s WHERE code = %s AND NOT deleted"
            return connection.execute(query, (change, code64(item))).rowcount > 0

    def changes(self, since: int) -> tuple[int, list[Item], list[str]]:
        query = f"SELECT change, deleted, {_COLUMNS} FROM items WHERE change > %s ORDER BY change, id"  # noqa: S608
        found = self._database.fetch(query, since)
        put = [_item(*row) for _, deleted, *row in found if not deleted]
        return (found[-1][0] if found else since), put, [row[2] for row in found if row[1]]


def _row(item: Item) -> tuple[int, str, str, str | None, str | None, bool]:
    attributes = None if item.attributes is None else orjson.dumps(item.attributes).decode()
    return code64(item.id), item.id, item.kind.value, item.title, attributes, item.available


def _item(id_: str, kind: str, title: str | None, attributes: str | None, available: bool) -> Item:
    return Item(id_, Kind(kind), title, orjson.loads(attributes) if attributes else None, available)


def name_items(
    connection: Connection, batch: EventBatch, accepted: IntArray, unsure: AbstractSet[int]
) -> AbstractSet[int]:
    """Enter the items that accepted events name first; returns which of `unsure` are surely there now."""
    if not unsure:
        return unsure
    codes, first = np.unique(batch.records["item"][accepted], return_index=True)
    types = batch.records["type"][accepted[first]].tolist()
    usual = {code: usual_kind(type_) for code, type_ in zip(codes.tolist(), types, strict=True) if code in unsure}
    known = connection.execute("SELECT code FROM items WHERE code = ANY(%s)", (sorted(usual),)).fetchall()
    new = sorted(usual.keys() - {code for (code,) in known})
    if new:
        hold(connection, CATALOGUE)
        change = number(connection, _NEXT)
        rows = [(code, batch.items[code][0], (batch.items[code][1] or usual[code]).value, change) for code in new]
        many(connection, _NAME, rows)
    return usual.keys()
