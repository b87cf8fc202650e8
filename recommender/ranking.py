"""One kind's items, scored for one question, and the reasons of the scores."""

from dataclasses import dataclass

import numpy as np

from recommender.catalogue import Shelf
from recommender.history import Context, Query, history_of
from recommender.model import KindModel
from recommender.page import RankedItem
from recommender.profile import Profile
from recommender.sources.base import Scores
from recommender.sources.popularity import Popularity
from recommender.types import FloatArray, IntArray

LEAST_LIFT = 1e-6
"""A source that lifts an item by less is no reason for it; a stranger's habit lifts none."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """One kind's items, scored for one question.

    blended: shape (n,), what orders them. score: (n,), its softmax, in which far-off items run together at 0.
    """

    shelf: Shelf
    model: KindModel
    query: Query
    scores: list[Scores]
    blended: FloatArray
    score: FloatArray

    def reasons(self, positions: IntArray) -> list[str]:
        """The word of the source that spoke loudest for each position."""
        parts = self.parts(positions)
        words = [source.reason for source in self.model.sources]
        lift = np.stack([parts[source.name] for source in self.model.sources])
        lifted = lift.max(axis=0) > LEAST_LIFT
        return [words[at] if up else Popularity.reason for at, up in zip(lift.argmax(axis=0), lifted, strict=True)]

    def parts(self, positions: IntArray) -> dict[str, FloatArray]:
        """By source, shape (k,): what it adds to each position's log-score, above the average item's."""
        lift = self.model.ranker.contributions(self.query, self.scores, positions)
        parts: dict[str, FloatArray] = {}
        row = 0
        for source in self.model.sources:
            parts[source.name] = lift[row : row + len(source.columns)].sum(axis=0)
            row += len(source.columns)
        return parts

    def items(self, positions: IntArray) -> list[RankedItem]:
        """These positions as they are answered."""
        if positions.size == 0:
            return []
        reasons = self.reasons(positions)
        ids, score = self.shelf.items.ids, self.score
        return [RankedItem(ids[at], float(score[at]), why) for at, why in zip(positions.tolist(), reasons, strict=True)]


def rank(shelf: Shelf, model: KindModel, profile: Profile, context: Context) -> Ranking:
    """Score all of a shelf for somebody with this profile."""
    query = Query(shelf.items, history_of(profile, shelf.items), context)
    scores = [source.score([query])[0] for source in model.sources]
    blended = model.ranker.blend(query, scores)
    return Ranking(shelf, model, query, scores, blended, model.ranker.probabilities(blended))
