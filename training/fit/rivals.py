"""implicit's own models as its users would run them: what a benchmark compares with."""

from collections.abc import Callable
from warnings import catch_warnings, simplefilter

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from implicit.utils import ParameterWarning
from scipy import sparse
from threadpoolctl import threadpool_limits

from recommender.sources.usage import Matrix
from recommender.types import FloatArray, IntArray
from training.fit.factors import FactorSettings
from training.fit.matrix import for_implicit

NEIGHBOURS = {
    "implicit-cosine": CosineRecommender,
    "implicit-tfidf": TFIDFRecommender,
    "implicit-bm25": BM25Recommender,
}

TUNED = {"implicit-bm25": {"K1": 0.3, "B": 0.75}}
"""What a validation slice of Gowalla's training file liked better than the defaults, by far."""

Scoring = Callable[[IntArray], FloatArray]
"""Scores of all items for some customers: (b,) -> (b, items), higher is better."""


def fit_rival_neighbours(name: str, train: Matrix, threads: int, per_item: int = 100) -> Scoring:
    """One of NEIGHBOURS."""
    similar = fit_similar(name, train, threads, per_item)
    return lambda customers: np.asarray((train[customers] @ similar).toarray(), np.float32)


def fit_similar(name: str, train: Matrix, threads: int, per_item: int = 100) -> Matrix:
    """Items x items, of one of NEIGHBOURS: a customer's scores are the sum of the rows of what they used."""
    model = NEIGHBOURS[name](K=per_item, num_threads=threads, **TUNED.get(name, {}))
    with catch_warnings():
        simplefilter("ignore", ParameterWarning)  # it warns of a conversion that it does itself
        model.fit(for_implicit(train, np.float32), show_progress=False)
    return sparse.csr_array(model.similarity)


def fit_rival_als(train: Matrix, settings: FactorSettings, threads: int) -> Scoring:
    """Alternating least squares with the customers' factors of the fit itself: what the fold-in is measured against."""
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=settings.factors,
            alpha=settings.alpha,
            regularization=settings.regularisation,
            iterations=settings.iterations,
            num_threads=threads,
            random_state=settings.seed,
        )
        model.fit(for_implicit(train, np.float32), show_progress=False)
    return lambda customers: np.asarray(model.user_factors[customers] @ model.item_factors.T, np.float32)
