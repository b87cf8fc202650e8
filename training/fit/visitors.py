"""Fits what ranks a small catalogue for visitors never seen, where the log says who used what but not when.

Customers are held out whole. The sources are fitted on the others and asked what completes the held-out customers'
sets; the blend is the one under which that was most probable, among all items that were not given.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from recommender.history import Context, History, Items, Query
from recommender.model import column_names
from recommender.ranker import POPULAR, ROWS, Ranker, situation
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.sources.sets import Sets
from recommender.sources.usage import Matrix
from recommender.types import BoolArray, FloatArray, IntArray
from training.dataset import Log
from training.fit.attributes import fit_attributes
from training.fit.ease import climb, fit_ease, penalty_in, scores_of
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.own import fit_own
from training.fit.popularity import fit_popularity
from training.fit.sets import Questions, ask, fit_sets
from training.fit.text import fit_text

FEW_ITEMS = 2_000
"""The largest catalogue that is small: `sets` keeps a weight for each pair of items, and asks every item at each step.
At 2,000 items that is 16 MB and some minutes; both grow with the square."""

FEW_CUSTOMERS = 200
"""Customers with two items or more, below which there is too little to hold out whole customers from."""

HELD_OUT = 0.2
"""The share of customers by whom the blend is learned."""

CELLS = 2_000_000
"""Questions times items; more questions would not change the weights, only the time."""

WHOLE = (POPULAR, "sets.sets")
"""Columns that count 1 before anything is learned: what the second says of a set is a difference to the first."""

PRIOR, ROW_PRIOR = 0.25, 2.5
"""How much evidence it takes to move a weight, and one that holds for some lengths of history alone: in shares of that

