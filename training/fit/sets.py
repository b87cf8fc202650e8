"""Fits what completes a set: some items of a customer are given, a network of one hidden layer is asked for the rest.

The loss is that of the softmax over all items that are not given. The questions are those of Breese, Heckerman & Kadie,
"Empirical analysis of predictive algorithms for collaborative filtering", 1998: half of them give all items but one,
the others two, five or ten. The hidden units are rectified, so that one can stand for some items used together, or for
one used without another. Steps are those of Adam (Kingma & Ba, 2015) on batches, with some of the hidden units left
out in each (Srivastava et al., 2014); what is published is the running mean of the weights. Denoising autoencoders for
this task: Liang et al., "Variational autoencoders for collaborative filtering", 2018.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from recommender.sources.sets import SIZES, Sets
from recommender.sources.usage import Matrix
from recommender.types import FloatArray, IntArray
from training.fit.matrix import entries, total
from training.fit.pairs import count_pairs
from training.fit.popularity import PRIOR

HIDDEN = 512
"""Hidden units of one network."""

NETWORKS, ITEMS = 3, 1_500
"""As many networks are fitted, from other seeds, and their scores averaged, as divide so many items; one at least.

On held-out visitors of a log of 285 items a second one brought .09 of the rank score, a third .04, a fourth .02.
"""

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

GIVEN = np.array([2, 2, 2, 5, 10])
"""Of the questions that give few items, how many; for a customer who has no more than that, two, or one of two."""

WORTH = 0.5
"""What each missing item counts in a question that gives few, where the one that is missing of all counts 1."""

PRIOR_OF_PAIRS = 25.0
"""As how many customers' worth the network counts, where others used the same two items.

On held-out customers of a log of 285 items, two slices, it brought .23 and .21 of the rank score, given two, and cost
.10 and .09, all but one: who used two things is then answered as if they had only begun, and some are nearly done.
"""

CHECK, PATIENCE, STEPS = 100, 6, 3_000
"""They are asked every so many steps; the walk ends when so many times in a row were no better, or after STEPS."""

Weights = dict[str, FloatArray]
"""The arrays of `Sets` by name."""


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


def fit_sets(counts: Matrix, seed: int, steps: int | Questions) -> Sets:
    """counts: customers x items. steps: how many to take, or questions of others: as many as answer these best."""
    used: Matrix = sparse.csr_array((np.ones(counts.nnz, np.float32), counts.indices, counts.indptr), counts.shape)
    several: Matrix = used[np.flatnonzero(np.diff(used.indptr) > 1)]
    if isinstance(steps, Questions):
        taken, first = _best(several, seed, steps)
    else:
        taken, first = steps, _taught(several, seed, steps)
    more = range(1, min(max(ITEMS // max(counts.shape[1], 1), 1), NETWORKS))
    weights = _averaged([first, *(_taught(several, seed + other, taken) for other in more)])
    share = total(used, 0) + PRIOR
    level = np.log(share / share.sum()).astype(np.float32)
    weights["shift"] = weights["shift"] - level
    pairs = count_pairs(used)
    return Sets(
        **weights,
        steps=np.array(taken),
        rectified=np.array(True),
        pair=pairs.pair,
        starts=pairs.starts,
        item=pairs.item,
        weight=pairs.weight,
        prior=np.array(PRIOR_OF_PAIRS, np.float32),
        share=level,
    )


def _taught(used: Matrix, seed: int, steps: int) -> Weights:
    """The weights after so many steps."""
    *_, weights = chain([_start(used, seed)], _walk(used, seed, steps))
    return weights


def _averaged(networks: Sequence[Weights]) -> Weights:
    """One network that scores as these do on average: all their hidden units, side by side."""
    part = np.float32(1 / len(networks))
    return {
        "direct": part * np.sum([one["direct"] for one in networks], axis=0),
        "inward": np.concatenate([one["inward"] for one in networks], axis=1),
        "outward": part * np.concatenate([one["outward"] for one in networks]),
        "shift": part * np.sum([one["shift"] for one in networks], axis=0),
    }


def _best(used: Matrix, seed: int, questions: Questions) -> tuple[int, Weights]:
    """After how many steps the questions are answered best, 0 where there is nothing to learn from; the weights then.

    By ranks, not by surprise: what grows too sure of itself ranks better for a while, and a blend can calm it.
    """
    enough, best = 0, _start(used, seed)
    if not used.nnz or not questions.wanted.nnz:
        return enough, best
    quality = ranking(best, questions)
    for step, weights in enumerate(_walk(used, seed, STEPS), 1):
        if step % CHECK:
            continue
        found = ranking(weights, questions)
        if found > quality:
            quality, enough, best = found, step, {name: one.copy() for name, one in weights.items()}
        elif step - enough >= PATIENCE * CHECK:
            break
    return enough, best


def ask(used: Matrix, rng: np.random.Generator) -> Questions:
    """One question for each customer, all of whom have two items or more."""
    size = np.diff(used.indptr).astype(np.int64)
    who = np.repeat(np.arange(size.size), size)
    order = np.lexsort((rng.random(who.size), who))
    place = np.arange(who.size) - used.indptr[who]
    few = GIVEN[rng.integers(0, GIVEN.size, size.size)]
    few = np.minimum(np.where(few < size, few, 2), size - 1)
    whole = rng.random(size.size) < 0.5
    known = np.where(whole, size - 1, few)
    given = np.zeros(who.size, np.bool_)
    given[order] = place < known[who]
    worth = np.where(whole, np.float32(1), np.float32(WORTH))[who]
    ones = np.ones(who.size, np.float32)
    return Questions(
        entries(used, given, ones),
        inputs_of(entries(used, given, ones)),
        entries(used, ~given, worth),
    )


def inputs_of(given: Matrix) -> Matrix:
    """What the hidden units see: the items, and the class of their number."""
    size = np.diff(given.indptr)
    class_ = np.searchsorted(SIZES, size, "right")
    rows = np.arange(size.size)
    number = sparse.csr_array((np.ones(size.size, np.float32), (rows, class_)), shape=(size.size, len(SIZES) + 1))
    return sparse.csr_array(sparse.hstack([given, number], format="csr", dtype=np.float32))


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


def _walk(used: Matrix, seed: int, steps: int) -> Iterator[Weights]:
    """The running mean of the weights after each of so many steps."""
    weights, rng = _start(used, seed), np.random.default_rng(seed)
    moments = {name: (np.zeros_like(one), np.zeros_like(one)) for name, one in weights.items()}
    mean = {name: one.copy() for name, one in weights.items()}
    for step, questions in enumerate(_batches(used, rng, steps), 1):
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


def _batches(used: Matrix, rng: np.random.Generator, steps: int) -> Iterator[Questions]:
    """So many batches; every pass over the customers asks them anew, in another order."""
    while steps > 0 and used.shape[0]:
        questions = ask(used, rng)
        order = rng.permutation(used.shape[0])
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
