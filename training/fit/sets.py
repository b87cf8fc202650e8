"""Fits what completes a set: some items of a customer are given, a network of one hidden layer is asked for the rest.

The loss is that of the softmax over all items that are not given. The questions are those of Breese, Heckerman & Kadie,
"Empirical analysis of predictive algorithms for collaborative filtering", 1998: all items but one are given, or only
few. Who used two things may be done but for one, or have only begun, and the two use different things next; so there is
a network for either question and one for both, which are mixed by how many items are given. The hidden units are
rectified, so that one can stand for some items used together, or for one used without another. Steps are those of Adam
(Kingma & Ba, 2015) on batches, with some of the hidden units left out in each (Srivastava et al., 2014); what is
published is the running mean of the weights. Denoising autoencoders for this task: Liang et al., "Variational
autoencoders for collaborative filtering", 2018.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from recommender.sources.sets import SIZES, Sets
from recommender.sources.usage import Matrix
from recommender.types import FloatArray, IntArray
from training.fit.matrix import total
from training.fit.pairs import count_pairs
from training.fit.popularity import PRIOR

HIDDEN = 512
"""Hidden units of one network."""

BATCH = 256
"""Questions in a step."""

RATE = 2e-3
"""How far a step goes."""

DROPPED = 0.4
"""The share of hidden units left out."""

FIRST, SECOND = 0.9, 0.999
"""What a step keeps of Adam's two moments."""

FLOOR = {"direct": 1e-4, "inward": 1e-8, "outward": 1e-8, "shift": 1e-8}
"""What the root of Adam's second moment counts at least.

A step divides a slope by that root, so what is hardly ever met goes as far as what is met every day. Direct effects are
many and mostly of pairs that met once, whose slopes are about 5e-5 where those of 100 meetings are 6e-3 (a log of 294
items): below the floor they are pulled as far as there is evidence for them.
"""

MEAN = 0.998
"""What a step keeps of the running mean of the weights."""

PRIOR_OF_PAIRS = 25.0
"""As how many customers' worth the networks count, where others used the same two items."""

CHECK, PATIENCE, STEPS = 100, 6, 3_000
"""They are asked every so many steps; the walk ends when so many times in a row were no better, or after STEPS."""

Weights = dict[str, FloatArray]
"""The arrays of `Sets` by name."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How customers are asked. last: in how many of the questions all items but one are given.

    few: of the other questions, how many items are given, each as often as it stands here; to a customer who has no
    more than that, two, or one of two. worth: what each missing item counts in these, where the one that is missing of
    all counts 1. least: how many items a customer has who is asked.
    """

    last: float
    few: tuple[int, ...]
    worth: float
    least: int = 2


BOTH = Asking(0.5, (2, 2, 2, 5, 10), 0.5)
"""Half and half, as the field does; the blend is asked the same."""

ASKED = BOTH, Asking(1.0, (2,), 1.0), Asking(0.0, (2,), 1.0, least=3)
"""What each network is asked: both, for the last item, and for the rest of who has only begun.

Two items are given in the latter, and it is as good for who used one or three as if these were asked for.
"""

REPEATS, ITEMS = 2, 1_000
"""As many networks are asked the same, from other seeds, as divide so many items; one at least.

On held-out customers of a log of 285 items a second one brought .08 of the rank score, all but one.
"""

