"""Fits the graph filter: what the slow waves over the network of customers and items say, and what they spread to.

With degrees D_u and D_i on the diagonals, R = D_u^-1/2 W D_i^-1/2 has singular values from 0 to 1, and P = R'R is
the item-item graph. Its eigenvectors are waves over the items: the slow ones (near 1) whole neighbourhoods share,
the fast ones (near 0) are mostly noise. Blurring lets only the slow ones pass. Sharpening, one step of diffusion
backwards, takes off some of what one step forwards would give, which is what the neighbourhood has anyway. That
step is a column of its own: measured from best to hundredth for each customer, as all scores are, it helps more than
one strength for all. Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021; Choi et al.,
"Blurring-sharpening process models for collaborative filtering", SIGIR 2023.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from recommender.settings import Training
from recommender.sources.graph import Graph
from recommender.sources.usage import Matrix
from recommender.types import FloatArray
from training.fit.matrix import Values, power, total, worthwhile

SPARE = 32
"""So many more vectors are sought than wanted, that those wanted have settled when the passes end."""

FLAT = 1e-6
"""A direction with less than this share of the greatest energy is rounding noise."""

BREADTH = 2.6
"""Waves per root of the smaller side: 448 of Gowalla's 29,858 customers, as published, and as few as 45 of 300."""

WORK = 500_000_000
"""Most waves times entries of the log: a pass over them costs about a second a hundred million."""

PASSES = 4
"""Times that the start is sent through the graph and back."""

REGION = 28
"""Percent of the waves, the slowest, by which the spread is told: 128 of 448 lost nothing against all of them."""


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """How the filter is made. rank: how many waves pass; None for as many as the log is worth."""

    rank: int | None = None
    passes: int = PASSES
    seed: int = 7

    @classmethod
    def of(cls, settings: Training) -> "GraphSettings":
        """What a site's settings say of it."""
        return cls(settings.graph_waves or None, seed=settings.seed)


def fit_graph(weights: Matrix, settings: GraphSettings = GraphSettings(), threads: int = 2) -> Graph:
    """weights: customers x items, see training/fit/matrix.py. The same threads and seed give the same bytes.

    With the waves U, one who used i gets row i of D_i^-1/2 U U' D_i^1/2, and what that spreads to, times P, by the
    slowest waves of P alone.
    """
    popularity = total(weights, 0)
    rank = settings.rank or min(worthwhile(weights, BREADTH, WORK, least=1), max(weights.shape[1] // 4, 1))
    waves, energy = leading(normalised(weights), rank, settings.passes, settings.seed, threads)
    found = np.ascontiguousarray(waves * power(popularity, 0.5).astype(np.float32)[:, None])
    used = np.ascontiguousarray(waves * power(popularity, -0.5).astype(np.float32)[:, None])
    region = np.ascontiguousarray(waves[:, : -(-rank * REGION // 100)])
    with threadpool_limits(threads, "blas"):
        spread = (found.T @ region) * energy[: region.shape[1]].astype(np.float32)
    return Graph(used, found, spread, region)


def normalised(weights: Matrix) -> Matrix:
    """The matrix with the degrees of both sides divided out; its greatest singular value is 1."""
    customers, items = power(total(weights, 1), -0.5), power(total(weights, 0), -0.5)
    scaled = sparse.csr_array(sparse.diags_array(customers) @ weights @ sparse.diags_array(items))
    scaled.data = scaled.data.astype(np.float32)
    return cast(Matrix, scaled)


def leading(matrix: Matrix, rank: int, passes: int, seed: int, threads: int) -> tuple[FloatArray, Values]:
    """The right singular vectors of the greatest singular values, shape (columns, at most rank), and their squares.

    Subspace iteration from a random start: Halko, Martinsson & Tropp, "Finding structure with randomness", 2011.
    """
    size = min(rank + SPARE, *matrix.shape)
    across = sparse.csr_array(matrix.T)
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], size), np.float32)
    with threadpool_limits(threads, "blas"):
        for _ in range(passes):
            block = across @ (matrix @ basis)
            energy, turn = _spectrum(block)
            basis = block @ (turn / np.sqrt(energy)).astype(np.float32)
        energy, turn = _spectrum(matrix @ basis)
        return basis @ turn[:, :rank].astype(np.float32), energy[:rank]


def _spectrum(block: FloatArray) -> tuple[Values, Values]:
    """The eigenvalues of block' block that are not noise, descending, and their vectors, shape (columns, kept)."""
    energy, turn = np.linalg.eigh((block.T @ block).astype(np.float64))
    kept = energy > FLAT * energy.max(initial=0)
    return energy[kept][::-1], turn[:, kept][:, ::-1]
