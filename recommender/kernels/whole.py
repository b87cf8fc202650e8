"""A whole question in one call: what is done source by source elsewhere, for a model of features and nothing unusual.

Every step is the loop that answers it elsewhere; what is saved is the way from one to the next, which costs more than
the steps do. plan.py says when this may be asked, and a law holds both ways to the same.
"""

from typing import NamedTuple

import numpy as np

from recommender.features import DEPTH, ORDERS, Weights
from recommender.kernels.blend import add_singled, add_whole, factor, silences, situated, stand, ways
from recommender.kernels.choose import best
from recommender.kernels.compiled import compiled
from recommender.kernels.habit import habit
from recommender.kernels.linear import liking, scaled, scores_among, through
from recommender.kernels.past import Places, Words, find, recall
from recommender.kernels.transitions import own_steps, with_others
from recommender.sharpness import DOUBT
from recommender.sources.attributes import TASTES
from recommender.sources.habit import FAINT as OFTEN
from recommender.sources.habit import MOST_REST, VISIT
from recommender.sources.transitions import ALIKE, BASE, FAINT, LEAN, LONGEST, STRIDE
from recommender.sources.usage import HEAD
from recommender.types import DISMISS, IMPRESSION, RETURN, BoolArray, FloatArray, IntArray


class Found(NamedTuple):
    """What a question comes to; all empty where it has to be asked in the usual way.

    blended, score: see `Ranking`. whole: shape (4, n), what popularity, neighbours, factors and attributes say of all
    items. met, values, start: see `Seen`. weight: shape (columns,), of each.
    """

    blended: FloatArray
    score: FloatArray
    whole: FloatArray
    met: IntArray
    values: FloatArray
    start: FloatArray
    weight: FloatArray


@compiled("f2 i1 f1 f1 d0")
def weighed(weights: FloatArray, rows: IntArray, slope: FloatArray, reach: FloatArray, length: float) -> FloatArray:
    """`Ranker.weigh`, of no stranger. slope, reach: of its growth, none where there is none; length: `length_of`."""
    weight: FloatArray = weights[0].copy()
    for row in rows[1:] if weights.shape[0] > 1 else rows[:0]:
        weight += weights[row]
    if slope.size:
        weight += slope * min(max(np.float32(length), reach[0]), reach[1])
    return weight


@compiled("f2 i1 f2 i1 f2 f1 i1 F2")
def _lay(
    own: FloatArray,
    own_at: IntArray,
    steps: FloatArray,
    at: IntArray,
    whole: FloatArray,
    floor: FloatArray,
    columns: IntArray,
    values: FloatArray,
) -> None:
    """Fill in what all sources say of the positions `at`, above their floors. columns: see `ranked`."""
    mine = 0
    for row in range(at.size):
        if mine < own_at.size and own_at[mine] == at[row]:
            for column in range(own.shape[0]):
                values[row, columns[0] + column] = own[column, mine]
            mine += 1
        for column in range(steps.shape[0]):
            values[row, columns[1] + column] = steps[column, row]
        for source in range(whole.shape[0]):
            values[row, columns[2 + source]] = whole[source, at[row]] - floor[source]


@compiled("F1 f1 d1")
def _sharpen(blended: FloatArray, sharpness: FloatArray, log_odds: Weights) -> FloatArray:
    """Multiply some scores by their `factor_of`, and give their softmax."""
    most, sum_ = blended.max(), np.float32(0)
    if sharpness.size:
        for one in blended:
            sum_ += np.exp(one - most)
        sharp = np.float32(factor(min(max(1 / np.float64(sum_), DOUBT), 1 - DOUBT), log_odds, sharpness))
        blended *= sharp
        most *= sharp
    score: FloatArray = np.exp(blended - most)
    score /= score.sum()
    return score


