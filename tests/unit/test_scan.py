import gc

import numpy as np
import pytest

from recommender import scan
from recommender.scan import products, products_of_both
from recommender.sources.base import from_arrays, to_arrays
from recommender.sources.vectors import Vectors
from recommender.types import FloatArray


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FloatArray:
    monkeypatch.setattr(scan, "LARGE", 1000)
    monkeypatch.setattr(scan, "EXACT", 60)
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


def test_a_table_whose_rows_are_multiples_of_beginnings_of_anothers_needs_no_copy_and_is_told_as_closely(
    table: FloatArray,
) -> None:
    rng = np.random.default_rng(8)
    part = np.ascontiguousarray(table[:, :40]) * rng.uniform(-2, 2, (len(table), 1)).astype(np.float32)
    vector, other = rng.standard_normal((1, 64)).astype(np.float32), rng.standard_normal((1, 40)).astype(np.float32)
    near, far = products_of_both(table, vector, part, other)
    within = scan._within(part, table)
    assert within is not None
    assert within.codes is scan._coded(table).codes
    exact, alone = part @ other[0], products(part.copy(), other)[0]
    assert near == pytest.approx(products(table, vector))
    assert np.argsort(-far[0])[:20].tolist() == np.argsort(-exact)[:20].tolist()
    errors = [np.sqrt(np.mean((found - exact) ** 2)) for found in (alone, far[0])]
    assert errors[1] < 1.5 * errors[0]


@pytest.mark.parametrize("row", [0, 4999])
def test_a_table_of_which_one_row_is_no_multiple_has_a_copy_of_its_own(table: FloatArray, row: int) -> None:
    part = table[:, :40].copy()
    part[row, 3] += np.abs(part[row]).max()
    vectors = np.random.default_rng(8).standard_normal((1, 64)).astype(np.float32)
    near, far = products_of_both(table, vectors, part, vectors[:, :40])
    assert near == pytest.approx(products(table, vectors))
    assert far == pytest.approx(products(part.copy(), vectors[:, :40]))
    assert scan._within(part, table) is None


def test_what_does_not_fit_is_refused_and_not_read_beyond(table: FloatArray) -> None:
    vectors = np.ones((1, 64), np.float32)
    for refused in (
        lambda: products(table, np.ones((1, 65), np.float32)),
        lambda: products_of_both(table, vectors, table[:-1, :40], vectors[:, :40]),
        lambda: products_of_both(table, vectors, table[:, :40].copy(), vectors[:, :41]),
    ):
        with pytest.raises(ValueError, match="as"):
            refused()


def test_the_copy_of_a_table_goes_when_the_table_does(table: FloatArray) -> None:
    mine = table.copy()
    gc.collect()
    before = len(scan._coded)
    products(mine, np.ones((1, 64), np.float32))
    assert len(scan._coded) == before + 1
    del mine
    gc.collect()
    assert len(scan._coded) == before


def test_a_long_table_is_published_with_its_copy(table: FloatArray) -> None:
    source = Vectors(table)
    arrays = {name: array.copy() for name, array in to_arrays(source).items()}
    assert sorted(arrays) == ["vectors", "vectors_codes", "vectors_unit"]
    again = from_arrays(Vectors, arrays)
    assert scan._coded(again.vectors).codes is arrays["vectors_codes"]
    vector = table[:1]
    assert np.array_equal(products(again.vectors, vector), products(table, vector))
    assert from_arrays(Vectors, {"vectors": arrays["vectors"]}).vectors is arrays["vectors"]
    assert list(to_arrays(Vectors(table[:100].copy()))) == ["vectors"]


def test_a_copy_that_does_not_fit_is_refused(table: FloatArray) -> None:
    arrays = to_arrays(Vectors(table))
    codes, unit = arrays["vectors_codes"], arrays["vectors_unit"]
    for wrong in (
        {"vectors_codes": codes[1:]},
        {"vectors_codes": codes[:, 1:]},
        {"vectors_codes": codes.astype(np.int16)},
        {"vectors_unit": unit[1:]},
    ):
        with pytest.raises(ValueError, match="copy of a table"):
            from_arrays(Vectors, arrays | wrong)
    with pytest.raises((TypeError, ValueError)):
        from_arrays(Vectors, {name: array for name, array in arrays.items() if name != "vectors_unit"})
