"""Reasons in words that a customer may read; each is said only where the customer's own events bear it out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from recommender.history import WEEK_MINUTES, Query
from recommender.ranking import Ranking
from recommender.sources.base import Source
from recommender.sources.habit import MOMENTS, OPENINGS
from recommender.types import BoolArray, FloatArray, Kind

Title = Callable[[str], str]

OFTEN = 3
"""Uses from which on a habit is one."""

LATELY = 5
"""The last uses are lately."""

KIN_ASKED = 8
"""Items used last, among which the one is looked for that speaks most for another."""

_VERBS = {Kind.FEATURE: ("use", "used", "used"), Kind.CONTENT: ("choose", "chose", "chosen")}
_PARTS_OF_DAY = ("nights", "mornings", "afternoons", "evenings")
_LIKE = {
    "neighbours": "Often {done} together with {other}.",
    "ease": "Often {done} together with {other}.",
    "sets": "Often {done} together with {other}.",
    "graph": "Close to {other}, which you {did}.",
    "factors": "Fits what you {do}, such as {other}.",
    "vectors": "Fits what you {do}, such as {other}.",
    "attributes": "Like {other}, which you {did}.",
    "text": "Like {other}, which you {did}.",
}
POPULAR = "Popular with everybody."
_PLAIN = {
    "popularity": POPULAR,
    "trend": "Popular at the moment.",
    "transitions": "A usual next step.",
    "repeats": "It may be time for this again.",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """One position as the customer met it. mine: shape (t,), which uses were of it. verbs: do, did, done."""

    ranking: Ranking
    at: int
    title: Title
    verbs: tuple[str, str, str]
    mine: BoolArray

    @property
    def last(self) -> str | None:
        """What people call the item that was used last."""
        used = self.ranking.query.history.item
        return self.title(self.ranking.shelf.items.ids[int(used[-1])]) if used.size else None


def why(ranking: Ranking, row: int, at: int, kind: Kind, title: Title) -> str:
    """Why a source, by its row, speaks for a position."""
    source = ranking.model.sources[row]
    item = _Item(ranking, at, title, _VERBS[kind], ranking.query.history.item == at)
    if source.name in ("habit", "transitions"):
        for column in _loudest(ranking, row, at):
            said = _habit(item, column) if source.name == "habit" else _next(item, column)
            if said:
                return said
        return (source.name == "habit" and _habit(item, "used")) or _PLAIN["transitions"]
    if source.name in _LIKE:
        other = _nearest(item, source)
        do, did, done = item.verbs
        return _LIKE[source.name].format(do=do, did=did, done=done, other=other) if other else f"Fits what you {do}."
    return _PLAIN.get(source.name, f"{source.reason.capitalize()}.")


def _loudest(ranking: Ranking, row: int, at: int) -> Iterator[str]:
    """The columns of a source, by what they add to a position's score, most first; those that add nothing are out."""
    first = sum(len(source.columns) for source in ranking.model.sources[:row])
    columns = ranking.model.sources[row].columns
    lift = ranking.model.ranker.contributions(ranking.query, ranking.scores, np.array([at]))[:, 0]
    lift = lift[first : first + len(columns)]
    return (columns[i] for i in np.argsort(-lift, kind="stable") if lift[i] > 0)


def _habit(item: _Item, column: str) -> str | None:
    do, did, _ = item.verbs
    uses = int(item.mine.sum())
    if column in MOMENTS or column in OPENINGS:
        return _moment(item, column)
    if (column.startswith("uses-") and int(column.removeprefix("uses-")) <= LATELY) or column in ("hour", "last"):
        return f"You {did} this lately." if item.mine[-LATELY:].any() else None
    if column in ("rest", "overdue"):
        return f"It is about time that you {do} this again." if uses >= OFTEN else None
    if uses >= OFTEN:
        return f"You {do} this often."
    return f"You {did} this before." if uses or item.at in item.ranking.query.history.older_item else None


def _moment(item: _Item, column: str) -> str | None:
    """Said where most uses of the item fell into the same part of the week as now, or came by the same channel."""
    history, context, do = item.ranking.query.history, item.ranking.query.context, item.verbs[0]
    if item.mine.sum() < OFTEN:
        return None
    if column in ("channel", "opening-channel"):
        here = history.channel[item.mine] == context.channel
        channel = context.said.get("channel")
        return f"You {do} this most on {channel}." if channel and here.mean() > 0.5 else None
    cells = np.array([_cell(week) for week in history.week[item.mine].tolist()])
    now = _cell(context.week)
    count = np.bincount(cells, minlength=2 * len(_PARTS_OF_DAY))
    if count[now] < OFTEN or count[now] < count.max():
        return None
    day = "weekend" if now >= len(_PARTS_OF_DAY) else "weekday"
    return f"You {do} this most on {day} {_PARTS_OF_DAY[now % len(_PARTS_OF_DAY)]}."


def _cell(week: int) -> int:
    """Which part of the week a minute of it is: four parts of weekdays, then four of weekends."""
    part = week // 60 % 24 // 6
    return part + (len(_PARTS_OF_DAY) if week >= 5 * WEEK_MINUTES // 7 else 0)


def _next(item: _Item, column: str) -> str | None:
    if item.last is None:
        return None
    used = item.ranking.query.history.item
    before = np.flatnonzero(item.mine[1:])
    followed = int((used[:-1][before] == used[-1]).sum())
    do, did, done = item.verbs
    if column.startswith("others-"):
        return f"Often {done} after {item.last}."
    if followed >= OFTEN:
        return f"You often {do} this after {item.last}."
    return f"You {did} this after {item.last} before." if followed else None


def _nearest(item: _Item, source: Source) -> str | None:
    """The item among those used last whose uses speak most for this one in a source."""
    query = item.ranking.query
    memo = f"words.{source.name}"
    if memo not in query.memo:  # the same for every item of a page
        used = list(dict.fromkeys(query.history.item[::-1].tolist()))[:KIN_ASKED]
        scores = source.score([query, *(_without(query, at) for at in used)])
        query.memo[memo] = used, [part.dense(query.items.codes.size).sum(axis=0) for part in scores]
    used, (whole, *without) = cast(tuple[list[int], list[FloatArray]], query.memo[memo])
    others = [(left, at) for left, at in zip(without, used, strict=True) if at != item.at]
    speak = [(float(whole[item.at] - left[item.at]), at) for left, at in others]
    most, at = max(speak, default=(0.0, -1))
    return item.title(item.ranking.shelf.items.ids[at]) if most > 0 else None


def _without(query: Query, at: int) -> Query:
    history = query.history
    left, older = history.item != at, history.older_item != at
    shorter = replace(
        history,
        item=history.item[left],
        time=history.time[left],
        week=history.week[left],
        channel=history.channel[left],
        older_item=history.older_item[older],
        older_count=history.older_count[older],
        type=history.type[left],
        older_type=history.older_type[older],
    )
    return Query(query.items, shorter, query.context)