MIXTURE = np.array([[0.25, 0.5, 0.25], [0.5, 0.0, 0.5], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0]], np.float32)
"""How much each of `ASKED` counts for one who used one item, two, three, and more.

The log cannot say how many of those who used two things are done but for one: only a clock could. Held-out customers of
a log of 285 items, two slices, beside three networks that are asked both: rank score given one +.8 and +.9, given two
+.36 and +.39 (.1 of it by the pairs), given three +.5 and +.3; all but one -.08 and -.19.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """given: questions x items, 1 where given. inputs: questions x inputs, what the hidden units see of that.

    wanted: questions x items, what is asked for; a row adds up to what its question counts, more where more is asked.
    """

    given: Matrix
    inputs: Matrix
    wanted: Matrix

    def some(self, rows: IntArray) -> "Questions":
        """A few of them."""
        return Questions(self.given[rows], self.inputs[rows], self.wanted[rows])


def fit_sets(counts: Matrix, seed: int, steps: "IntArray | Matrix") -> Sets:
    """counts: customers x items. steps: how many to take for each of ASKED, shape (3,), or what other customers used,

    customers x items: as many as answer best what these are asked, by one network each.
    """
    used = as_used(counts)
    if isinstance(steps, np.ndarray):
        repeats = min(max(ITEMS // max(used.shape[1], 1), 1), REPEATS)
        networks = [
            _taught(used, seed + number + len(ASKED) * again, asking, int(steps[number]))
            for again in range(repeats)
            for number, asking in enumerate(ASKED)
        ]
    else:
        repeats, rng = 1, np.random.default_rng(seed)
        best = [_best(used, seed + number, asking, ask(steps, rng, asking)) for number, asking in enumerate(ASKED)]
        networks, steps = [weights for _, weights in best], np.array([enough for enough, _ in best])
    share = total(used, 0) + PRIOR
    level = np.log(share / share.sum()).astype(np.float32)
    pairs = count_pairs(used)
    return Sets(
        direct=np.stack([one["direct"] for one in networks]),
        inward=np.concatenate([one["inward"] for one in networks], axis=1),
        outward=np.concatenate([one["outward"] for one in networks]),
        shift=np.stack([one["shift"] - level for one in networks]),
        steps=steps.astype(np.int64),
        rectified=np.array(True),
        mixture=np.tile(MIXTURE / np.float32(repeats), repeats),
        pair=pairs.pair,
        starts=pairs.starts,
        item=pairs.item,
        weight=pairs.weight,
        prior=np.array(PRIOR_OF_PAIRS, np.float32),
        share=level,
    )


def as_used(counts: Matrix) -> Matrix:
    """The same, 1 where it was used at all."""
    return sparse.csr_array((np.ones(counts.nnz, np.float32), counts.indices, counts.indptr), counts.shape)


def _taught(used: Matrix, seed: int, asking: Asking, steps: int) -> Weights:
    """The weights after so many steps."""
    *_, weights = chain([_start(used, seed)], _walk(used, seed, asking, steps))
    return weights


def _best(used: Matrix, seed: int, asking: Asking, questions: Questions) -> tuple[int, Weights]:
    """After how many steps the questions are answered best, 0 where there is nothing to learn from; the weights then.

    By ranks, not by surprise: what grows too sure of itself ranks better for a while, and a blend can calm it.
    """
    enough, best = 0, _start(used, seed)
    if not used.nnz or not questions.wanted.nnz:
        return enough, best
    quality = ranking(best, questions)
    for step, weights in enumerate(_walk(used, seed, asking, STEPS), 1):
        if step % CHECK:
            continue
        found = ranking(weights, questions)
        if found > quality:
            quality, enough, best = found, step, {name: one.copy() for name, one in weights.items()}
        elif step - enough >= PATIENCE * CHECK:
            break
    return enough, best


def ask(used: Matrix, rng: np.random.Generator, asking: Asking) -> Questions:
    """One question for each customer who has items enough."""
    used = used[np.flatnonzero(np.diff(used.indptr) >= asking.least)]
    size = np.diff(used.indptr).astype(np.int64)
    who = np.repeat(np.arange(size.size), size)
    order = np.lexsort((rng.random(who.size), who))
    place = np.arange(who.size) - used.indptr[who]
    few = np.array(asking.few)[rng.integers(0, len(asking.few), size.size)]
    few = np.minimum(np.where(few < size, few, 2), size - 1)
    last = rng.random(size.size) < asking.last
    known = np.where(last, size - 1, few)
    given = np.zeros(who.size, np.bool_)
    given[order] = place < known[who]
    worth = np.where(last, np.float32(1), np.float32(asking.worth))[who]
    ones = np.ones(who.size, np.float32)
    return Questions(
        _chosen(used, given, ones),
        inputs_of(_chosen(used, given, ones)),
        _chosen(used, ~given, worth),
    )


def inputs_of(given: Matrix) -> Matrix:
    """What the hidden units see: the items, and the class of their number."""
    size = np.diff(given.indptr)
    class_ = np.searchsorted(SIZES, size, "right")
    rows = np.arange(size.size)
    number = sparse.csr_array((np.ones(size.size, np.float32), (rows, class_)), shape=(size.size, len(SIZES) + 1))
    return sparse.csr_array(sparse.hstack([given, number], format="csr", dtype=np.float32))


def _chosen(used: Matrix, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]", worth: FloatArray) -> Matrix:
    kept = np.concatenate([[0], np.cumsum(which)])[used.indptr]
    return sparse.csr_array((worth[which], used.indices[which], kept), shape=used.shape)


def _start(used: Matrix, seed: int) -> Weights:
    """Small random effects of the sets, and everybody's shares."""
    rng, items = np.random.default_rng(seed), used.shape[1]
    share = total(used, 0) + PRIOR
    return {
        "direct": np.zeros((items, items), np.float32),
        "inward": rng.normal(0, 0.05, (items + len(SIZES) + 1, HIDDEN)).astype(np.float32),
        "outward": rng.normal(0, 0.02, (HIDDEN, items)).astype(np.float32),
        "shift": np.log(share / share.sum()).astype(np.float32),
    }


