"""What a profile says of one kind of items, as plain arrays to compute on; made at request time, kept nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recommender.counting import Counting
from recommender.kept import Kept
from recommender.profile import CountArray, Profile
from recommender.types import DISMISS, EVENT, IMPRESSION, MINUTE, RETURN, BoolArray, FloatArray, IntArray, is_use

WEEK_MINUTES = 7 * 24 * 60
_NOTHING, _NEVER = np.zeros(0, np.int64), np.zeros(0, np.bool_)
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
        lent: FloatArray = mean + self.moved(values, mean)
        return lent

    def moved(self, values: FloatArray, mean: FloatArray) -> FloatArray:
        """Shape (..., late): how far the kin move each late item from the mean, shape (..., 1)."""
        moved: FloatArray = np.einsum("...lk,lk->...l", values[..., self.at] - mean[..., None], self.weight)
        return moved


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Items:
    """The items of one kind that can be ranked now; a *position* is an index into these arrays.

    codes: shape (n,). The first `known` are those a model was trained on, ascending; the rest came since, ascending.
    ids: the n ids.
    token_starts: shape (n + 1,), tokens: the codes of each item's attributes ("name=value") and title words.
    piece_starts, pieces: the same of all tokens that texts are compared by; empty where nothing is to be trained.
    kin: of the late items; None where the model has no texts to tell by.
    counting: how much a use of these items counts to the model; None where all count alike.
    """

    codes: IntArray
    known: int
    ids: Sequence[str]
    token_starts: IntArray
    tokens: IntArray
    piece_starts: IntArray = field(default_factory=lambda: _NOTHING)
    pieces: IntArray = field(default_factory=lambda: _NOTHING)
    kin: Kin | None = None
    counting: Counting | None = None

    def positions(self, codes: IntArray) -> IntArray:
        """Where each code stands, -1 where it does not."""
        from recommender.kernels.past import positions

        return positions(self.codes, self.known, np.ascontiguousarray(codes, np.int64))


@lru_cache(maxsize=4)  # what is laid out by items, such as their tokens, is kept by identity: equals must be the same
def counted(items: Items, counting: Counting | None) -> Items:
    """The same items, their uses counted in this way."""
    return items if items.counting is counting else replace(items, counting=counting)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What the customer used, oldest first; what was returned is taken back.

    item: shape (t,), positions in Items. time: (t,), milliseconds UTC.
    week: (t,), minute of the local week, Monday midnight is 0. channel: (t,), codes.
    older_item, older_count: shape (m,), uses before those, their order forgotten.
    type: (t,), codes; older_type: (m,), the commonest of those uses. Where they are not told, types are not known.
    """

    item: IntArray
    time: IntArray
    week: IntArray
    channel: IntArray
    older_item: IntArray
    older_count: IntArray
    type: IntArray = field(default_factory=lambda: _NOTHING)
    older_type: IntArray = field(default_factory=lambda: _NOTHING)


Said = str | float | bool
"""What can be said of a context."""


@dataclass(frozen=True)  # no slots: it goes on the ledger, and orjson would take four times as long
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
        return week_minute(self.now, self.zone)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One customer's question: what was done before, and where and when the answer is wanted."""

    items: Items
    history: History
    context: Context
    memo: dict[str, object] = field(default_factory=dict)
    """What one source computed and another may need within this question."""


def week_minute(time: int, zone: int) -> int:
    """The minute of the local week of an instant (milliseconds UTC) in a zone (minutes east)."""
    return (time // MINUTE + zone + _MONDAY) % WEEK_MINUTES


def history_of(profile: Profile, items: Items) -> History:
    """A profile seen through one kind of items: events of other items, and those that are no use, left out."""
    from recommender.kernels.past import uses

    item, time, week, channel, type_ = uses(*events_of(profile, items))
    older_item, older_count, older_type = older(profile, items)
    return History(item, time, week, channel, older_item, older_count, type_, older_type)


Told = tuple[IntArray, BoolArray, npt.NDArray[np.int32], IntArray, int, int, int]


def events_of(profile: Profile, items: Items) -> Told:
    """What the kernels ask of a profile's events.

    The events as whole numbers, shape (n, 5); which of them are uses that were not taken back, (n,), none where no use
    was; where the items' codes are found; the codes; the types that are no use.
    """
    events = profile.events
    words = np.ascontiguousarray(events).view(np.int64).reshape(-1, EVENT.itemsize // 8)
    kept = _NEVER
    if (events["type"] == RETURN).any():
        kept = kept_uses(items.positions(events["item"]), events["type"])
    return words, kept, index_of(items), items.codes, RETURN, DISMISS, IMPRESSION


def _index(items: Items) -> npt.NDArray[np.int32]:
    from recommender.kernels.past import index

    return index(items.codes)


index_of = Kept(_index)
"""Where the kernels find the items' codes."""


def older(profile: Profile, items: Items) -> tuple[IntArray, IntArray, IntArray]:
    """`older_uses` of a profile."""
    counts = profile.counts
    return older_uses(items.positions(counts["item"]), counts) if counts.size else (_NOTHING, _NOTHING, _NOTHING)


def kept_uses(item: IntArray, types: IntArray) -> BoolArray:
    """Shape (n,): which events are uses that were not taken back.

    item: shape (n,), a number for each item of each customer, below 0 for items of another kind; those of one number
    in order of time. Each return takes back the latest use that is not yet taken back, whenever it was sent.
    """
    used = (item >= 0) & is_use(types)
    returned = (item >= 0) & (types == RETURN)
    if not returned.any():
        return used
    taken, count = np.unique(item[returned], return_counts=True)
    at = np.flatnonzero(used & np.isin(item, taken))[::-1]
    at = at[np.argsort(item[at], kind="stable")]  # number by number, each from its latest use
    number = np.searchsorted(taken, item[at])
    place = np.arange(at.size) - np.searchsorted(number, number)
    used[at[place < count[number]]] = False
    return used


def older_uses(item: IntArray, counts: CountArray) -> tuple[IntArray, IntArray, IntArray]:
    """What is left of the uses that are only counted: numbers as above, ascending, how many, and their commonest type.

    item: shape (n,), the number of each of these counts.
    """
    types, count = counts["type"], counts["count"]
    net = np.where(types == RETURN, -count, count * is_use(types))
    chosen = np.flatnonzero((item >= 0) & (net != 0))
    chosen = chosen[np.argsort(net[chosen], kind="stable")]
    found, where = np.unique(item[chosen], return_inverse=True)
    total = np.bincount(where, net[chosen], found.size).astype(np.int64)
    commonest = np.zeros(found.size, np.int64)
    commonest[where] = types[chosen]  # of several the last one stays
    left = total > 0
    return found[left], total[left], commonest[left]
