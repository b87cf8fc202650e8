"""The graph filter against a world on paper and a second formula."""

import numpy as np
import pytest
from scipy import sparse

from recommender.ranker import Ranker
from recommender.settings import Training
from recommender.sources.graph import Graph
from recommender.sources.usage import Matrix
from training.fit.content import seeking_novelty
from training.fit.factors import FactorSettings
from training.fit.graph import REGION, GraphSettings, fit_graph, leading, normalised
from training.fit.matrix import NUMBERS, worthwhile


def matrix_of(dense: np.ndarray) -> Matrix:
    return sparse.csr_array(dense.astype(np.float32))


def random_world(customers: int = 60, items: int = 40) -> np.ndarray:
    """Three tastes with random exceptions, so that the first waves stand well apart."""
    random = np.random.default_rng(3)
    taste = np.arange(customers)[:, None] % 3 == np.arange(items) % 3
    used = random.random((customers, items)) < np.where(taste, 0.4, 0.05)
    used[:, 0] = used[0] = True
    return used.astype(np.float64)


def product(graph: Graph) -> np.ndarray:
    return graph.used @ graph.found.T


def test_what_is_used_together_is_found_by_each_other_on_paper() -> None:
    used = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    found = product(fit_graph(matrix_of(used), GraphSettings(rank=2), threads=1))
    np.testing.assert_allclose(found, np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]]), atol=1e-6)


def test_the_popular_one_of_two_is_found_the_more() -> None:
    used = np.array([[1, 1], [1, 0], [1, 0], [1, 0]])
    found = product(fit_graph(matrix_of(used), GraphSettings(rank=1), threads=1))
    slow = np.array([2, 1]) / np.sqrt(5)  # P = [[7/8, 1/4], ...] has this wave, of energy 1: the roots of the degrees
    expected = np.outer(slow / np.sqrt([4, 1]), slow * np.sqrt([4, 1]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_filter_is_what_a_dense_decomposition_gives() -> None:
    used, rank = random_world(), 3
    found = fit_graph(matrix_of(used), GraphSettings(rank=rank, passes=30), threads=1)
    popular = np.sqrt(used.sum(0))
    _, size, waves = np.linalg.svd(used / np.sqrt(used.sum(1, keepdims=True)) / popular)
    low = waves[:rank].T @ waves[:rank] / popular[:, None] * popular
    np.testing.assert_allclose(product(found), low, atol=1e-4)
    few = -(-rank * REGION // 100)
    graph = waves[:few].T * size[:few] ** 2 @ waves[:few]
    np.testing.assert_allclose(found.used @ found.spread @ found.region.T, low @ graph, atol=1e-4)


def test_the_waves_are_at_right_angles_and_the_slowest_first() -> None:
    waves, energy = leading(normalised(matrix_of(random_world())), 5, 6, 7, 1)
    np.testing.assert_allclose(waves.T @ waves, np.eye(5), atol=1e-5)
    assert energy[0] == pytest.approx(1, abs=1e-5)
    assert bool((np.diff(energy) <= 0).all())


def test_the_more_waves_the_less_is_lost() -> None:
    matrix = normalised(matrix_of(random_world()))
    dense = (matrix.T @ matrix).toarray()
    lost = []
    for rank in (1, 3, 10, 40):
        waves, energy = leading(matrix, rank, 12, 7, 1)
        lost.append(float(np.linalg.norm(dense - waves * energy @ waves.T)))
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < lost[0] / 50


def test_nobody_s_log_has_no_waves_and_no_scores() -> None:
    found = fit_graph(matrix_of(np.zeros((3, 4))), GraphSettings(), threads=1)
    assert found.used.shape[0] == found.found.shape[0] == found.region.shape[0] == 4
    assert not product(found).any()


def test_a_long_log_and_a_large_catalogue_get_shorter_descriptions() -> None:
    def size(customers: int, items: int, entries: int) -> int:
        matrix = matrix_of(np.zeros((1, 1)))
        matrix = sparse.csr_array(
            (np.ones(entries, np.float32), np.zeros(entries, np.int32), [0, entries] + [entries] * (customers - 1)),
            shape=(customers, items),
        )
        return worthwhile(matrix, 2.6, 1_000_000, least=4)

    assert size(10_000, 10_000, 1) == 260
    assert size(10_000, 10_000, 10_000) == 100
    assert size(10_000, 10_000, 1_000_000) == 4
    assert size(10_000, NUMBERS // 2, 1) == 2


def test_a_site_may_ask_for_shorter_vectors() -> None:
    world = matrix_of(random_world())
    assert FactorSettings.of(Training(factors=5), world).factors == 5
    assert FactorSettings.of(Training(), world).factors == 64


def test_novelty_takes_popularity_off_every_score() -> None:
    columns = ("popularity.popularity", "graph.graph")
    ranker = Ranker(columns, np.array([[0.25, 2]], np.float32))
    assert seeking_novelty(ranker, 0.5).weights.tolist() == [[-0.25, 2]]
    assert seeking_novelty(ranker, 0).weights.tolist() == [[0.25, 2]]
