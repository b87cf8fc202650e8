"""The API keys in memory."""

from dataclasses import replace

from recommender.errors import ConflictError
from recommender.stores.base import (
    Key,
)


class MemoryKeys:
    """The `Keys` seam."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def add(self, key: Key) -> None:
        if self._keys.setdefault(key.prefix, key) is not key:
            raise ConflictError("There is a key of this prefix already. Try again.")

    def all(self) -> list[Key]:
        return sorted(self._keys.values(), key=lambda key: (key.created, key.prefix))

    def revoke(self, prefix: str, at: int) -> bool:
        key = self._keys.get(prefix)
        if key is None or key.revoked is not None:
            return False
        self._keys[prefix] = replace(key, revoked=at)
        return True
