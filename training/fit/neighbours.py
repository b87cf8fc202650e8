"""Fits the item-item matrix from which customers who used the same things are told apart from chance."""

from dataclasses import dataclass

import numpy as np
from implicit.nearest_neighbours import ItemItemRecommender
from scipy import sparse

from recommender.settings import Training
from recommender.sources.neighbours import Neighbours
from recommender.sources.usage import Matrix
from training.fit.matrix import for_implicit, power, total


@dataclass(frozen=True, slots=True)
class NeighbourSettings:
    """The weight of item j for one who used i is the sum over both items' customers u of

        uses(u) ** -customer * popularity(i) ** -source * popularity(j) ** -target

    Cosine is (0, .5, .5); RP3beta, a random walk of three steps, is (alpha, alpha, beta); the linear
    graph filter is (1, .5, .5). Paudel et al., "Updatable, accurate, diverse, and scalable
    recommendations for interactive applications", 2017.
    """

    customer: float = 0.8
    source: float = 0.8
    target: float = 0.3
    per_item: int = 400
    """How many neighbours of an item are published."""

    @classmethod
    def of(cls, settings: Training) -> "NeighbourSettings":
        """What a site's settings say of it."""
        return cls(settings.customer_discount, settings.source_discount, settings.target_discount)


def fit_neighbours(weights: Matrix, settings: NeighbourSettings = NeighbourSettings(), threads: int = 2) -> Neighbours:
    """weights: customers x items, see training/fit/matrix.py."""
    customer = sparse.diags_array(power(total(weights, 1), -settings.customer / 2))
    popularity = total(weights, 0)
    scaled = sparse.csr_array(customer @ weights @ sparse.diags_array(power(popularity, -settings.target)))
    nearest = ItemItemRecommender(K=settings.per_item, num_threads=threads)
    nearest.fit(for_implicit(scaled, np.float64), show_progress=False)
    source = sparse.diags_array(power(popularity, settings.target - settings.source))
    similar = sparse.csr_array(source @ nearest.similarity)
    similar.sort_indices()
    return Neighbours(
        similar.indptr.astype(np.int64), similar.indices.astype(np.int32), similar.data.astype(np.float32)
    )
