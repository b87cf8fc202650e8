"""The few best of many scores, in about two passes over them.

A plain partition slows down fiftyfold where most scores are equal, as those
of a sparse source are. So the scores are cut into strips first: the k-th
best of the strips' maxima is a bound that at least k scores reach, and few
more than k do.
"""

import numpy as np

from recommender.types import FloatArray, IntArray

STRIP = 32


def reached(scores: FloatArray, k: int) -> float:
    """A bound that at least k of the scores reach, not far below the k-th best; -inf where there are fewer."""
    whole = scores.size // STRIP
    if whole < k:
        return float("-inf")
    maxima = scores[: whole * STRIP].reshape(STRIP, whole).max(axis=0)
    return float(np.partition(maxima, whole - k)[whole - k])


def best(scores: FloatArray, k: int) -> IntArray:
    """The positions of the k best scores, best first, of equal ones the lower position; -inf is never among them."""
    bound = reached(scores, k)
    likely = np.flatnonzero(scores >= bound) if bound > -np.inf else np.flatnonzero(scores > -np.inf)
    if likely.size > 4 * k and bound > -np.inf:
        above = np.flatnonzero(scores > bound)
        likely = above if above.size >= k else np.concatenate([above, np.flatnonzero(scores == bound)[:k]])
    return likely[np.argsort(-scores[likely], kind="stable")[:k]]
