"""How much calm costs: one log replayed at several settings of a placement's stability, and what each loses in hits.

All settings are asked the same questions and see the same scores, so their
differences are those of stability alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from recommender import top
from recommender.ranker import Ranker
from recommender.settings import STABILITY
from recommender.stability import changes, settle
from recommender.types import BoolArray, FloatArray, Kind
from training.evaluation import Row

DIALS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0)


@dataclass(slots=True)
class _Dial:
    """One setting. last: by customer, the page shown before."""

    last: dict[int, list[int]] = field(default_factory=dict)
    changes: int = 0
    steps: int = 0
    first: int = 0
    shown: int = 0


class Calm:
    """Shows every setting's page for each question, in the order of the log; `rows` is what came of it. k: its size."""

    def __init__(self, k: int) -> None:
        self.k, self.questions = k, 0
        self._dials = {stability: _Dial() for stability in sorted({*DIALS, STABILITY[Kind.FEATURE]})}

    def show(self, customer: int, score: FloatArray, rankable: BoolArray, wanted: int) -> None:
        """One question. score: shape (n,), the ranker's, of all items; rankable: (n,), the items known by then."""
        known = np.where(rankable, score, -np.inf)
        best = top.best(known, self.k).tolist()
        probability = Ranker.probabilities(known) if best else known
        self.questions += 1
        for stability, dial in self._dials.items():
            last = dial.last.get(customer)
            page = dial.last[customer] = settle(best, probability, last or [], stability)
            if last is not None:
                dial.steps += 1
                dial.changes += changes(page, last)
            dial.first += page[:1] == [wanted]
            dial.shown += wanted in page

    def rows(self) -> Iterator[Row]:
        """A row for each setting, calmest last.

        changes: places whose item is another than in the customer's page before, a step. fewer: than without
        stability, as a share; `lost` the same of the hits. Without a question there is no row.
        """
        off = self._dials[0.0]
        for stability, dial in self._dials.items() if self.questions else ():
            yield {
                "stability": stability,
                "changes": dial.changes / max(dial.steps, 1),
                "fewer": _less(dial.changes, off.changes),
                "hit@1": dial.first / self.questions,
                "hit@1_lost": _less(dial.first, off.first),
                f"hit@{self.k}": dial.shown / self.questions,
                f"hit@{self.k}_lost": _less(dial.shown, off.shown),
                "default": stability == STABILITY[Kind.FEATURE],
            }


def _less(count: int, without: int) -> float:
    return 1 - count / without if without else 0.0