@compiled(
    "i2 b1 j1 i1 i1 i1 i1 i0 i0 i0 d1 d1 d1 d1 d1 i1 i1 i1 f1 i1 f1 d0 f1 f2 f2 i0 f1 i1 i1 f1 i1 i1 f1 "
    "i1 f1 b1 f2 f1 f1 f2 f2 f2 f2 f1 d1 f1"
)
def ranked(
    events: Words,
    kept: BoolArray,
    table: Places,
    codes: IntArray,
    older: IntArray,
    older_count: IntArray,
    older_type: IntArray,
    now: int,
    now_week: int,
    now_channel: int,
    by_use: Weights,
    by_time: Weights,
    alike: Weights,
    paces: Weights,
    discounts: Weights,
    key: IntArray,
    next_starts: IntArray,
    next_item: IntArray,
    lift: FloatArray,
    types: IntArray,
    type_weight: FloatArray,
    half_life: float,
    popular: FloatArray,
    nearness: FloatArray,
    products: FloatArray,
    most: int,
    confidence: FloatArray,
    token_starts: IntArray,
    token: IntArray,
    token_weight: FloatArray,
    having_starts: IntArray,
    having: IntArray,
    having_weight: FloatArray,
    columns: IntArray,
    floor: FloatArray,
    single: BoolArray,
    weights: FloatArray,
    slope: FloatArray,
    reach: FloatArray,
    into: FloatArray,
    bias: FloatArray,
    item: FloatArray,
    last: FloatArray,
    out: FloatArray,
    log_odds: Weights,
    sharpness: FloatArray,
) -> Found:
    """`rank`, of somebody with these events; see `Plan`, whose parts these are, and the loops of the sources.

    events, kept, table, codes: see `events_of`; older, older_count, older_type: `older`. nearness: shape (n, n), the
    neighbours' weights. most: used items, as many as there are factors: for more, as many equations are too many.
    columns: shape (6,), where the columns of habit and transitions begin, and those of popularity, neighbours, factors
    and attributes are. floor: shape (4,), of the last four. single: (columns,), which speak of items one by one.
    """
    none, nothing, empty = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    uses, at, both, run, followed = recall(events, kept, table, codes, RETURN, DISMISS, IMPRESSION, older, DEPTH)
    past, times, size, n = uses[0], uses[1], at.size, codes.size
    places, older_places = both[: past.size], both[past.size :]
    if past.size == 0 or size > most:
        return Found(nothing, nothing, empty, none, empty, nothing, nothing)
    moment = now, now_week, now_channel
    before = older_places, older_count
    own = habit(
        places, size, *before, times, uses[2], uses[3], *moment, by_use, by_time, alike, VISIT, OFTEN, MOST_REST
    )
    mine = own_steps(places, size, past, run, ORDERS, paces, discounts, BASE, LEAN, FAINT, LONGEST, ALIKE)
    met, steps = with_others(at, mine, key, next_starts, next_item, lift, past, STRIDE)
    liked, much = liking(
        at, places, uses[4], now - times, older_places, older_type, older_count, types, type_weight, half_life
    )
    near = np.zeros(n, np.float32)
    for one in range(liked.size):
        near += much[one] * nearness[liked[one]]
    taste = scores_among(products, liked, much * confidence[liked], n, HEAD)
    back, tokens = (having_starts, having, having_weight), having_starts.size - 1
    alike_ = through(token_starts, token, token_weight, *back, liked, much, TASTES, tokens, n, HEAD)
    whole = np.empty((4, n), np.float32)
    whole[0], whole[1], whole[2], whole[3] = popular, scaled(near, n, HEAD)[0], taste[0], alike_[0]
    rows = situated(past, times, now, followed)
    weight = weighed(weights, rows, slope, reach, np.log2(np.float64(size)))
    values = np.zeros((met.size, weight.size), np.float32)
    _lay(own, at, steps, met, whole, floor, columns, values)
    start, way = nothing, np.zeros((met.size, 0), np.float32)
    if out.size:
        start, way = stand(bias, rows, last, past[past.size - 1]), ways(values, into, item, met)
    blended = np.zeros(n, np.float32)
    add_whole(blended, whole, weight[columns[2:]])
    add_singled(blended, met, values, weight, single, way, start, out)
    return Found(blended, _sharpen(blended, sharpness, log_odds), whole, met, values, start, weight)


@compiled("f1 i1 i0 f2 i1 f2 f1 i1 f1 i1 b1 f2 f2 f1 f1 i0 d1 f1 d0")
def loudest(
    blended: FloatArray,
    asked: IntArray,
    rivals: int,
    values: FloatArray,
    met: IntArray,
    whole: FloatArray,
    floor: FloatArray,
    columns: IntArray,
    weight: FloatArray,
    ends: IntArray,
    single: BoolArray,
    into: FloatArray,
    item: FloatArray,
    start: FloatArray,
    out: FloatArray,
    own: int,
    log_odds: Weights,
    sharpness: FloatArray,
    least: float,
) -> IntArray:
    """Shape of `asked`: the row of the source without which each position would lose most, -1 where it loses nothing.

    See `Ranking.losses`, which says so of any model; the arrays are those of `Found` and of `ranked`.
    """
    pool, count = np.empty(asked.size + rivals, np.int64), asked.size
    pool[:count] = asked
    for at in best(blended, rivals):
        if at not in asked:
            pool[count] = at
            count += 1
    pool = pool[:count]
    there, told = np.zeros(count, np.bool_), np.zeros((count, weight.size), np.float32)
    for one in range(count):
        row = find(met, 0, met.size, pool[one])
        there[one] = row >= 0
        if row >= 0:
            told[one] = values[row]
        else:
            for source in range(whole.shape[0]):
                told[one, columns[2 + source]] = whole[source, pool[one]] - floor[source]
    lost, speaks = silences(
        told, weight, ends, single, there, pool, np.zeros(count, np.bool_), into, item, start, out, own, log_odds,
        sharpness, DOUBT,
    )  # fmt: skip
    found = np.full(asked.size, -1)
    for one in range(asked.size):
        most = least
        for source in range(ends.size):
            if speaks[source, one] and lost[source, one] > most:
                found[one], most = source, lost[source, one]
    return found
