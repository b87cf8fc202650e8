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
    from recommender.kernels.scan import scan

    coded, found = _coded(table), np.empty((1, len(table)), np.float32)
    scan(table, coded.codes, coded.unit, vectors[0], _head(table), found[0])
    return found


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
    if fit and len(vectors) == 1 and len(table) >= LARGE:
        within = _within(part, table)
    if within is None:
        return products(table, vectors), products(part, others)
    from recommender.kernels.scan import scan_both

    coded, found = _coded(table), np.empty((2, len(table)), np.float32)
    whole = table, coded.codes, coded.unit, vectors[0], _head(table), found[0]
    scan_both(*whole, part, within.unit, others[0], found[1])
    return found[:1], found[1:]


def _head(table: FloatArray) -> int:
    return min(EXACT, len(table) // SHARE)


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
