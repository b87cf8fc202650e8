"""Fits what ranks content: the sources on everything, and their blend on slices held out of the same log."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recommender.history import Context, Items, Query, history_of
from recommender.ranker import POPULAR, Ranker
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.types import BoolArray, IntArray, is_use
from training.dataset import Log
from training.fit.attributes import fit_attributes
from training.fit.blend import Pool, fit_blend, pool_of
from training.fit.ease import fit_ease, penalty_in, penalty_of
from training.fit.factors import FactorSettings, fit_factors
from training.fit.graph import GraphSettings, fit_graph
from training.fit.matrix import entries, user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.own import fit_own
from training.fit.popularity import fit_popularity
from training.fit.slices import hold_out
from training.fit.text import fit_text

JUDGES = 3_000
"""Customers of a slice; more would not change the weights, only the time."""

SLICES = 2
"""Each costs a fit of all sources."""

INVERTED = 10_000
"""Items up to which EASE inverts a matrix over them: 26 s each time, and 4 s over half as many."""

CROWD = 20
"""Customers below which, where a clock tells what each does next, there are no factors: all items that a few used have
one and the same, and an item that none of them had used by then is unlike all others, for better or worse. Of a single
user's 2,500 commands the next one's reciprocal rank was .31 with factors and .60 without; coarser units for columns
that hardly vary did not help."""

MANY = 500
"""Items from which on a graph is filtered; fewer have hardly a fine grain, and neighbours tell them apart as well."""


def fit_content(log: Log, items: Items, settings: Training) -> tuple[tuple[Source, ...], Ranker]:
    """The published sources, and their ranker for pages that leave out what was used, unless everybody only repeats."""
    few = items.codes.size <= INVERTED
    penalty = penalty_of(weights_of(user_items(log, items)), settings.seed) if few else 0.0
    pools = [_asked_back(log, settings.seed + number, items, settings, penalty) for number in range(SLICES)]
    published = fit_linear(log, items, settings, penalty)
    return published, seeking_novelty(fit_blend(published, pools), settings.novelty)


def _asked_back(log: Log, seed: int, items: Items, settings: Training, penalty: float) -> Pool:
    held = hold_out(log, seed)
    earlier = fit_linear(log.select(~held), items, settings, penalty)
    pool = ask_back(log, held, items, earlier, settings.seed, hide_used=True)
    return pool if pool.best.size else ask_back(log, held, items, earlier, settings.seed, hide_used=False)


def seeking_novelty(ranker: Ranker, novelty: float) -> Ranker:
    """The same with this much of an item's log-share of all uses taken off its score, which is a log-probability too:

    at 1 what counts is how much likelier the customer uses it than anybody does.
    """
    if not novelty or POPULAR not in ranker.columns:
        return ranker
    weights = ranker.weights.copy()
    weights[0, ranker.columns.index(POPULAR)] -= novelty
    return replace(ranker, weights=weights)


def refit_content(sources: Sequence[Source], log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """The same sources, as these were fitted, on another log."""
    return fit_linear(log, items, settings, penalty_in(sources))


def fit_linear(
    log: Log, items: Items, settings: Training, penalty: float = 0, *, clocked: bool = False
) -> tuple[Source, ...]:
    """The sources that learn from who used what, whatever the order.

    penalty: of EASE; 0 leaves it out, where a clock tells more: beside habit, trend and repeats it moved NDCG@20 by
    less than .003, up or down, on three logs. clocked: factors then learn nothing of a few customers, see CROWD.
    """
    counts = user_items(log, items)
    weights = weights_of(counts)
    several = weights
    if clocked and np.count_nonzero(np.diff(counts.indptr)) < CROWD:
        several = entries(weights, np.zeros(weights.nnz, np.bool_), weights.data)
    return (
        fit_popularity(log, items),
        fit_neighbours(weights, NeighbourSettings.of(settings), settings.threads),
        fit_factors(several, FactorSettings.of(settings, several), threads=settings.threads),
        *([fit_graph(weights, GraphSettings.of(settings), settings.threads)] if items.codes.size >= MANY else []),
        *([fit_ease(weights, penalty)] if penalty else []),
        fit_attributes(counts, items),
        *([fit_text(items)] if items.pieces.size else []),
        *fit_own(log, items, settings),
    )


def ask_back(log: Log, held: BoolArray, items: Items, sources: Sequence[Source], seed: int, *, hide_used: bool) -> Pool:
    """What the sources, fitted on the rest, say to customers of whom some events are held out."""
    kept = log.select(~held)
    wanted = held & is_use(log.events["type"])
    asked = np.flatnonzero((np.bincount(log.who[wanted], minlength=log.customers) > 0) & (np.diff(kept.starts) > 0))
    asked = np.sort(np.random.default_rng(seed).permutation(asked)[:JUDGES])
    queries = [closing_question(kept, items, customer) for customer in asked.tolist()]
    rights = [_wanted(log, wanted, items, customer) for customer in asked.tolist()]
    return pool_of(sources, queries, rights, hide_used=hide_used)


def closing_question(log: Log, items: Items, customer: int) -> Query:
    """What this customer would be answered at the end of the log."""
    history = history_of(log.profile(customer), items)
    return Query(items, history, Context(now=log.span[1] if history.item.size == 0 else int(history.time[-1])))


def _wanted(log: Log, wanted: BoolArray, items: Items, customer: int) -> IntArray:
    part = slice(log.starts[customer], log.starts[customer + 1])
    position = items.positions(log.events["item"][part][wanted[part]])
    return np.unique(position[position >= 0])
