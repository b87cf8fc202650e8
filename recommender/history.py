"""What a profile says of one kind of items, as plain arrays to compute on; made at request time, kept nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recommender.profile import Profile
from recommender.types import DISMISS, EVENT, IMPRESSION, MINUTE, RETURN, FloatArray, IntArray, is_use

WEEK_MINUTES = 7 * 24 * 60
_NOTHING = np.zeros(0, np.int64)
_MONDAY = 3 * 24 * 60  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """The known items that stand in for each item that came after training, because their texts are alike.

    at: shape (late, k), positions of known items. weight: shape (late, k), >= 0; 0 where there are fewer than k.
    """

    at: IntArray
    weight: FloatArray

    def lend(self, values: FloatArray) -> FloatArray:
        """Shape (..., late): what the kin's values, shape (..., known), say of each late item.

        It is the mean of all known items, from which the kin move it as far as they are like it.
        """
        mean = values.mean(axis=-1, keepdims=True)
        moved = np.einsum("...lk,lk->...l", values[..., self.at] - mean[..., None], self.weight)
        lent: FloatArray = mean + moved
        return lent


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """The items of one kind that can be ranked now; a *position* is an index into these arrays.

    codes: shape (n,). The first `known` are those a model was trained on, ascending; the rest came since, ascending.
    ids: the n ids.
    token_starts: shape (n + 1,), tokens: the codes of each item's attributes ("name=value") and title words.
    piece_starts, pieces: the same of all tokens that texts are compared by; empty where nothing is to be trained.
    kin: of the late items; None where the model has no texts to tell by.
    """

    codes: IntArray
    known: int
    ids: Sequence[str]
    token_starts: IntArray
    tokens: IntArray
    piece_starts: IntArray = field(default_factory=lambda: _NOTHING)
    pieces: IntArray = field(default_factory=lambda: _NOTHING)
    kin: Kin | None = None

    def positions(self, codes: IntArray) -> IntArray:
        """Where each code stands, -1 where it does not."""
        found = _find(self.codes[: self.known], codes)
        if self.known < self.codes.size:
            late = _find(self.codes[self.known :], codes)
            found = np.where(late >= 0, late + self.known, found)
        return found


def _find(ascending: IntArray, codes: IntArray) -> IntArray:
    if ascending.size == 0:
        return np.full(codes.shape, -1, np.int64)
    at = np.minimum(np.searchsorted(ascending, codes), ascending.size - 1)
    return np.where(ascending[at] == codes, at, -1)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What the customer used, oldest first; what was returned is taken back.

    item: shape (t,), positions in Items. time: (t,), milliseconds UTC.
    week: (t,), minute of the local week, Monday midnight is 0. channel: (t,), codes.
    older_item, older_count: shape (m,), uses before those, their order forgotten.
    """

    item: IntArray
    time: IntArray
    week: IntArray
    channel: IntArray
    older_item: IntArray
    older_count: IntArray


Said = str | float | bool
"""What can be said of a context."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when an answer is wanted. now: milliseconds UTC; zone: minutes east of UTC; channel: code.

    said: all that the caller said of it, for rules: by name, `channel` too.
    """

    now: int
    zone: int = 0
    channel: int = 0
    said: Mapping[str, Said] = field(default_factory=dict, compare=False)

    @property
    def week(self) -> int:
        """The minute of the local week."""
        return (self.now // MINUTE + self.zone + _MONDAY) % WEEK_MINUTES


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One customer's question: what was done before, and where and when the answer is wanted."""

    items: Items
    history: History
    context: Context
    memo: dict[str, object] = field(default_factory=dict)
    """What one source computed and another may need within this question."""


def week_minute(time: IntArray | int, zone: IntArray | int) -> IntArray:
    """The minute of the local week of instants (milliseconds UTC) in zones (minutes east)."""
    return np.asarray((np.asarray(time) // MINUTE + zone + _MONDAY) % WEEK_MINUTES, np.int64)


def history_of(profile: Profile, items: Items) -> History:
    """A profile seen through one kind of items: events of other items, and those that are no use, left out."""
    from recommender.kernels.past import uses

    item, time, week, channel = uses(words_of(profile), index_of(items), items.codes, RETURN, DISMISS, IMPRESSION)
    return History(item, time, week, channel, *older(profile, items))


@lru_cache(maxsize=8)  # a catalogue serves many questions; items are immutable and hash by identity
def index_of(items: Items) -> npt.NDArray[np.int32]:
    """Where the kernels find the items' codes."""
    from recommender.kernels.past import index

    return index(items.codes)


def words_of(profile: Profile) -> IntArray:
    """Shape (n, 5): a profile's events as whole numbers, as the kernels read them."""
    return np.ascontiguousarray(profile.events).view(np.int64).reshape(-1, EVENT.itemsize // 8)


def older(profile: Profile, items: Items) -> tuple[IntArray, IntArray]:
    """Which items were used before the events of a profile, ascending, and how often: shapes (m,), (m,)."""
    counts = profile.counts
    if counts.size == 0:
        return _NOTHING, _NOTHING
    position = items.positions(counts["item"])
    net = np.where(counts["type"] == RETURN, -counts["count"], counts["count"] * is_use(counts["type"]))
    net[position < 0] = 0
    item, where = np.unique(position[net != 0], return_inverse=True)
    total = np.bincount(where, net[net != 0], item.size).astype(np.int64)
    return item[total > 0], total[total > 0]
