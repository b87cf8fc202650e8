"""What the benchmark of visitors never seen compares: the model, what needs none, others' models, and its own parts."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from recommender.baselines import most_recent, most_used
from recommender.history import Query
from recommender.model import KindModel
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.sources.sets import Sets
from recommender.sources.usage import Matrix
from recommender.types import FloatArray
from training.fit.kind import Subject
from training.fit.matrix import user_items
from training.fit.popularity import fit_popularity
from training.fit.rivals import fit_similar

Rank = Callable[[Sequence[Query]], Sequence[FloatArray]]
"""Scores of all items for each of some questions, (items,): higher is better, -inf for never."""

PENALTY = 30.0
"""The ridge of the EASE that serves as a baseline; from 10 to 100 it makes no difference on the log it is known for."""


def rankings(train: Subject, model: KindModel, settings: Training) -> dict[str, Callable[[], Rank]]:
    """What is compared, by name: each fits something and returns how it ranks."""
    used = user_items(train.log, train.items)
    popularity = fit_popularity(train.log, train.items)
    parts = {source.name: source for source in model.sources if source.name not in ("habit", "popularity")}
    return {
        "murmeli": lambda: _model(model),
        "most-used": lambda: _each(most_used),
        "most-recent": lambda: _each(most_recent),
        "popularity": lambda: _source(popularity),
        "implicit-cosine": lambda: _linear(fit_similar("implicit-cosine", used, settings.threads)),
        "conditional": lambda: _linear(conditional(used)),
        "ease": lambda: _linear(ease(used)),
        **{f"our {name}": partial(_part, source, popularity) for name, source in parts.items()},
    }


def _model(model: KindModel) -> Rank:
    def rank(queries: Sequence[Query]) -> Sequence[FloatArray]:
        answers = [source.score(queries) for source in model.sources]
        return [model.ranker.blend(query, scores) for query, *scores in zip(queries, *answers, strict=True)]

    return rank


def _each(ranking: Callable[[Query], FloatArray]) -> Rank:
    return lambda queries: [ranking(query) for query in queries]


def _source(source: Source) -> Rank:
    """By the first column of one source."""
    return lambda queries: [
        scores.dense(query.items.codes.size)[0] for query, scores in zip(queries, source.score(queries), strict=True)
    ]


def _part(source: Source, popularity: Source) -> Rank:
    """One source alone; `sets` states differences to popularity, so it is added to that."""
    if source.name != Sets.name:
        return _source(source)
    both = _source(popularity), _source(source)
    return lambda queries: [base + more for base, more in zip(*(rank(queries) for rank in both), strict=True)]


def _linear(weights: "Matrix | FloatArray") -> Rank:
    """By the sum of the rows of what was used, items x items."""

    def rank(queries: Sequence[Query]) -> Sequence[FloatArray]:
        scores = np.zeros((len(queries), queries[0].items.codes.size), np.float32)
        for row, query in zip(scores, queries, strict=True):
            item = query.history.item[query.history.item < weights.shape[0]]
            row[: weights.shape[0]] = weights[item].sum(axis=0)
        return list(scores)

    return rank


def conditional(used: Matrix) -> FloatArray:
    """Items x items: of those who used the row's item, the share who used the column's too."""
    both = np.asarray((used.T @ used).toarray(), np.float32)
    return (both / np.maximum(np.diagonal(both), 1)[:, None]).astype(np.float32)


def ease(used: Matrix) -> FloatArray:
    """Items x items: the ridge regression of each item on all the others. Steck, WWW 2019."""
    gram = np.asarray((used.T @ used).toarray(), np.float64)
    inverse = np.linalg.inv(gram + PENALTY * np.eye(gram.shape[0]))
    weights = -inverse / np.diagonal(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)
