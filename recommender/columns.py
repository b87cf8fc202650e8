"""Columns of raw values to columns of codes and numbers: the checks of one value, done once per distinct value."""

import math
import re
from array import array
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import orjson

from recommender.errors import MurmeliError
from recommender.identity import parse_identity
from recommender.types import IntArray, Kind, code32, code64

LONGEST_ID = 256
LONGEST_NAME = 64
LARGEST_PROPERTIES = 32 * 1024

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_PICTURES = {code: 0x2400 + code for code in range(1, 32)} | {0x7F: 0x2421}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_LONGEST_NUMBER = 64
_NOT_TEXT = "\ud800"  # fails every check, as what it stands for must

MISSING, UNFIT = 0, 1

_SCALARS = {str, int, float, type(None)}
"""Types of which equal values mean the same (True equals 1), so that each is read once."""


class Names(dict[object, int]):
    """The texts of one column by a slot number, each checked and coded once. Slot 0: nothing given; 1: unfit.

    Forgets everything when it has met `limit` texts; slot numbers hold until the next call of `slots`.
    """

    def __init__(self, field: str, *, files: bool, limit: int) -> None:
        super().__init__()
        short = field in ("type", "channel")
        special = {"customer": parse_identity, "kind": _kind}
        clean = special.get(field) or _fitting(LONGEST_NAME if short else LONGEST_ID)
        self._clean = _from_file(clean) if files and not short else clean
        self._code = code32 if short else code64
        self._limit = limit
        self._forget()

    def _forget(self) -> None:
        self.clear()
        self.update({None: MISSING, "": MISSING})
        self.texts = ["", ""]
        self._codes = array("q", [0, 0])

    def __missing__(self, raw: str) -> int:
        try:
            text = self._clean(raw)
        except (ValueError, MurmeliError):
            slot = UNFIT
        else:
            found = self.get(text)
            slot = self._add(text) if found is None else found
        if len(raw) <= 2 * LONGEST_ID:
            self[raw] = slot
        return slot

    def _add(self, text: str) -> int:
        self.texts.append(text)
        self._codes.append(self._code(text))
        slot = self[text] = len(self.texts) - 1
        return slot

    def slots(self, values: Sequence[object]) -> IntArray:
        """The slot of each value."""
        if len(self) > self._limit:
            self._forget()
        return np.fromiter(map(self.__getitem__, _texts(values)), np.int64, len(values))

    def codes(self, slots: IntArray) -> IntArray:
        """The code of each slot, 0 for nothing and for the unfit."""
        return np.frombuffer(self._codes, np.int64)[slots]


def _fitting(longest: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) > longest or _UNFIT.search(text):
            raise ValueError
        return text

    return check


def _from_file(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: check(file_id(text))


def file_id(text: str) -> str:
    """An id as a file has it, as it was meant.

    Tables turn whole numbers into floats: they lose their `.0`. Shells log the keys that were pressed: control
    characters become their pictures (U+241B for escape), except NUL, which no program writes into a name.
    """
    if not text.isprintable():
        return text.translate(_PICTURES)
    found = text.endswith("0") and _WHOLE.fullmatch(text)
    return found[1] if found else text


def _kind(text: str) -> str:
    return Kind(text.lower()).value


def _texts(values: Sequence[object]) -> Sequence[object]:
    """The column as text and None; whole floats as integers."""
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return values
    if kinds <= _SCALARS:
        table = {value: value if isinstance(value, str) else _text(value) for value in set(values)}
        return [table[value] for value in values]
    return [value if isinstance(value, str) else _text(value) for value in values]


def _text(value: object) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN is how data frames say "nothing"
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NOT_TEXT
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def distinct(slots: IntArray) -> IntArray:
    """The slots that occur, ascending."""
    if slots.size < 1000:
        return np.array(sorted(set(slots.tolist())), np.int64)
    return np.flatnonzero(np.bincount(slots))


def read_ids(values: Sequence[object] | None, n: int, *, files: bool) -> tuple[list[str | None], IntArray]:
    """Ids that hardly come twice, n of them: each one's text, or None, and code (0 for nothing, -1 for the unfit)."""
    check = _from_file(_fitting(LONGEST_ID)) if files else _fitting(LONGEST_ID)
    ids: list[str | None] = [None] * n
    codes = np.zeros(n, np.int64)
    if values is None:
        return ids, codes
    for i, raw in enumerate(_texts(values)):
        if raw:
            try:
                ids[i] = text = check(str(raw))
                codes[i] = code64(text)
            except ValueError:
                codes[i] = -1
    return ids, codes


def read_numbers(values: Sequence[object]) -> npt.NDArray[np.float64]:
    """The number that each value is; NaN for nothing, infinity for what is not a finite number."""
    if set(map(type, values)) <= _SCALARS:
        table = {value: _number(value) for value in set(values)}
        return np.fromiter(map(table.__getitem__, values), np.float64, len(values))
    return np.fromiter(map(_number, values), np.float64, len(values))


def _number(value: object) -> float:
    if value is None or value == "":
        return math.nan
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.inf
    return float(value) if abs(value) <= 1e308 else math.inf  # NaN is not <= anything


def read_properties(values: Sequence[object]) -> tuple[list[bytes | None], IntArray]:
    """Each object as canonical JSON, or None, and its code, 0 for nothing and -1 for what is unfit."""
    texts: list[bytes | None] = []
    codes = np.zeros(len(values), np.int64)
    for i, value in enumerate(values):
        text = None
        if value not in (None, "", {}):
            try:
                text = _canonical_json(value)
                codes[i] = code64(text.decode())
            except (ValueError, TypeError):  # orjson's own errors are one or the other
                codes[i] = -1
        texts.append(text)
    return texts, codes


def _canonical_json(value: object) -> bytes:
    if isinstance(value, str):
        if len(value) > LARGEST_PROPERTIES:
            raise ValueError
        value = orjson.loads(value)
    if not isinstance(value, dict):
        raise TypeError
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if len(text) > LARGEST_PROPERTIES:
        raise ValueError
    return text
