"""Long lists of texts, such as the ids of a catalogue, that are not copied."""

from collections.abc import Sequence
from typing import overload

import numpy as np

from recommender.bundle import Array


class _Texts(Sequence[str]):
    """Texts by their places, from 0 on or from behind."""

    __slots__ = ()

    def _text(self, at: int) -> str:
        """The text at a place that there is."""
        raise NotImplementedError

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        places = range(len(self))
        return [self._text(place) for place in places[at]] if isinstance(at, slice) else self._text(places[at])


class Chain(_Texts):
    """Two lists of ids read as one, without copying the long one."""

    def __init__(self, first: Sequence[str], then: Sequence[str]) -> None:
        self._first, self._then, self._size = first, then, len(first)

    def __len__(self) -> int:
        return self._size + len(self._then)

    def _text(self, at: int) -> str:
        return self._first[at] if at < self._size else self._then[at - self._size]


class PackedTexts(_Texts):
    """Texts laid end to end in UTF-8, each made a string only when it is asked for.

    starts: shape (n + 1,); text i is data[starts[i]:starts[i + 1]].
    """

    __slots__ = ("data", "starts")

    def __init__(self, data: Array, starts: Array) -> None:
        self.data, self.starts = np.asarray(data, np.uint8), np.asarray(starts, np.int64)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "PackedTexts":
        """These texts, packed; what is packed already stays as it is."""
        if isinstance(texts, PackedTexts):
            return texts
        parts = [text.encode() for text in texts]
        starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(parts), np.uint8), starts)

    def __len__(self) -> int:
        return int(self.starts.size) - 1

    def _text(self, at: int) -> str:
        return self.data[self.starts[at] : self.starts[at + 1]].tobytes().decode()

    def check(self) -> None:
        """Raise ValueError where some text could not be read."""
        starts, data = self.starts, self.data
        if starts.ndim != 1 or data.ndim != 1 or starts.size == 0:
            raise ValueError("the ids are not one row")
        if starts[0] != 0 or starts[-1] != data.size or bool((np.diff(starts) < 0).any()):
            raise ValueError("the ids do not fit their bytes")
        data.tobytes().decode()
        within = starts[starts < data.size]
        if bool((data[within] & 0xC0 == 0x80).any()):  # the bytes of a character after its first are 10......
            raise ValueError("an id begins within a character")
