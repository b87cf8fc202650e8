import gc

import numpy as np
import pytest

from recommender import scan
from recommender.scan import products
from recommender.types import FloatArray


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FloatArray:
    monkeypatch.setattr(scan, "LARGE", 1000)
    monkeypatch.setattr(scan, "EXACT", 20)
    rng = np.random.default_rng(7)
    values: FloatArray = (rng.standard_normal((5000, 64)) * rng.exponential(size=(5000, 1))).astype(np.float32)
    return values


def test_the_best_products_of_a_long_table_are_exact_and_the_others_close(table: FloatArray) -> None:
    vector = np.random.default_rng(8).standard_normal(64).astype(np.float32)
    exact, found = table @ vector, products(table, vector[None])[0]
    best = np.argsort(-exact)[:20]
    assert np.argsort(-found)[:20].tolist() == best.tolist()
    assert found[best] == pytest.approx(exact[best], rel=1e-6)
    usual = np.linalg.norm(table, axis=1) * np.linalg.norm(vector) / np.sqrt(64)  # of random vectors of these lengths
    assert float((np.abs(found - exact) / usual).max()) < 0.05


def test_short_tables_and_several_vectors_are_multiplied_as_they_are(table: FloatArray) -> None:
    vectors = np.random.default_rng(8).standard_normal((3, 64)).astype(np.float32)
    assert np.array_equal(products(table, vectors), vectors @ table.T)
    assert np.array_equal(products(table[:999], vectors[:1]), vectors[:1] @ table[:999].T)


def test_rows_and_vectors_of_nothing_but_zeros_give_zeros(table: FloatArray) -> None:
    empty = np.zeros((1, 64), np.float32)
    assert not products(table, empty).any()
    assert not products(np.zeros_like(table), empty + 1).any()


def test_the_copy_of_a_table_goes_when_the_table_does(table: FloatArray) -> None:
    mine = table.copy()
    gc.collect()
    before = len(scan._KNOWN)
    products(mine, np.ones((1, 64), np.float32))
    assert len(scan._KNOWN) == before + 1
    del mine
    gc.collect()
    assert len(scan._KNOWN) == before
