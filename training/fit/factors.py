"""Fits item factors with implicit's alternating least squares."""

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from recommender.settings import Training
from recommender.sources.factors import Factors
from recommender.sources.usage import Matrix
from training.fit.matrix import for_implicit, total, worthwhile

BREADTH = 1.5
"""Factors per root of the smaller side: 256 of Gowalla's 29,858 customers."""

WORK = 250_000_000
"""Most factors times entries of the log, for the time of the fit: 256 of a million entries."""

DISCOUNT = 0.4
"""The power of an item's popularity by which a use of it counts less: everybody's favourite says little of a taste. On
three slices of Gowalla made harder on purpose NDCG@20 of factors alone .1167 became .1211, of the blend .1390 .1395."""

LEAST = 64
"""So many are worth it anyway."""


@dataclass(frozen=True, slots=True)
class FactorSettings:
    """How the factors are fitted."""

    factors: int = 64
    alpha: float = 40.0
    regularisation: float = 10.0
    iterations: int = 15
    seed: int = 7
    discount: float = DISCOUNT

    @classmethod
    def of(cls, settings: Training, weights: Matrix) -> "FactorSettings":
        """What a site's settings say of it, no longer than this matrix is worth; see training/fit/matrix.py."""
        worth = worthwhile(weights, BREADTH, WORK, least=LEAST)
        length = min(settings.factors, worth)
        return cls(length, settings.alpha, settings.regularisation, settings.iterations, settings.seed)


def fit_factors(weights: Matrix, settings: FactorSettings = FactorSettings(), threads: int = 2) -> Factors:
    """weights: customers x items, see training/fit/matrix.py. The same threads and seed give the same bytes."""
    worth = np.maximum(total(weights, 0), 1) ** -settings.discount
    scaled: Matrix = weights.copy()
    scaled.data = (scaled.data * worth[scaled.indices]).astype(np.float32)
    mean = float(scaled.data.mean()) if scaled.nnz else 1.0
    scaled.data /= np.float32(mean)
    with threadpool_limits(1, "blas"):  # implicit runs its own threads; BLAS ones inside them fight for the cores
        model = AlternatingLeastSquares(
            factors=settings.factors,
            alpha=settings.alpha,
            regularization=settings.regularisation,
            iterations=settings.iterations,
            num_threads=threads,
            random_state=settings.seed,
        )
        model.fit(for_implicit(scaled, np.float32), show_progress=False)
        factors = np.ascontiguousarray(model.item_factors, np.float32)
        gram = factors.T @ factors + np.float32(settings.regularisation) * np.eye(settings.factors, dtype=np.float32)
        inverse = np.linalg.inv(gram.astype(np.float64)).astype(np.float32)
    return Factors(factors, gram, np.array(settings.alpha, np.float32), inverse, (worth / mean).astype(np.float32))
