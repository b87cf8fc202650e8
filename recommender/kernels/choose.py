"""The few best of many scores, in about two passes over them.

Sorting or partitioning all of them would cost more, and a plain partition slows down fiftyfold where most scores are
equal, as those of a sparse source are. So the scores are cut into strips first: the k-th best of the strips' maxima is
a bound that at least k scores reach, and few more than k do.
"""

import numpy as np
import numpy.typing as npt

from recommender.kernels.compiled import compiled
from recommender.types import IntArray

STRIP = 32

Scored = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@compiled("f1", "d1")
def maxima(scores: Scored) -> Scored:
    """The best of each strip; what is left behind the last whole strip is in none."""
    most = np.empty(scores.size // STRIP, scores.dtype)
    for strip in range(most.size):
        high = scores[STRIP * strip]
        for at in range(STRIP * strip + 1, STRIP * (strip + 1)):
            high = max(high, scores[at])
        most[strip] = high
    return most


@compiled("F1 i0", "D1 i0")
def largest(values: Scored, k: int) -> float:
    """The k-th largest of some values, which are left in another order; k: from 1 to as many as there are.

    Hoare, "Algorithm 65: Find", 1961. Numba's own partition is five times as much machine code, in each loop that asks.
    """
    low, high = 0, values.size - 1
    while low < high:
        pivot, left, right = values[(low + high) // 2], low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left, right = left + 1, right - 1
        if right < k - 1 < left:
            break
        low, high = (low, right) if k - 1 <= right else (left, high)
    return float(values[k - 1])


@compiled("f1 i0", "d1 i0")
def bound_of(most: Scored, k: int) -> float:
    """The k-th best of the strips' maxima; -inf where there are fewer."""
    return np.float64(largest(most.copy(), k)) if most.size >= k else -np.inf


@compiled("f1 i0", "d1 i0")
def likely(scores: Scored, k: int) -> IntArray:
    """The positions of all scores that reach the k-th best of the strips' maxima, ascending."""
    most = maxima(scores)
    bound = bound_of(most, k)
    found, count = np.empty(scores.size, np.int64), 0
    for strip in range(most.size):
        if most[strip] >= bound:
            for at in range(STRIP * strip, STRIP * (strip + 1)):
                if scores[at] >= bound:
                    found[count] = at
                    count += 1
    for at in range(STRIP * most.size, scores.size):
        if scores[at] >= bound:
            found[count] = at
            count += 1
    return found[:count]


@compiled("f1 i0", "d1 i0")
def best(scores: Scored, k: int) -> IntArray:
    """The positions of the k best scores, best first, of equal ones the lower position; -inf is never among them."""
    found, count = np.empty(k, np.int64), 0
    for at in likely(scores, k) if k > 0 else found:
        score = scores[at]
        if score == -np.inf or (count == k and score < scores[found[k - 1]]):
            continue
        place = count if count < k else k
        while place > 0 and (
            score > scores[found[place - 1]] or (score == scores[found[place - 1]] and at < found[place - 1])
        ):
            if place < k:
                found[place] = found[place - 1]
            place -= 1
        if place < k:
            found[place] = at
        count = min(count + 1, k)
    return found[:count].copy()
