"""Fits which words, attributes and pieces of words tell items apart."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from recommender.history import Items
from recommender.ranker import Ranker
from recommender.sources.text import Text

SHARED = 2
"""A token of fewer items joins nothing."""

COLUMN = "text.text"

REACH = 1.0
"""The weight of text. It moves only items that came after training, of which the steps that weights are learned from
have none; with products taken out of a shop's log, and articles out of a bank's, all from .5 to 2 did well. How far it
should reach, as any column, is learned where there is enough to learn from (reach.py)."""


def fit_text(items: Items) -> Text:
    """Weighs each token by the logarithm of how few items have it; one of all items weighs nothing and is left out.

    Spärck Jones, "A statistical interpretation of term specificity", 1972.
    """
    size = items.codes.size
    key, column, having = np.unique(items.pieces, return_inverse=True, return_counts=True)
    kept = (having >= SHARED) & (having < size)
    matrix = sparse.csr_array((np.ones(column.size), column, items.piece_starts), shape=(size, key.size))
    by_token = sparse.csc_array(matrix)[:, kept]
    by_token.sum_duplicates()
    weight = np.log(size / having[kept]).astype(np.float32)
    squares = np.repeat(weight.astype(np.float64) ** 2, np.diff(by_token.indptr))
    norm = np.sqrt(np.bincount(by_token.indices, squares, size)).astype(np.float32)
    return Text(key[kept], weight, by_token.indptr.astype(np.int64), by_token.indices.astype(np.int32), norm)


def reach_new(ranker: Ranker) -> Ranker:
    """The same ranker, with the weight of text where it has that column; the ranking of known items stays as it is."""
    if COLUMN not in ranker.columns:
        return ranker
    weights = ranker.weights.copy()
    weights[0, ranker.columns.index(COLUMN)] = REACH
    return replace(ranker, weights=weights)
