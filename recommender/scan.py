"""One vector against every row of a long table, for a quarter of the bytes: the way to memory is what it costs.

Of a long table a copy is kept in whole numbers of one byte, each row in units
of its own. It says within about a hundredth of the usual product which rows
are the best; those are then multiplied once more, exactly. A model's copies
are published with it, so that they too are mapped, and once for all workers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.kept import Kept
from recommender.types import FloatArray

LARGE = 8_000
"""Rows from which on it pays: below, the exact products take less than the rest of an answer."""

EXACT, SHARE = 512, 64
"""Products at the head that are exact: five times as many as decide how a source is scaled, at most one in so many."""

_FINE = 8_191
"""Steps of the vector: 127 * 8,191 * 2,000 still fits 32 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """codes: shape (n, f), or more columns than the table has. unit: shape (n,), what a step of each row is worth."""

    codes: npt.NDArray[np.int8]
    unit: FloatArray


def copy_of(table: FloatArray) -> dict[str, npt.NDArray[np.generic]]:
    """A table's copy as it is published, `codes` and `unit`; nothing of a table that is not long."""
    if len(table) < LARGE:
        return {}
    coded = _coded(table)
    return {"codes": coded.codes, "unit": coded.unit}


def take_copy(table: FloatArray, codes: npt.NDArray[np.generic], unit: npt.NDArray[np.generic]) -> None:
    """Go by a copy that `copy_of` gave. Raises ValueError where it is no copy of a table like this one."""
    if (codes.shape, unit.shape) != (table.shape, table.shape[:1]) or codes.dtype != np.int8:
        raise ValueError("the copy of a table in one byte a number has not the table's shape")
    _coded.keep(table, _Coded(np.asarray(codes, np.int8), np.asarray(unit, np.float32)))


def products(table: FloatArray, vectors: FloatArray) -> FloatArray:
    """Vectors @ table.T, shape (q, n). Of one vector and a long table, the largest are exact and the rest are close."""
    if len(vectors) != 1 or len(table) < LARGE:
        every: FloatArray = vectors @ table.T
        return every
    if vectors.shape[1] != table.shape[1]:
        raise ValueError("a vector is not as long as the rows of its table")
    vector = vectors[0]
    found: FloatArray = np.zeros(len(table), np.float32)
    if vector.any():
        from recommender.kernels.scan import scan

        coded = _coded(table)
        scan(coded.codes, coded.unit, *_in_steps(vector), found)
        _mend(table, vector, found)
    return found[None]


def products_of_both(
    table: FloatArray, vectors: FloatArray, part: FloatArray, others: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """`products` of two tables of as many rows.

    Where each row of the part is a multiple of the beginning of the table's, one copy does for both, gone over once.
    """
    if len(part) != len(table):
        raise ValueError("two tables have not as many rows")
    fit = (vectors.shape[1], others.shape[1]) == (table.shape[1], part.shape[1])
    within = None
    if fit and len(vectors) == 1 and len(table) >= LARGE and vectors.any():
        within = _within(part, table)
    if within is None:
        return products(table, vectors), products(part, others)
    from recommender.kernels.scan import scan_both

    coded = _coded(table)
    found: FloatArray = np.empty((2, len(table)), np.float32)
    first = coded.unit, *_in_steps(vectors[0]), found[0]
    scan_both(coded.codes, *first, within.unit, *_in_steps(others[0]), found[1])
    _mend(table, vectors[0], found[0])
    _mend(part, others[0], found[1])
    return found[:1], found[1:]


def _in_steps(vector: FloatArray) -> tuple[npt.NDArray[np.int16], np.float32]:
    """A vector in whole numbers, once for each quarter of a table, shape (4, f), and what a step of them is worth."""
    step = np.float32(np.abs(vector).max(initial=0) / _FINE) or np.float32(1)
    return np.round(vector / step).astype(np.int16)[None].repeat(4, axis=0), step


def _mend(table: FloatArray, vector: FloatArray, found: FloatArray) -> None:
    from recommender.kernels.scan import exact

    exact(table, vector, min(EXACT, len(table) // SHARE), found)


def _code(table: FloatArray) -> _Coded:
    from recommender.kernels.scan import encode

    coded = _Coded(np.empty(table.shape, np.int8), np.empty(len(table), np.float32))
    encode(table, coded.codes, coded.unit)
    return coded


_coded = Kept(_code)
"""A table's copy."""

_looked_for: Kept[FloatArray, list[_Coded | None]] = Kept(lambda _: [])
"""What `_within` found for a part; empty until then."""


def _within(part: FloatArray, table: FloatArray) -> _Coded | None:
    """The table's copy in the part's units, None where it does not hold the part."""
    known = _looked_for(part)
    if not known:
        from recommender.kernels.scan import multiples

        factor: FloatArray = np.empty(len(part), np.float32)
        holds = part.shape[1] <= table.shape[1] and multiples(part, table, factor)
        known.append(_Coded(_coded(table).codes, _coded(table).unit * factor) if holds else None)
    return known[0]
