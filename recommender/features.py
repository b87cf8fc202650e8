"""What several sources and the ranker read off one history, computed once in a question."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from recommender.history import Context, History, Items, Query, events_of, older
from recommender.profile import Profile
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

    run: shape (t,), how many of the last steps, in order and up to DEPTH, each use followed.
    met: (DEPTH + 1,), by how many steps, how many uses followed at least so many.
    """

    run: IntArray
    met: IntArray


def asked(profile: Profile, items: Items, context: Context) -> Query:
    """The question of somebody with this profile; what of their past is wanted anyway is at hand."""
    from recommender.kernels.past import recall

    before, count, older_type = older(profile, items)
    table, at, place, run, met = recall(*events_of(profile, items), before, DEPTH)
    item, time, week, channel, type_ = table
    t = item.size
    memo: dict[str, object] = {"places": Used(at, place[:t], place[t:]), "steps": Steps(run, met)}
    history = History(item, time, week, channel, before, count, type_, older_type)
    return Query(items, history, context, memo)


def used(query: Query) -> Used:
    """The items that the customer of a question ever used."""
    if "places" not in query.memo:
        from recommender.kernels.past import places

        history = query.history
        query.memo["places"] = Used(*places(history.item, history.older_item, query.items.codes.size))
    return cast(Used, query.memo["places"])


def steps(query: Query) -> Steps:
    """When the last steps of the customer of a question were met before."""
    if "steps" not in query.memo:
        from recommender.kernels.past import runs

        query.memo["steps"] = Steps(*runs(query.history.item, DEPTH))
    return cast(Steps, query.memo["steps"])
