"""What makes a ranking good, in the measures of the field; each takes many customers at once.

A list is one row of `hits`: shape (n, k), True where the item at that place
was wanted. `relevant`, shape (n,), is how many items were wanted in all.
Every measure gives one value per list, so that any mean, interval or paired
comparison can follow. A question with one right answer is given as `ranks`,
shape (n,): 1 for the first place, 0 for a miss; `places` gives those of a
question with several.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recommender.types import BoolArray, FloatArray, IntArray

Values = npt.NDArray[np.float64]

DRAWN = 50
"""Draws of a bootstrap that are summed at once: one product of matrices instead of many."""


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def pessimistic_rank(scores: FloatArray, item: int) -> int:
    """The place of one item where every tie goes to the others: 1 is first."""
    return int(np.count_nonzero(scores >= scores[item]))


def places(scores: FloatArray, wanted: IntArray) -> IntArray:
    """The place of each wanted item, shape of `wanted`, no two alike: 1 is first, 0 for one without a finite score.

    Every tie goes to the items that are not wanted. With one wanted item this is `pessimistic_rank`.
    """
    own = scores[wanted]
    order = np.argsort(-own, kind="stable")
    rank = np.zeros(wanted.size, np.int64)
    for place, at in enumerate(order.tolist()):
        tied = int(np.count_nonzero(own >= own[at])) - place - 1
        rank[at] = np.count_nonzero(scores >= own[at]) - tied
    rank[~np.isfinite(own)] = 0
    return rank


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


def rank_score(ranks: IntArray, wanted: IntArray, half_life: float = 5) -> tuple[Values, Values]:
    """How much a long list is worth to one who reads on with a probability that halves every few places.

    ranks: shape (n, m), the places of the wanted items, 0 for a miss or for none. wanted: shape (n,), how many
    there are. The item at place `half_life` is read half as often as the first one. Returns, for each list, the share
    of the best list's worth, NaN where nothing was wanted, and that worth: the paper's score is 100 times the mean
    share, weighted by it. Breese, Heckerman & Kadie, "Empirical analysis of predictive algorithms", 1998.
    """
    worth = np.exp2(-np.arange(max(int(wanted.max(initial=0)), 1)) / (half_life - 1))
    best = np.concatenate([[0.0], np.cumsum(worth)])[wanted]
    found = np.where(ranks > 0, np.exp2(-(ranks - 1) / (half_life - 1)), 0.0).sum(1)
    return _share(found, best), best


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
    values: Values,
    clusters: IntArray | None = None,
    *,
    weights: Values | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 7,
) -> Interval:
    """The mean with its percentile interval over customers drawn anew; NaN values are left out.

    clusters: shape (n,), the customer of each value, who is then drawn with all of theirs; None: one value each.
    weights: shape (n,), what each value counts in the mean; None: all alike.
    To compare two rankers on the same customers pass the difference of their values: that is the paired
    interval. Efron, 1979.
    """
    known = ~np.isnan(values)
    values = values[known]
    if values.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    cluster = np.arange(values.size) if clusters is None else clusters[known]
    weight = np.ones(values.size) if weights is None else weights[known]
    drawn = resampled(np.stack([values * weight, weight], axis=1), cluster, draws=draws, seed=seed)
    low, high = ends(_share(drawn[:, 0], drawn[:, 1]), level)
    return Interval(float(np.average(values, weights=weight)), low, high)


def resampled(values: Values, clusters: IntArray, *, draws: int = 1000, seed: int = 7) -> Values:
    """Shape (draws, m): the means of m columns of values over the same customers drawn anew; NaN values are left out.

    values: shape (n, m). clusters: shape (n,), as `bootstrap` has them. NaN where a draw met no value of a column.
    """
    _, cluster = np.unique(clusters, return_inverse=True)
    order = np.argsort(cluster, kind="stable")
    size = int(cluster.max()) + 1
    starts = np.searchsorted(cluster[order], np.arange(size))
    known = ~np.isnan(values[order])
    total = np.add.reduceat(np.where(known, values[order], 0), starts, axis=0)
    count = np.add.reduceat(known, starts, axis=0, dtype=np.float64)
    random = np.random.default_rng(seed)
    means = []
    for start in range(0, draws, DRAWN):
        many = min(DRAWN, draws - start)
        drawn = np.stack([np.bincount(random.integers(0, size, size), minlength=size) for _ in range(many)]).astype(
            np.float64
        )
        means.append(_share(drawn @ total, drawn @ count))
    return np.concatenate(means)


def ends(means: Values, level: float = 0.95) -> tuple[float, float]:
    """The ends of the percentile interval of what `resampled` drew, of one column; NaN where it drew nothing."""
    known = means[~np.isnan(means)]
    if known.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def calibration_error(probabilities: Values, outcomes: BoolArray, bins: int = 15) -> float:
    """How far, on average, "70 % sure" is from right 7 times in 10: over bins of equally many promises; 0 is best.

    Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    table = reliability(probabilities, outcomes, bins)
    return sum(abs(said - right) * n for said, right, n in table) / probabilities.size if table else float("nan")


def reliability(probabilities: Values, outcomes: BoolArray, bins: int = 15) -> list[tuple[float, float, int]]:
    """Of each bin of equally many promises, ascending: what was promised and what was kept on average, and how many."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), max(min(bins, probabilities.size), 1))
    return [(float(probabilities[p].mean()), float(outcomes[p].mean()), p.size) for p in parts if p.size]


def _exposure(lists: IntArray, items: int) -> Values:
    return np.bincount(lists[lists >= 0], minlength=items).astype(np.float64)


def _share(part: Values, whole: Values) -> Values:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
