"""Who is who, in memory."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from recommender.errors import ErasedError
from recommender.identity import link, unlink
from recommender.stores.memory.state import State


class MemoryIdentities:
    """The `Identities` seam."""

    def __init__(self, state: State, strong: Sequence[str]) -> None:
        self._state = state
        self._strong = tuple(strong)

    def find(self, identity: str) -> list[str]:
        return sorted(self._state.of_customer(identity))

    def link(self, a: str, b: str) -> list[str]:
        with self._state.lock:
            if self._state.tombstones & {a, b}:
                raise ErasedError
            left = link(a, b, self._state.of_customer(a), self._state.of_customer(b), self._strong)
            self._state.enter(a, b)
            return self._store(left, a)

    def unlink(self, identity: str) -> list[str]:
        with self._state.lock:
            return self._store(unlink(identity, self._state.of_customer(identity)), identity)

    def _store(self, left: list[AbstractSet[str]], identity: str) -> list[str]:
        for customer in left:
            for name in customer & self._state.numbers.keys():
                self._state.customers[name] = customer
        return self.find(identity)
