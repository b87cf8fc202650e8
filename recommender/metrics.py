"""What makes a ranking good, in the measures of the field; each takes many customers at once.

A list is one row of `hits`: shape (n, k), True where the item at that place
was wanted. `relevant`, shape (n,), is how many items were wanted in all.
Every measure gives one value per list, so that any mean, interval or paired
comparison can follow. A question with one right answer is given as `ranks`,
shape (n,): 1 for the first place, 0 for a miss.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recommender.types import BoolArray, FloatArray, IntArray

Values = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def pessimistic_rank(scores: FloatArray, item: int) -> int:
    """The place of one item where every tie goes to the others: 1 is first."""
    return int(np.count_nonzero(scores >= scores[item]))


def hit(ranks: IntArray, k: int) -> Values:
    """1 where the right item stood among the first k."""
    return np.asarray((ranks > 0) & (ranks <= k), np.float64)


def reciprocal_rank(ranks: IntArray) -> Values:
    """1 / rank, 0 for a miss; its mean is the MRR."""
    return np.divide(1.0, ranks, out=np.zeros(ranks.shape), where=ranks > 0)


def recall(hits: BoolArray, relevant: IntArray) -> Values:
    """The share of the wanted items that the list holds; NaN where nothing was wanted."""
    return _share(hits.sum(1).astype(np.float64), relevant.astype(np.float64))


def ndcg(hits: BoolArray, relevant: IntArray) -> Values:
    """How close the list's order is to the best possible one of its length; NaN where nothing was wanted.

    The best list has min(k, relevant) hits at its head, as in the LightGCN papers.
    Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR", 2002.
    """
    k = hits.shape[1]
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant, k)]
    return _share(hits @ discount, best)


def average_precision(hits: BoolArray, relevant: IntArray) -> Values:
    """The mean, over the wanted items, of the precision at each one's place; NaN where nothing was wanted.

    An item beyond the list counts 0; of more wanted items than places, as many count as there are places.
    Buckley & Voorhees, "Evaluating evaluation measure stability", 2000.
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _share((precision * hits).sum(1), np.minimum(relevant, hits.shape[1]).astype(np.float64))


def coverage(lists: IntArray, items: int) -> float:
    """The share of the catalogue that at least one list shows. lists: shape (n, k), positions, -1 for none."""
    return float(np.count_nonzero(_exposure(lists, items)) / items) if items else float("nan")


def gini(lists: IntArray, items: int) -> float:
    """How unequally the lists show the items: 0 where all alike, towards 1 where few take all; NaN without any.

    Half the mean absolute difference of two items' exposures, over the mean exposure.
    """
    exposure = np.sort(_exposure(lists, items))
    if exposure.sum() == 0:
        return float("nan")
    place = np.arange(1, items + 1)
    return float(((2 * place - items - 1) @ exposure) / (items * exposure.sum()))


def novelty(lists: IntArray, users_of_item: IntArray, users: int) -> float:
    """Mean bits of surprise of a shown item, -log2 of the share of customers who used it before.

    An item of nobody counts as one of half a customer. Zhou et al., PNAS 2010.
    """
    shown = lists[lists >= 0]
    share = np.maximum(users_of_item[shown], 0.5) / users
    return float(-np.log2(share).mean()) if shown.size else float("nan")


def bootstrap(
    values: Values, clusters: IntArray | None = None, *, draws: int = 1000, level: float = 0.95, seed: int = 7
) -> Interval:
    """The mean with its percentile interval over customers drawn anew; NaN values are left out.

    clusters: shape (n,), the customer of each value, who is then drawn with all of theirs; None: one value each.
    To compare two rankers on the same customers pass the difference of their values: that is the paired
    interval. Efron, 1979.
    """
    known = ~np.isnan(values)
    values = values[known]
    if values.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    cluster = np.arange(values.size) if clusters is None else np.unique(clusters[known], return_inverse=True)[1]
    size, total = np.bincount(cluster), np.bincount(cluster, values)
    random = np.random.default_rng(seed)
    drawn = (random.integers(0, size.size, size.size) for _ in range(draws))
    means = [total[some].sum() / size[some].sum() for some in drawn]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def calibration_error(probabilities: Values, outcomes: BoolArray, bins: int = 15) -> float:
    """How far, on average, "70 % sure" is from right 7 times in 10: over bins of equally many promises; 0 is best.

    Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    if probabilities.size == 0:
        return float("nan")
    parts = np.array_split(np.argsort(probabilities, kind="stable"), min(bins, probabilities.size))
    gaps = (abs(float((probabilities[part] - outcomes[part]).sum())) for part in parts)
    return sum(gaps) / probabilities.size


def _exposure(lists: IntArray, items: int) -> Values:
    return np.bincount(lists[lists >= 0], minlength=items).astype(np.float64)


def _share(part: Values, whole: Values) -> Values:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
