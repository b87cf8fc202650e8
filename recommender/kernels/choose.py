"""The few best of many scores, in about two passes over them.

Sorting or partitioning all of them would cost more, and a plain partition slows down fiftyfold where most scores are
equal, as those of a sparse source are. So the scores are cut into strips first: the k-th best of the strips' maxima is
a bound that at least k scores reach, and few more than k do.
"""

import numpy as np
import numpy.typing as npt

from recommender.kernels.compiled import compiled
from recommender.types import FloatArray, IntArray

STRIP = 32


@compiled("f1 i0", "d1 i0")
def reached(scores: FloatArray | npt.NDArray[np.float64], k: int) -> float:
    """A bound that at least k of the scores reach, not far below the k-th best; -inf where there are fewer."""
    whole = scores.size // STRIP
    if whole < k:
        return -np.inf
    most = scores[:whole].copy()
    for strip in range(1, STRIP):
        for at in range(whole):
            most[at] = max(most[at], scores[strip * whole + at])
    return np.float64(np.partition(most, whole - k)[whole - k])


@compiled("f1 i0", "d1 i0")
def best(scores: FloatArray | npt.NDArray[np.float64], k: int) -> IntArray:
    """The positions of the k best scores, best first, of equal ones the lower position; -inf is never among them."""
    bound, found, count = reached(scores, k), np.empty(k, np.int64), 0
    for at in range(scores.size if k > 0 else 0):
        score = scores[at]
        if not (score >= bound and score > -np.inf) or (count == k and not score > scores[found[k - 1]]):
            continue
        place = count if count < k else k - 1
        while place > 0 and score > scores[found[place - 1]]:
            found[place] = found[place - 1]
            place -= 1
        found[place] = at
        count = min(count + 1, k)
    return found[:count].copy()