of all questions, so that it stays what it is however many there are. Drawn to 0 instead, by 10 and 100 questions' worth
of a log of 285 items, the other columns lost .03 and .08 of the rank score, all but one, on two slices held out.
"""

LEAST = 0.1
"""The weight of attributes, over the greatest weight, at least."""

LENGTH = 2
"""Where `situation` says how much is known of a customer, which is all of a situation that such a log can teach."""


def suits(counts: Matrix) -> bool:
    """Whether a log is fitted this way. counts: customers x items."""
    return counts.shape[1] <= FEW_ITEMS and int(np.count_nonzero(np.diff(counts.indptr) > 1)) >= FEW_CUSTOMERS


def fit_visitors(log: Log, items: Items, settings: Training) -> tuple[tuple[Source, ...], Ranker]:
    """The published sources, fitted on everybody, and their ranker."""
    held = np.random.default_rng(settings.seed).random(log.customers) < HELD_OUT
    others = log.select(~held[log.who])
    counts = user_items(log.select(held[log.who]), items)
    several = counts[np.flatnonzero(np.diff(counts.indptr) > 1)]
    questions = _questions(several, settings.seed)
    penalty = _penalty(weights_of(user_items(others, items)), questions)
    earlier = fit_visitor_sources(others, items, settings, penalty, questions)
    ranker = _reachable(_blend(earlier, items, questions))
    return refit_visitors(earlier, log, items, settings), ranker


def _reachable(ranker: Ranker) -> Ranker:
    """The same, but attributes always count a little: they alone know what is new."""
    weights = ranker.weights.copy()
    at = np.char.startswith(ranker.columns, "attributes.")
    least = LEAST * weights[0].max(initial=0)
    weights[0, at] = np.maximum(weights[0, at], least)
    weights[1:, at] = np.maximum(weights[1:, at], least - weights[0, at])
    return replace(ranker, weights=weights)


def refit_visitors(sources: Sequence[Source], log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """The same sources, as these were fitted, on another log."""
    steps = next(int(source.steps) for source in sources if isinstance(source, Sets))
    return fit_visitor_sources(log, items, settings, penalty_in(sources), steps)


def fit_visitor_sources(
    log: Log, items: Items, settings: Training, penalty: float, steps: int | Questions
) -> tuple[Source, ...]:
    """penalty: of EASE. steps: of the sets, or the questions that say when it is enough."""
    counts = user_items(log, items)
    weights = weights_of(counts)
    return (
        fit_popularity(log, items),
        fit_neighbours(weights, NeighbourSettings.of(settings), settings.threads),
        fit_ease(weights, penalty),
        fit_sets(counts, settings.seed, steps),
        fit_attributes(counts, items),
        *([fit_text(items)] if items.pieces.size else []),
        *fit_own(log, items, settings),
    )


def _questions(counts: Matrix, seed: int) -> Questions:
    """One for each customer, as many as the catalogue allows."""
    rng = np.random.default_rng(seed)
    many = rng.permutation(counts.shape[0])[: max(CELLS // max(counts.shape[1], 1), 1)]
    used = counts[np.sort(many)]
    used.data = np.ones_like(used.data)
    return ask(used, rng)


def _penalty(weights: Matrix, questions: Questions) -> float:
    """The one under which what was asked for stood nearest the top, by the mean of 1 / rank."""
    wanted, given = questions.wanted.tocoo(), questions.given

    def quality(penalty: float) -> float:
        score = scores_of(fit_ease(weights, penalty), given)
        rank = (score[wanted.row] >= score[wanted.row, wanted.col][:, None]).sum(axis=1)
        return float((wanted.data / rank).sum())

    return climb(quality)


def _blend(sources: Sequence[Source], items: Items, questions: Questions) -> Ranker:
    """The weights, by how much is known of a visitor, under which what was asked for was most probable."""
    columns = column_names(sources)
    queries = [
        known_by(items, row) for row in np.split(questions.given.indices.astype(np.int64), questions.given.indptr[1:-1])
    ]
    values = _values(sources, queries, items.codes.size)
    scale = np.maximum(values.std(axis=(0, 2), dtype=np.float64), 1e-3)
    values /= scale.astype(np.float32)[:, None]
    rows = np.array([situation(query)[[0, LENGTH]] for query in queries], np.int64).reshape(-1, 2)
    strength = np.full((ROWS, 1), ROW_PRIOR * len(queries))
    strength[0] = PRIOR * len(queries)
    centre = np.zeros((ROWS, len(columns)))
    centre[0] = np.isin(columns, WHOLE) * scale
    given: BoolArray = questions.given.toarray() > 0
    wanted = questions.wanted.toarray()
    worth = wanted.sum(axis=1, keepdims=True)

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weights = flat.reshape(ROWS, -1)
        score = np.einsum("nc,nci->ni", weights[rows].sum(axis=1).astype(np.float32), values)
        score[given] = -np.inf
        peak = score.max(axis=1, keepdims=True)
        odds = np.exp(score - peak)
        sums = odds.sum(axis=1, keepdims=True)
        surprise = float((worth * (np.log(sums) + peak)).sum()) - float(wanted[~given] @ score[~given])
        excess = worth * odds / sums - wanted
        off = weights - centre
        slope = strength * off
        for row in rows.T:
            np.add.at(slope, row, np.einsum("ni,nci->nc", excess, values))
        return surprise + 0.5 * float((strength * off**2).sum()), slope.ravel()

    found = minimize(loss, centre.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return Ranker(columns, (found.x.reshape(ROWS, -1) / scale).astype(np.float32))


def _values(sources: Sequence[Source], queries: Sequence[Query], size: int) -> FloatArray:
    """Shape (questions, columns, items): what the sources say."""
    answers = [source.score(queries) for source in sources]
    return np.stack([np.concatenate([part.dense(size) for part in parts]) for parts in zip(*answers, strict=True)])


def known_by(items: Items, used: IntArray) -> Query:
    """The question of somebody who used these items, at no time in particular."""
    then, nothing = np.zeros_like(used), np.zeros(0, np.int64)
    return Query(items, History(used, then, then, then, nothing, nothing), Context(now=0))
