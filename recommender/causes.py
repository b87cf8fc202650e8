"""What a score comes from: the source, and the customer's own events, without which it would fall most.

Both are found by asking again without them, so what is told is what would be:
`benchmarks/explanations.py` takes them away by other means and compares.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from recommender.history import Query
from recommender.page import Cause, Own
from recommender.profile import Profile
from recommender.ranking import LEAST, Ranking, rank
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray, is_use

CANDIDATES = 4
"""Other items, those used last, of which it is asked what the score would be without their uses."""

LEAST_FALL = 1e-4
"""That without which a score falls by a smaller share is no cause of it."""


def cause_of(ranking: Ranking, profile: Profile, at: int) -> tuple[int, Cause] | None:
    """The cause of one position's score, and its source's row; None where no source speaks for it."""
    lost = ranking.losses(np.array([at]))[:, 0]
    for row in np.argsort(-lost, kind="stable")[: np.count_nonzero(lost > LEAST)].tolist():
        score = float(silenced(ranking, row)[at])
        if score < ranking.score[at] * (1 - LEAST_FALL):
            own = min(_without_events(ranking, profile, at), key=lambda one: one.score, default=None)
            if own is not None and own.score > ranking.score[at] * (1 - LEAST_FALL):
                own = None
            return row, Cause(ranking.model.sources[row].name, score, own)
    return None


def silenced(ranking: Ranking, row: int) -> FloatArray:
    """Shape (n,): the scores where one source says its floor of every item."""
    scores = list(ranking.scores)
    scores[row] = _floor(scores[row])
    query = Query(ranking.query.items, ranking.query.history, ranking.query.context)
    return ranking.model.ranker.probabilities(ranking.model.ranker.blend(query, scores))


def _floor(part: Scores) -> Scores:
    if part.at is None:
        return replace(part, values=np.repeat(part.floor[:, None], part.values.shape[1], axis=1))
    return replace(part, values=part.values[:, :0], at=part.at[:0])


def _without_events(ranking: Ranking, profile: Profile, at: int) -> Iterator[Own]:
    """What the score would be without all uses of this item, without the last use of all, and of others used lately."""
    items, used = ranking.shelf.items, ranking.query.history.item
    lately = list(dict.fromkeys(used[::-1].tolist()))[:CANDIDATES]
    for position in dict.fromkeys([at, *lately]):
        code = int(items.codes[position])
        for last in (False, True) if lately and position == lately[0] else (False,):
            left = without_uses(profile, code, last=last)
            uses = len(profile) - len(left)
            if uses:
                again = rank(ranking.shelf, ranking.model, left, ranking.context)
                yield Own(items.ids[position], uses, float(again.score[at]))


def without_uses(profile: Profile, code: int, *, last: bool) -> Profile:
    """The profile without the events of an item, or without its newest use alone."""
    mine = profile.events["item"] == code
    if not last:
        return Profile(profile.events[~mine], profile.counts[profile.counts["item"] != code])
    newest: IntArray = np.flatnonzero(mine & is_use(profile.events["type"]))[-1:]
    return Profile(np.delete(profile.events, newest), profile.counts)
