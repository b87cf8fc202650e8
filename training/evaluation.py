"""What every evaluation has in common: ways to rank, what is held back, and the row that says how good one was."""

from collections.abc import Callable, Iterable
from threading import local
from typing import TypeVar, cast

import numpy as np
from pydantic import JsonValue

from recommender.baselines import Ranking, popularity
from recommender.history import Query, counted
from recommender.metrics import bootstrap, hit, reciprocal_rank
from recommender.model import KindModel
from recommender.sources.base import Scores
from recommender.types import BoolArray, FloatArray, IntArray
from training.fit.kind import Subject
from training.questions import Asked

Row = dict[str, JsonValue]

T = TypeVar("T")

Report = Callable[[str, float, float | None], None]
"""Called with a stage, how much of it is done, and of how much."""

DEPTHS = (1, 3, 5)

CLUSTERS = 30
"""With fewer customers than this, an interval is over blocks of time."""

BLOCK = 100
"""Questions in a row that make a block of time; fewer where that would make fewer than CLUSTERS blocks."""


def model_ranking(model: KindModel) -> Ranking:
    """The way an answer is computed when serving."""
    return Scoring(model).whole


def once(answer: Callable[[Query], T]) -> Callable[[Query], T]:
    """The same answers; each thread remembers its last, so that who asks again need not wait again."""
    held = local()

    def remembered(query: Query) -> T:
        if getattr(held, "query", None) is not query:
            held.answer, held.query = answer(query), query
        return cast(T, held.answer)

    return remembered


class Scoring:
    """A model's answer and those of its sources alone, out of one pass of scoring for each question."""

    def __init__(self, model: KindModel) -> None:
        self._model = model
        self.of = once(self._scores)

    def _scores(self, query: Query) -> list[Scores]:
        """What each source says."""
        own = self._own(query)
        return [source.score([own])[0] for source in self._model.sources]

    def _own(self, query: Query) -> Query:
        """The question with uses counted as the model counts them."""
        items = counted(query.items, self._model.counting)
        return query if items is query.items else Query(items, query.history, query.context)

    def whole(self, query: Query) -> FloatArray:
        """The blend."""
        return self._model.ranker.blend(query, self.of(query))

    def alone(self, asked: Iterable[Asked]) -> dict[str, tuple[str, Ranking]]:
        """Each source's best single column and its ranking, by the source's name.

        Best is the highest mean reciprocal rank on these questions: the very ones that it is judged on, or some
        of them, so what its row says is rather too good than too bad.
        """
        reached = [np.zeros(len(source.columns)) for source in self._model.sources]
        for one in asked:
            for number, part in enumerate(self.of(one.query)):
                reached[number] += reciprocal_rank(_first_places(part, one))
        return {
            source.name: (source.columns[int(total.argmax())], self._column(number, int(total.argmax())))
            for number, (source, total) in enumerate(zip(self._model.sources, reached, strict=True))
            if total.size
        }

    def _column(self, source: int, column: int) -> Ranking:
        def rank(query: Query) -> FloatArray:
            part = self.of(query)[source]
            if part.at is None:
                whole: FloatArray = part.values[column]
                return whole
            score = np.full(query.items.codes.size, part.floor[column], np.float32)
            score[part.at] = part.values[column]
            return score

        return rank


def _first_places(part: Scores, one: Asked) -> IntArray:
    """Shape (columns,): how high each column puts the wanted item that it puts highest; 0 where it puts none."""
    size = one.query.items.codes.size
    if part.at is None or one.hidden.size:
        dense = one.shown(part.dense(size))
        peak = dense[:, one.wanted].max(axis=1, initial=-np.inf)
        ahead = np.count_nonzero(dense >= peak[:, None], axis=1)
    else:
        met = np.isin(part.at, one.wanted)
        peak = part.values[:, met].max(axis=1, initial=-np.inf)
        if np.count_nonzero(met) < one.wanted.size:
            peak = np.maximum(peak, part.floor)
        ahead = np.count_nonzero(part.values >= peak[:, None], axis=1) + (part.floor >= peak) * (size - part.at.size)
    return np.where(np.isfinite(peak), ahead, 0)


def popularity_of(subject: Subject) -> Ranking:
    """The items of a subject by how often anybody used them."""
    uses = subject.items.positions(subject.log.events["item"][subject.uses])
    return popularity(uses, subject.items.codes.size)


def before(subject: Subject, held: BoolArray) -> Subject:
    """What may be fitted on: all that was there before the first event held back; without a clock, all the others."""
    return subject.earlier(events_before(subject, held))


def events_before(subject: Subject, held: BoolArray) -> BoolArray:
    """Shape (n,): the events that `before` keeps."""
    time = subject.log.events["time"]
    return time < time[held].min() if held.any() and subject.clocked else ~held


def row_of(name: str, ranks: IntArray, who: IntArray) -> Row:
    """What one way to rank reached; ranks, who: shape (n,), of the questions in order, who: their customers, ascending.

    The interval is over customers, or over blocks of time where they are few.
    """
    mean, low, high = bootstrap(reciprocal_rank(ranks), clusters(who))
    hits = {f"hit@{k}": float(hit(ranks, k).mean()) if ranks.size else float("nan") for k in DEPTHS}
    return {"name": name, **hits, "mrr": mean, "mrr_low": low, "mrr_high": high, "n": ranks.size}


def clusters(who: IntArray) -> IntArray:
    """Shape (n,): what is drawn together in a bootstrap; who: shape (n,), the customers, ascending."""
    _, first, customer = np.unique(who, return_index=True, return_inverse=True)
    if first.size >= CLUSTERS:
        return customer
    block = (np.arange(who.size) - first[customer]) // max(min(BLOCK, who.size // CLUSTERS), 1)
    return np.unique(customer * who.size + block, return_inverse=True)[1]
