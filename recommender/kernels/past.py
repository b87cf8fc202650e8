"""What a customer's events say of one kind of items, and when their last steps were met before."""

import numpy as np
import numpy.typing as npt

from recommender.history import week_minute
from recommender.kernels.compiled import compiled
from recommender.types import BoolArray, IntArray

Words = npt.NDArray[np.int64]
"""Events as whole numbers, shape (n, 5): time; key; item; seq and type; channel, zone and position."""

Places = npt.NDArray[np.int32]

DENSE = 16
"""Items for each use, beyond which it is quicker to sort the uses than to look at every item."""

_HIGH = 32

_week_minute = compiled("i0 i0")(week_minute)


@compiled("i1 i0 i0 i0")
def find(ascending: IntArray, first: int, end: int, code: int) -> int:
    """Where a code stands in ascending[first:end], -1 where it does not."""
    low, size = first, end - first
    while size > 1:  # without a branch: which way it goes is a coin's toss
        half = size >> 1
        low += half if ascending[low + half] <= code else 0
        size -= half
    return low if size == 1 and ascending[low] == code else -1


@compiled("J1 i1 i0")
def enter(table: Places, codes: IntArray, at: int) -> None:
    """Put the code at a place into a table of `index` that has room for it, and does not have it."""
    cell = codes[at] & (table.size - 1)
    while table[cell] >= 0:
        cell = (cell + 1) & (table.size - 1)
    table[cell] = at


@compiled("i1")
def index(codes: IntArray) -> Places:
    """A table in which `position` finds codes: open addressing. Codes are hashes, so their last bits are addresses."""
    size = 8
    while size < 2 * codes.size:
        size *= 2
    table = np.full(size, -1, np.int32)
    for at in range(codes.size):
        enter(table, codes, at)
    return table


@compiled("j1 i1 i0")
def position(table: Places, codes: IntArray, code: int) -> int:
    """Where a code stands among items, -1 where it does not."""
    cell = code & (table.size - 1)
    while table[cell] >= 0 and codes[table[cell]] != code:
        cell = (cell + 1) & (table.size - 1)
    return int(table[cell])


@compiled("i1 i0 i1")
def positions(codes: IntArray, known: int, wanted: IntArray) -> IntArray:
    """`Items.positions`."""
    found = np.empty(wanted.size, np.int64)
    for at in range(wanted.size):
        late = find(codes, known, codes.size, wanted[at])
        found[at] = late if late >= 0 else find(codes, 0, known, wanted[at])
    return found


@compiled("i2 b1 j1 i1 i0 i0 i0")
def uses(
    events: Words, kept: BoolArray, table: Places, codes: IntArray, taken_back: int, dismissed: int, shown: int
) -> IntArray:
    """Shape (5, t): of each use, its item's position, time, minute of the local week, channel, type; oldest first.

    kept: shape (n,), which events are uses that were not taken back; empty where no use was. table: `index` of the
    codes. taken_back, dismissed, shown: the types that are no use.
    """
    n = events.shape[0]
    found, count = np.empty((5, n), np.int64), 0
    for at in range(n):
        type_ = events[at, 3] >> _HIGH
        if type_ in (taken_back, dismissed, shown) or (kept.size and not kept[at]):
            continue
        item = position(table, codes, events[at, 2])
        if item < 0:
            continue
        zone = (events[at, 4] << 16) >> 48
        found[0, count], found[1, count] = item, events[at, 0]
        found[2, count] = _week_minute(events[at, 0], zone)
        found[3, count] = (events[at, 4] << _HIGH) >> _HIGH
        found[4, count] = type_
        count += 1
    return found[:, :count].copy()


@compiled("i1 i1 i0")
def places(item: IntArray, older: IntArray, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """The items among two lists of positions, ascending, and where in these each entry of the lists stands."""
    both = np.concatenate((item, older))
    if size <= DENSE * both.size:
        met = np.full(size, -1)
        for one in both:
            met[one] = 0
        count = 0
        for one in range(size):
            if met[one] == 0:
                met[one] = count
                count += 1
        at = np.empty(count, np.int64)
        for one in range(size):
            if met[one] >= 0:
                at[met[one]] = one
        for where in range(both.size):
            both[where] = met[both[where]]
    else:
        at = np.unique(both)
        for where in range(both.size):
            both[where] = find(at, 0, at.size, both[where])
    return at, both[: item.size], both[item.size :]


@compiled("i1 i0")
def runs(item: IntArray, depth: int) -> tuple[IntArray, IntArray]:
    """How many of the last steps, up to `depth`, each use followed in their order, shape (t,).

    And how many uses followed at least so many, shape (depth + 1,).
    """
    t = item.size
    run, count = np.zeros(t, np.int64), np.zeros(depth + 1, np.int64)
    for at in range(1, t):
        same = 0
        while same < depth and same < at and item[at - 1 - same] == item[t - 1 - same]:
            same += 1
        run[at] = same
        for order in range(same + 1):
            count[order] += 1
    return run, count


@compiled("i2 b1 j1 i1 i0 i0 i0 i1 i0")
def recall(
    events: Words,
    kept: BoolArray,
    table: Places,
    codes: IntArray,
    taken_back: int,
    dismissed: int,
    shown: int,
    older: IntArray,
    depth: int,
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """What `uses` gives; `places` of these uses and of `older`, as two arrays; and `runs` of them, in one call."""
    used = uses(events, kept, table, codes, taken_back, dismissed, shown)
    at, place, older_place = places(used[0], older, codes.size)
    run, met = runs(used[0], depth)
    return used, at, np.concatenate((place, older_place)), run, met
