"""One kind's items, scored for one question, and the reasons of the scores."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recommender import top
from recommender.features import asked
from recommender.history import Context, Query
from recommender.losses import losses
from recommender.model import KindModel
from recommender.page import RankedItem
from recommender.plan import Plan, plan_of
from recommender.profile import Profile
from recommender.ranker import POPULAR, is_stranger
from recommender.shelf import Shelf
from recommender.sources.base import Scores
from recommender.sources.popularity import Popularity
from recommender.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from recommender.kernels.whole import Found

LEAST = 1e-6
"""A source without which an item loses less is no reason for it; a stranger's habit is none."""

RIVALS = 32
"""The best items, among which it is asked what an item would lose without a source."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """One kind's items, scored for one question; what is not needed is not worked out.

    short: by what it was answered in one call, where it was.
    """

    shelf: Shelf
    model: KindModel
    profile: Profile
    context: Context
    short: "tuple[Plan, Found] | None" = None

    @cached_property
    def query(self) -> Query:
        """The question."""
        return asked(self.profile, self.shelf.items, self.context)

    @cached_property
    def scores(self) -> list[Scores]:
        """What each source says."""
        return [source.score([self.query])[0] for source in self.model.sources]

    @cached_property
    def blended(self) -> FloatArray:
        """Shape (n,): what orders the items."""
        return self.short[1].blended if self.short else self.model.ranker.blend(self.query, self.scores)

    @cached_property
    def score(self) -> FloatArray:
        """Shape (n,): the softmax of what orders them, in which far-off items run together at 0."""
        return self.short[1].score if self.short else self.model.ranker.probabilities(self.blended)

    def reasons(self, positions: IntArray) -> list[str]:
        """The word of the source without which each position would lose most of its probability."""
        words = [source.reason for source in self.model.sources]
        if self.short is not None:
            plan, found = self.short
            rows = plan.loudest(found, positions, RIVALS, LEAST).tolist()
            return [words[row] if row >= 0 else Popularity.reason for row in rows]
        if is_stranger(self.query) and POPULAR in self.model.ranker.columns:
            return [Popularity.reason] * positions.size
        lost = self.losses(positions)
        loudest = zip(lost.argmax(axis=0).tolist(), self.missed(lost).tolist(), strict=True)
        return [words[row] if so else Popularity.reason for row, so in loudest]

    @staticmethod
    def missed(lost: FloatArray) -> BoolArray:
        """Shape (k,): whether any source would be missed; lost: of `losses`."""
        missed: BoolArray = lost.max(axis=0) > LEAST
        return missed

    def losses(self, positions: IntArray) -> FloatArray:
        """Shape (sources, k): what the log-probability of each position loses without each source that speaks for it.

        0 of the other sources, which may hold its rivals down.
        """
        asked = positions.tolist()
        here = set(asked)
        pool = np.array([*asked, *(at for at in top.best(self.blended, RIVALS).tolist() if at not in here)], np.int64)
        lost, speaks = losses(self.model.ranker, self.query, self.scores, pool)
        spoken: FloatArray = np.where(speaks, lost, 0)[:, : positions.size]
        return spoken

    def parts(self, positions: IntArray) -> dict[str, FloatArray]:
        """By source, shape (k,): what it adds to each position's log-score, above the average item's."""
        lift = self.model.ranker.contributions(self.query, self.scores, positions)
        parts: dict[str, FloatArray] = {}
        row = 0
        for source in self.model.sources:
            parts[source.name] = lift[row : row + len(source.columns)].sum(axis=0)
            row += len(source.columns)
        return parts

    def proposed(self, at: int) -> list[bool]:
        """Which sources say more of a position than of an item that they do not know."""
        _, speaks = losses(self.model.ranker, self.query, self.scores, np.array([at]))
        return list(map(bool, speaks[:, 0]))

    def items(self, positions: IntArray) -> list[RankedItem]:
        """These positions as they are answered."""
        if positions.size == 0:
            return []
        reasons = self.reasons(positions)
        ids, scores = self.shelf.items.ids, self.score[positions].tolist()
        found = zip(positions.tolist(), scores, reasons, strict=True)
        return [RankedItem(ids[at], score, why) for at, score, why in found]


def rank(shelf: Shelf, model: KindModel, profile: Profile, context: Context) -> Ranking:
    """Score all of a shelf for somebody with this profile."""
    plan = plan_of(model, shelf.items)
    found = plan.answer(profile, context) if plan else None
    ranking = Ranking(shelf, model, profile, context, (plan, found) if plan and found else None)
    _ = ranking.score  # what goes wrong goes wrong here
    return ranking
