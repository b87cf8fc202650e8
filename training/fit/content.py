"""Fits what ranks content: the sources on everything, and their blend on slices held out of the same log."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recommender.history import Context, Items, Query, history_of
from recommender.ranker import Ranker
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.types import BoolArray, IntArray, is_use
from training.dataset import Log
from training.fit.attributes import fit_attributes
from training.fit.blend import Pool, fit_blend, pool_of
from training.fit.factors import FactorSettings, fit_factors
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.own import fit_own
from training.fit.popularity import fit_popularity

HELD_OUT = 0.2
"""The share of events that a slice asks back."""

JUDGES = 4_000
"""Customers of a slice; more would not change the weights, only the time."""

FLATTERY = 0.25
"""A hit counts its item's uses to minus this power: random slices flatter what is popular."""

LEAST = 0.1
"""The weight of attributes, over the greatest weight, at least."""


def fit_content(log: Log, items: Items, settings: Training) -> tuple[tuple[Source, ...], Ranker]:
    """The published sources, and their ranker for pages that leave out what was used, unless everybody only repeats."""
    held = hold_out(log, settings.seed)
    earlier = fit_linear(log.select(~held), items, settings)
    pool = ask_back(log, held, items, earlier, settings.seed, hide_used=True)
    if not pool.best.size:
        pool = ask_back(log, held, items, earlier, settings.seed, hide_used=False)
    ranker = fit_blend(earlier, [pool])
    return fit_linear(log, items, settings), _reachable(ranker)


def _reachable(ranker: Ranker) -> Ranker:
    """No held-out customer can ask for what nobody used yet, so attributes count a little whatever was learned."""
    least = np.where(np.char.startswith(ranker.columns, "attributes."), LEAST * ranker.weights.max(initial=0), -np.inf)
    return replace(ranker, weights=np.maximum(ranker.weights, least).astype(np.float32))


def fit_linear(log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """The sources that learn from who used what, whatever the order."""
    counts = user_items(log, items)
    weights = weights_of(counts)
    return (
        fit_popularity(log, items),
        fit_neighbours(weights, NeighbourSettings.of(settings), settings.threads),
        fit_factors(weights, FactorSettings.of(settings), threads=settings.threads),
        fit_attributes(counts, items),
        *fit_own(log, items, settings),
    )


def hold_out(log: Log, seed: int) -> BoolArray:
    """Which events to ask back of a log without a clock: drawn at random."""
    return np.random.default_rng(seed).random(log.events.size) < HELD_OUT


def ask_back(log: Log, held: BoolArray, items: Items, sources: Sequence[Source], seed: int, *, hide_used: bool) -> Pool:
    """What the sources, fitted on the rest, say to customers of whom some events are held out."""
    kept = log.select(~held)
    wanted = held & is_use(log.events["type"])
    asked = np.flatnonzero((np.bincount(log.who[wanted], minlength=log.customers) > 0) & (np.diff(kept.starts) > 0))
    asked = np.sort(np.random.default_rng(seed).permutation(asked)[:JUDGES])
    queries = [closing_question(kept, items, customer) for customer in asked.tolist()]
    rights = [_wanted(log, wanted, items, customer) for customer in asked.tolist()]
    used = kept.events["item"][is_use(kept.events["type"])]
    uses = np.bincount(items.positions(used) + 1, minlength=items.codes.size + 1)[1:]
    worth = (np.maximum(uses, 1) ** -FLATTERY).astype(np.float32)
    return pool_of(sources, queries, rights, worth, hide_used=hide_used)


def closing_question(log: Log, items: Items, customer: int) -> Query:
    """What this customer would be answered at the end of the log."""
    history = history_of(log.profile(customer), items)
    return Query(items, history, Context(now=log.span[1] if history.item.size == 0 else int(history.time[-1])))


def _wanted(log: Log, wanted: BoolArray, items: Items, customer: int) -> IntArray:
    part = slice(log.starts[customer], log.starts[customer + 1])
    position = items.positions(log.events["item"][part][wanted[part]])
    return np.unique(position[position >= 0])
