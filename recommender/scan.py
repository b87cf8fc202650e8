"""One vector against every row of a long table, for a quarter of the bytes: the way to memory is what it costs.

Of a long table a copy is kept in whole numbers of one byte, each row in units
of its own. It says within about a hundredth of the usual product which rows
are the best; those are then multiplied once more, exactly.
"""

import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.types import FloatArray

LARGE = 8_000
"""Rows from which on it pays: below, the exact products take less than the rest of an answer."""

EXACT, SHARE = 512, 64
"""Products at the head that are exact: five times as many as decide how a source is scaled, at most one in so many."""

_FINE = 8_191
"""Steps of the vector: 127 * 8,191 * 2,000 still fits 32 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """codes: shape (n, f). unit: shape (n,), what a step of each row is worth."""

    codes: npt.NDArray[np.int8]
    unit: FloatArray


_KNOWN: dict[int, tuple["weakref.ref[FloatArray]", _Coded]] = {}
"""The copies by the tables' identities; each goes when its table does."""


def products(table: FloatArray, vectors: FloatArray) -> FloatArray:
    """Vectors @ table.T, shape (q, n). Of one vector and a long table, the largest are exact and the rest are close."""
    if len(vectors) != 1 or len(table) < LARGE:
        every: FloatArray = vectors @ table.T
        return every
    return _scan(table, vectors[0])[None]


def _scan(table: FloatArray, vector: FloatArray) -> FloatArray:
    largest = float(np.abs(vector).max(initial=0))
    if largest == 0:
        return np.zeros(len(table), np.float32)
    from recommender.kernels.scan import exact, scan

    coded, step = _coded(table), np.float32(largest / _FINE)
    found: FloatArray = np.empty(len(table), np.float32)
    scan(coded.codes, coded.unit, np.round(vector / step).astype(np.int16), step, found)
    exact(table, vector, min(EXACT, len(table) // SHARE), found)
    return found


def _coded(table: FloatArray) -> _Coded:
    key = id(table)
    known = _KNOWN.get(key)
    if known is None or known[0]() is not table:
        known = _KNOWN[key] = weakref.ref(table, lambda _: _KNOWN.pop(key, None)), _code(table)
    return known[1]


def _code(table: FloatArray) -> _Coded:
    from recommender.kernels.scan import encode

    coded = _Coded(np.empty(table.shape, np.int8), np.empty(len(table), np.float32))
    encode(table, coded.codes, coded.unit)
    return coded
