"""Counts what else customers used who used two items: "given two" of Breese, Heckerman & Kadie, 1998, by heart.

A network draws near to such counts, but of the pairs that many used the counts themselves are better. Every customer
counts once, spread over all pairs of what they used, as if two of their items were drawn: who used three says more of
one who used two of them than who used thirty. One item alone is its pair with itself; there the counts have a limit,
for the network takes who used one thing for nearly done, as all but one of two things are asked for, and is right about
many.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommender.sources.usage import Matrix, Places
from recommender.types import FloatArray, IntArray

WIDE = 40
"""Items of a customer, above which their pairs are not counted: a pair would count a 780th, for 40 ** 3 steps."""

FEWEST = 5
"""Customers who must have used both, or the one: less would move nothing beside the network, and tell of someone."""

CELLS = 5_000_000
"""Most that is kept, 40 MB: items alone, then the pairs that most customers used both of."""


ALONE = 8.0
"""As how many customers' worth all counts of one item alone count at most, where the network counts `PRIOR_OF_PAIRS`.

On held-out customers of a log of 285 items it brought 1.6 of the rank score, given one, and cost .04, all but one; as
much as the network it would be 2.6 and .16.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """As `Sets` keeps them."""

    pair: IntArray
    starts: IntArray
    item: Places
    weight: FloatArray


def count_pairs(used: Matrix, cells: int = CELLS) -> Pairs:
    """used: customers x items, 1 where used. cells: how many numbers to keep at most."""
    size = np.diff(used.indptr)
    alone = _alone(used[np.flatnonzero((size > 1) & (size <= WIDE))])
    used = used[np.flatnonzero((size > 2) & (size <= WIDE))]
    size = np.diff(used.indptr).astype(np.float32)
    first, second = _most_met(used, size, cells - alone.nnz)
    counts: Matrix = sparse.csr_array(sparse.diags_array(2 / (size * (size - 1))) @ used)
    columns: Matrix = used.T.tocsr()
    own = np.flatnonzero(np.diff(alone.indptr))
    rows: list[Matrix] = [alone[own]]
    for item in np.unique(first).tolist():
        who = columns.indices[columns.indptr[item] : columns.indptr[item + 1]]
        others = second[first == item]
        found = sparse.coo_array(columns[others][:, who] @ counts[who])
        rest = (found.col != item) & (found.col != others[found.row])
        rows.append(sparse.csr_array((found.data[rest], (found.row[rest], found.col[rest])), found.shape))
    pair = np.concatenate([own * (used.shape[1] + 1), first * used.shape[1] + second])
    order = np.argsort(pair)
    table = sparse.csr_array(sparse.vstack(rows, format="csr", dtype=np.float32)[order])
    return Pairs(pair[order], table.indptr.astype(np.int64), table.indices.astype(np.int32), table.data)


def _alone(used: Matrix) -> Matrix:
    """Items x items: what else was used by who used the row's, every customer once, ALONE in all at most."""
    customers = np.bincount(used.indices, minlength=used.shape[1])
    size = np.diff(used.indptr).astype(np.float32)
    counts = sparse.coo_array(used.T @ sparse.csr_array(sparse.diags_array(1 / size) @ used))
    rest = (counts.row != counts.col) & (customers[counts.row] >= FEWEST)
    row, weight = counts.row[rest], counts.data[rest]
    whole = np.bincount(row, weight, used.shape[1])
    weight *= (ALONE / np.maximum(whole, ALONE))[row]
    alone: Matrix = sparse.csr_array((weight.astype(np.float32), (row, counts.col[rest])), counts.shape)
    return alone


def _most_met(used: Matrix, size: FloatArray, cells: int) -> tuple[IntArray, IntArray]:
    """The pairs, each in order, that most customers used both of, as many as their rows have room for."""
    met = np.triu((used.T @ used).toarray(), 1)
    width = np.minimum((used.T @ sparse.diags_array(size - 2) @ used).toarray(), used.shape[1])
    first, second = np.nonzero(met >= FEWEST)
    order = np.argsort(-met[first, second], kind="stable")
    kept = np.sort(order[np.cumsum(width[first, second][order], dtype=np.float64) <= cells])
    return first[kept], second[kept]
