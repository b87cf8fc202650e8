"""The catalogue in memory."""

from collections.abc import Sequence
from dataclasses import replace

from recommender.errors import ConflictError
from recommender.stores.base import (
    Item,
)
from recommender.stores.memory.state import State
from recommender.types import Kind


class MemoryItems:
    """The `Items` seam."""

    def __init__(self, state: State) -> None:
        self._lock = state.lock
        self._items: dict[str, tuple[int, Item | None]] = {}
        """The last change of each id, and what it left there: an item, or nothing."""
        self._change = 0

    def put(self, items: Sequence[Item]) -> int:
        with self._lock:
            kinds: dict[str, Kind] = {}
            for item in items:
                there = self.get(item.id)
                if kinds.setdefault(item.id, there.kind if there else item.kind) != item.kind:
                    raise ConflictError("An item's kind cannot change while it is in the catalogue. Delete it first.")
            self._change += 1
            self._items |= {item.id: (self._change, replace(item)) for item in items}
        return len(items)

    def get(self, item: str) -> Item | None:
        return self._items.get(item, (0, None))[1]

    def delete(self, item: str) -> bool:
        with self._lock:
            if self.get(item) is None:
                return False
            self._change += 1
            self._items[item] = (self._change, None)
            return True

    def changes(self, since: int) -> tuple[int, list[Item], list[str]]:
        with self._lock:
            after = sorted((change, id_) for id_, (change, _) in self._items.items() if change > since)
        left = [(id_, self._items[id_][1]) for _, id_ in after]
        cursor = after[-1][0] if after else since
        return cursor, [item for _, item in left if item], [id_ for id_, item in left if item is None]

    def name(self, id_: str, kind: Kind) -> None:
        """Enter an item that an event names, unless it is or was there."""
        if id_ not in self._items:
            self._change += 1
            self._items[id_] = (self._change, Item(id_, kind))
