"""What several sources and the ranker read off one history, computed once in a question."""

from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt

from recommender.history import Query
from recommender.types import IntArray

Weights = npt.NDArray[np.float64]

FADED = 16
"""Half-lives after which a use no longer counts: 2**-16 of one."""

ORDERS = 4
"""The longest run of last steps that is looked up in a customer's own past and makes a situation."""

DEPTH = 8
"""The longest run of last steps that is looked up at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Used:
    """The items that the customer ever used, each with a place of its own.

    at: shape (m,), positions in Items, ascending. place: (t,), where in `at` each use stands; older_place likewise.
    """

    at: IntArray
    place: IntArray
    older_place: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """When the customer's last steps were met before.

    matches[o]: the uses, ascending, that followed the same o + 1 items, in order, as the last o + 1;
    as many arrays as there are orders with a match, at most ORDERS. deeper: the same for longer runs, up to DEPTH.
    """

    matches: tuple[IntArray, ...]
    deeper: tuple[IntArray, ...] = ()


def used(query: Query) -> Used:
    """The items that the customer of a question ever used."""
    if "places" not in query.memo:
        history = query.history
        met = np.zeros(query.items.codes.size, np.bool_)
        met[history.item] = True
        met[history.older_item] = True
        at = np.flatnonzero(met)
        place = np.empty(met.size, np.int64)
        place[at] = np.arange(at.size)
        query.memo["places"] = Used(at, place[history.item], place[history.older_item])
    return cast(Used, query.memo["places"])


def steps(query: Query) -> Steps:
    """When the last steps of the customer of a question were met before."""
    if "steps" not in query.memo:
        item = query.history.item
        matches = []
        after = np.arange(1, item.size)
        for back in range(1, DEPTH + 1):
            after = after[after >= back]
            after = after[item[after - back] == item[-back]] if after.size else after
            if after.size == 0:
                break
            matches.append(after)
        query.memo["steps"] = Steps(tuple(matches[:ORDERS]), tuple(matches[ORDERS:]))
    return cast(Steps, query.memo["steps"])


def tally(place: IntArray, weight: Weights, size: int) -> Weights:
    """Shape (size,): weights added up by place. With fewer weights than places they are those of the last ones."""
    total = np.bincount(place[place.size - weight.size :], weight, size)
    return cast(Weights, total)


def ages(half_life: int, size: int) -> Weights:
    """What each of `size` uses, oldest first, still counts, the newest 1; those that are faded are left out."""
    table = _ages(half_life)
    return table[max(table.size - size, 0) :]


@cache
def _ages(half_life: int) -> Weights:
    return np.exp2(-np.arange(FADED * half_life)[::-1] / half_life)
