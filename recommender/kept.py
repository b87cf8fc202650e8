"""What is worked out of an object that never changes: once, and kept as long as the object lives."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """A function of one object, which goes by the object's identity. What it returns must not hold the object.

    A cache of the last few would hold on to models and catalogues that nothing else does, and let go of them in the
    midst of a customer's question.
    """

    def __init__(self, work: Callable[[K], V]) -> None:
        self._work = work
        self._known: dict[int, tuple[weakref.ref[K], V]] = {}

    def __call__(self, of: K) -> V:
        known = self._known.get(id(of))
        return known[1] if known is not None and known[0]() is of else self.keep(of, self._work(of))

    def keep(self, of: K, value: V) -> V:
        """Take what was worked out of an object elsewhere."""
        key = id(of)
        self._known[key] = weakref.ref(of, lambda _: self._known.pop(key, None)), value
        return value

    def __len__(self) -> int:
        return len(self._known)
