"""The values that every room shares: codes for names, the event record, and the words for kinds and types.

Inside Murmeli a name (an item's id, an event type, a channel) travels as a
*code*, a hash of its text. A code needs no counter and no coordination: two
stores that never met agree on it, whatever order their events arrived in.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EventArray = npt.NDArray[np.void]
"""Records of dtype EVENT, shape (n,)."""

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Milliseconds: the one unit of time here. Instants are milliseconds since 1970-01-01 UTC."""

EVENT = np.dtype(
    [
        ("time", "<i8"),  # UTC
        ("key", "<i8"),  # of (identity, event_id): what makes the event itself
        ("item", "<i8"),  # code; 0 where the event has no item
        ("seq", "<i4"),  # the sender's order among events of the same time
        ("type", "<i4"),  # code
        ("channel", "<i4"),  # code; 0 where it is not known
        ("zone", "<i2"),  # minutes east of UTC where and when it happened
        ("position", "<i2"),  # 1 for the first place shown; 0 where it is not known
    ]
)
"""One event as a profile remembers it: 40 bytes, integers only."""


class Kind(StrEnum):
    """What an item is: something to read or buy, or a function of the service."""

    CONTENT = "content"
    FEATURE = "feature"


class Role(StrEnum):
    """What the holder of an API key may do: see `serving/roles.py`."""

    FRONTEND = "frontend"
    BACKEND = "backend"
    MARKETING = "marketing"
    DATA = "data"
    PRIVACY = "privacy"
    ADMIN = "admin"


def code64(text: str) -> int:
    """The code of an item id, an identity or an event id: never 0, which means "none"."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True) or 1


@lru_cache(1024)
def code32(text: str) -> int:
    """The code of an event type or a channel; 0 for the empty name."""
    if not text:
        return 0
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "little", signed=True) or 1


def codes64(texts: Iterable[str]) -> IntArray:
    """`code64` of each text."""
    return np.fromiter(map(code64, texts), np.int64)


def mix(left: npt.NDArray[np.int64] | int, right: npt.NDArray[np.int64] | int) -> IntArray:
    """One code out of two, where order matters: elementwise, shape of the broadcast, never 0.

    Both halves pass through the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    value = np.asarray(left, np.int64).view(np.uint64)
    other = np.asarray(right, np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        value = _finalise(value + np.uint64(0x9E3779B97F4A7C15))
        mixed = _finalise(value ^ (other + np.uint64(0x632BE59BD9B4E019)))
    mixed = np.where(mixed == 0, np.uint64(1), mixed)
    return np.ascontiguousarray(mixed).view(np.int64)


def _finalise(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def instant(time: int, zone: int = 0) -> str:
    """Milliseconds UTC as ISO 8601 in a zone that lies this many minutes east."""
    at = datetime.fromtimestamp(time // 1000, tz=timezone(timedelta(minutes=zone)))
    return at.replace(microsecond=time % 1000 * 1000).isoformat(timespec="milliseconds" if time % 1000 else "seconds")


USE, VIEW, CLICK, PURCHASE = map(code32, ("use", "view", "click", "purchase"))
RETURN, DISMISS, IMPRESSION = map(code32, ("return", "dismiss", "impression"))


def is_use(types: npt.NDArray[np.signedinteger]) -> BoolArray:
    """Which event types say that the customer wanted the item: all but three, so also a company's own."""
    return np.asarray((types != RETURN) & (types != DISMISS) & (types != IMPRESSION), np.bool_)