def _walk(used: Matrix, seed: int, asking: Asking, steps: int) -> Iterator[Weights]:
    """The running mean of the weights after each of so many steps."""
    weights, rng = _start(used, seed), np.random.default_rng(seed)
    moments = {name: (np.zeros_like(one), np.zeros_like(one)) for name, one in weights.items()}
    mean = {name: one.copy() for name, one in weights.items()}
    for step, questions in enumerate(_batches(used, rng, asking, steps), 1):
        drawn = rng.random((questions.given.shape[0], HIDDEN), np.float32) >= DROPPED
        kept = drawn.astype(np.float32) / np.float32(1 - DROPPED)
        slopes = slope(weights, questions, kept)
        rate = np.float32(RATE * np.sqrt(1 - SECOND**step) / (1 - FIRST**step))
        keep = np.float32(min(MEAN, step / (10 + step)))
        for name, found in slopes.items():
            first, second = moments[name]
            first += np.float32(1 - FIRST) * (found - first)
            second += np.float32(1 - SECOND) * (found * found - second)
            weights[name] -= rate * first / (np.sqrt(second) + np.float32(FLOOR[name]))
            mean[name] += (1 - keep) * (weights[name] - mean[name])
        yield mean


def _batches(used: Matrix, rng: np.random.Generator, asking: Asking, steps: int) -> Iterator[Questions]:
    """So many batches; every pass over the customers asks them anew, in another order."""
    while steps > 0:
        questions = ask(used, rng, asking)
        order = rng.permutation(questions.given.shape[0])
        if not order.size:
            return
        for start in range(0, order.size, BATCH)[:steps]:
            yield questions.some(order[start : start + BATCH])
        steps -= -(-order.size // BATCH)


def ranking(weights: Weights, questions: Questions) -> float:
    """The mean of 1 / rank of what was asked for, weighted by what each question counts."""
    found = 0.0
    for some in _parts(questions):
        share, _ = _shares(weights, some, np.float32(1))
        wanted = some.wanted.tocoo()
        rank = (share[wanted.row] >= share[wanted.row, wanted.col][:, None]).sum(axis=1)
        found += float((wanted.data / rank).sum())
    return found / float(questions.wanted.sum())


def surprise(weights: Weights, questions: Questions) -> float:
    """Minus the mean log-probability of what was asked for, weighted by what each question counts."""
    loss = 0.0
    for some in _parts(questions):
        share, _ = _shares(weights, some, np.float32(1))
        wanted = some.wanted.tocoo()
        loss -= float((wanted.data * np.log(share[wanted.row, wanted.col] + np.float32(1e-20))).sum())
    return loss / float(questions.wanted.sum())


def _parts(questions: Questions) -> Iterator[Questions]:
    """The same questions, a batch at a time."""
    for start in range(0, questions.given.shape[0], BATCH):
        yield questions.some(np.arange(start, min(start + BATCH, questions.given.shape[0])))


def slope(weights: Weights, questions: Questions, kept: FloatArray) -> Weights:
    """How the mean surprise of a batch changes with each weight. kept: questions x h, what each hidden unit counts."""
    share, hidden = _shares(weights, questions, kept)
    excess = share * total(questions.wanted, 1).astype(np.float32)[:, None]
    wanted = questions.wanted.tocoo()
    excess[wanted.row, wanted.col] -= wanted.data
    excess /= np.float32(excess.shape[0])
    back = (excess @ weights["outward"].T) * kept * (hidden > 0)
    return {
        "direct": np.asarray(questions.given.T @ excess),
        "inward": np.asarray(questions.inputs.T @ back),
        "outward": (hidden * kept).T @ excess,
        "shift": excess.sum(axis=0),
    }


def _shares(weights: Weights, questions: Questions, kept: FloatArray | np.float32) -> tuple[FloatArray, FloatArray]:
    """Questions x items, the probability of each item that is not given; questions x h, the hidden units."""
    hidden = np.maximum(questions.inputs @ weights["inward"], 0)
    score = (hidden * kept) @ weights["outward"] + questions.given @ weights["direct"] + weights["shift"]
    given = questions.given.tocoo()
    score[given.row, given.col] = -np.inf
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True), hidden
