"""Two models of a shop's own: one wraps an estimator of another library, one scores items itself.

Put this file beside murmeli.toml, `pip install scikit-learn`, and name them there:

    [training]
    sources = ["own_models:Tastes", "own_models:Season"]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.decomposition import TruncatedSVD

from recommender.history import Query
from recommender.sources.base import Scores
from recommender.types import DAY, FloatArray
from training.fit.own import Interactions

MONTH = 30 * DAY


class Tastes:
    """Returns an array of item vectors, so Murmeli serves it: a customer is the sum of what they used."""

    def fit(self, log: Interactions) -> FloatArray:
        model = TruncatedSVD(min(64, *log.user_items.shape), random_state=log.seed).fit(log.user_items)
        return np.asarray(model.components_.T, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Season:
    """Scores items itself: what everybody uses at this time of the year. It must be there when serving, too.

    log_share: shape (13, items), the logarithm of each item's share of the uses of that twelfth of the year.
    """

    log_share: FloatArray

    name: ClassVar[str] = "season"
    reason: ClassVar[str] = "in season"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("month",)

    @classmethod
    def fit(cls, log: Interactions) -> "Season":
        uses = np.ones((13, len(log.ids)))  # one more than there were, so that nothing is impossible
        np.add.at(uses, (month(log.time), log.item), 1)
        return cls(np.log(uses / uses.sum(axis=1, keepdims=True)).astype(np.float32))

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        return [self._score(query) for query in queries]

    def _score(self, query: Query) -> Scores:
        row = self.log_share[month(np.array(query.context.now))]
        late = np.full(query.items.codes.size - row.size, row.min(initial=0), np.float32)  # items since training
        return Scores(np.concatenate([row, late])[None], None, np.array([row.min(initial=0)], np.float32))


def month(time: "np.ndarray") -> "np.ndarray":
    """0 to 12: which thirty days of a year an instant lies in; time in milliseconds since 1970."""
    return time % (365 * DAY) // MONTH
