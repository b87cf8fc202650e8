"""Transitions: what follows what, in the customer's own past and in everybody's.

Own transitions are looked up in the history itself, for the last one to
ORDERS steps; each order leans on the shorter ones where it has seen little.
What others do after the same one or two steps is a published table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.features import ORDERS, steps, used
from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import FloatArray, IntArray

DISCOUNT = 0.75
"""What each follower's count gives up to the shorter order where it is cautious (Ney, Essen & Kneser, 1994)."""

CHAINS = {
    "pace-1": (1, 0.0),
    "pace-64": (64, 0.0),
    "cautious-4": (4, DISCOUNT),
    "cautious-16": (16, DISCOUNT),
    "cautious-64": (64, DISCOUNT),
}
"""Ways to count what followed: a half-life, in times that the same steps were met, and a discount."""

PACES, DISCOUNTS = np.array([*CHAINS.values()], np.float64).T.copy()

LOOSE = ("skip-2", "skip-3", "skip-2-3", "swapped")
"""What else may be as it was before a use: the step two back, three back, both of these; the last two, swapped."""

CLOSE = ("gap", "turn-1", "turn-2")
"""The same beside the last step: the step three back; what followed the last step when it was met before, and the two
times before.
"""

LONGEST = 32
"""A run of steps that was met before is followed back so far."""

ALIKE = 6
"""How many steps before an item's last use are compared with the last steps, place by place."""

RUNS = ("run", "deepest", "depth", "alike")
"""How an item's uses in the past stand to the last steps. How long the run of last steps was that the item followed, at
the newest meeting of the longest run (0 for all other items); how long, of at most DEPTH, the longest that the item
ever followed, and the one that it followed at its last use; how many of the ALIKE steps before that were, each in its
place, those of now. The first three as log(1 + steps).
"""

BASE = 8
"""Half-life, in uses, of the frequency that the shortest order leans on."""

LEAN = 0.5
"""What the shorter order counts where the steps were never met."""

FAINT = 0.1
"""How many uses an item never used is taken to have had."""


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Scores what may come after the last steps.

    The table: key, shape (r,), ascending: of the last one or two steps, see STRIDE; starts: (r + 1,);
    item: (s,), ascending within a key, what others do next; lift: (s,), how much more often than they
    would anyway, as log(1 + ratio).
    """

    key: IntArray
    starts: IntArray
    item: IntArray
    lift: FloatArray

    name: ClassVar[str] = "transitions"
    reason: ClassVar[str] = "next step"

    @property
    def columns(self) -> tuple[str, ...]:
        own = (f"order-{order}-{chain}" for chain in CHAINS for order in range(1, ORDERS + 1))
        return (*own, *LOOSE, *CLOSE, *RUNS, "others-1", "others-2")

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        from recommender.kernels.transitions import own_steps, with_others

        mine, item = used(query), query.history.item
        own = own_steps(
            mine.place,
            mine.at.size,
            item,
            steps(query).run,
            ORDERS,
            PACES,
            DISCOUNTS,
            BASE,
            LEAN,
            FAINT,
            LONGEST,
            ALIKE,
        )
        at, values = with_others(mine.at, own, self.key, self.starts, self.item, self.lift, item, STRIDE)
        return Scores(values, at, np.zeros(values.shape[0], np.float32))


STRIDE = 1 << 31
"""Between the keys of one step and of two: the key is the last step, plus so often the one before it and 1."""
