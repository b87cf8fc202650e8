"""Fits all that ranks one kind of items: the sources on a log, and their blend on what came next in it."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from recommender.counting import Counting
from recommender.history import Items, counted
from recommender.model import KindModel, by_habit, column_names, weights_by_hand
from recommender.ranker import Ranker
from recommender.settings import LEARNED, Training
from recommender.sources.base import Source
from recommender.sources.habit import Habit
from recommender.sources.popularity import Popularity
from recommender.sources.repeats import Repeats
from recommender.sources.sets import Sets
from recommender.sources.transitions import Transitions
from recommender.types import DAY, BoolArray, Kind, code32, is_use
from training.dataset import Log
from training.fit.content import fit_content, fit_linear, refit_content, seeking_novelty
from training.fit.matrix import user_items
from training.fit.pages import fit_pages
from training.fit.popularity import fit_popularity, fit_trend
from training.fit.ranker import fit_ranker
from training.fit.repeats import fit_repeats
from training.fit.slices import hold_out
from training.fit.text import reach_new
from training.fit.transitions import fit_transitions
from training.fit.visitors import fit_visitors, refit_visitors, suits

VALIDATION = 0.2
"""The newest share of a log, on whose steps the blend is learned."""

ENOUGH = 50
"""Uses of a kind, below which a blend would be learned from noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is to be ranked, and for what: one kind's items and a log."""

    kind: Kind
    items: Items
    log: Log

    def earlier(self, chosen: BoolArray) -> "Subject":
        """The same with only the chosen events."""
        return Subject(self.kind, self.items, self.log.select(chosen))

    @property
    def uses(self) -> BoolArray:
        """Shape (n,): which events are uses of these items."""
        events = self.log.events
        return (self.items.positions(events["item"]) >= 0) & is_use(events["type"])

    @property
    def clocked(self) -> bool:
        """Whether the log knows what came before what; without a clock only who used what can be learned."""
        time = self.log.events["time"][self.uses]
        return bool(time.size) and bool(time.max() - time.min() >= DAY)


def fit_kind(subject: Subject, settings: Training) -> KindModel:
    """The sources fitted on the whole log, blended by weights learned on its newest part.

    Content is blended for pages, features for what is used next (see `fit_pages`
    and `fit_ranker`). For those weights the sources are fitted on older parts
    alone, so that they are judged on what they have not seen.
    """
    if np.count_nonzero(subject.uses) < ENOUGH:
        return fit_by_habit(subject)
    if not subject.clocked:
        return _fit_unordered(subject, settings)
    log, items = subject.log, subject.items
    if subject.kind is Kind.CONTENT:
        items = counted(items, counting_of(settings))
        fit = partial(fit_page_sources, items=items, settings=settings)
        sources, ranker = fit_pages(log, items, fit, settings.seed)
        ranker = reach_new(seeking_novelty(ranker, settings.novelty))
        return KindModel(items.codes, items.ids, sources, ranker, items.counting)
    ranker = fit_ranker(log, items, partial(fit_sources, items=items, settings=settings), seed=settings.seed)
    sources = fit_sources(log, items, settings)
    return KindModel(items.codes, items.ids, sources, reach_new(ranker))


def _fit_unordered(subject: Subject, settings: Training) -> KindModel:
    """A blend learned from who used what: content for pages, a small catalogue of features for what completes a set.

    Features also get habit by hand, which such a log cannot teach: customers come back to what they use, and their
    events have a clock once Murmeli serves.
    """
    few = subject.kind is Kind.FEATURE and suits(user_items(subject.log, subject.items))
    sources, ranker = (fit_visitors if few else fit_content)(subject.log, subject.items, settings)
    if subject.kind is Kind.FEATURE:
        habit = Habit()
        by_hand = np.zeros((ranker.weights.shape[0], len(habit.columns)), np.float32)
        by_hand[:1] = weights_by_hand([habit])
        weights = np.concatenate([by_hand, ranker.weights], axis=1)
        growth = ranker.growth
        if growth is not None:
            growth = replace(growth, slope=np.concatenate([np.zeros(len(habit.columns), np.float32), growth.slope]))
        sources = (habit, *sources)
        ranker = Ranker((*column_names([habit]), *ranker.columns), weights, growth=growth)
    return KindModel(subject.items.codes, subject.items.ids, sources, reach_new(ranker))


def counting_of(settings: Training) -> Counting | None:
    """How much a use counts by these settings, what is to be learned taken as all alike; None where all count alike."""
    weights = {} if settings.type_weights == LEARNED else settings.type_weights
    half_life = 0.0 if settings.half_life == LEARNED else settings.half_life
    if not half_life and all(weight == 1 for weight in weights.values()):
        return None
    listed = sorted((code32(name), weight) for name, weight in weights.items())
    return Counting(
        np.array([code for code, _ in listed], np.int64),
        np.array([weight for _, weight in listed], np.float32),
        np.array(half_life, np.float32),
    )


def fit_by_habit(subject: Subject) -> KindModel:
    """Habit and popularity, blended by hand: where there is too little to learn from."""
    return by_habit(subject.items.codes, subject.items.ids, fit_popularity(subject.log, subject.items))


def refit(model: KindModel, subject: Subject, settings: Training) -> KindModel:
    """The same blend over the same sources, these fitted anew on another log."""
    log, items = subject.log, counted(subject.items, model.counting)
    names = {source.name for source in model.sources}
    if names == {Habit.name, Popularity.name}:
        return fit_by_habit(subject)
    if Repeats.name in names:
        return replace(model, codes=items.codes, ids=items.ids, sources=fit_page_sources(log, items, settings))
    if Transitions.name in names:
        return replace(model, codes=items.codes, ids=items.ids, sources=fit_sources(log, items, settings))
    habit = [Habit()] if Habit.name in names else []
    again = refit_visitors if Sets.name in names else refit_content
    anew = again(model.sources, log, items, settings)
    return replace(model, codes=items.codes, ids=items.ids, sources=(*habit, *anew))


def fit_sources(log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """Every source, for a log that has a clock."""
    return (Habit(), fit_transitions(log, items), *fit_linear(log, items, settings, clocked=True))


def fit_page_sources(log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """Every source for content with a clock: what is popular now and what is due again as well."""
    return (*fit_sources(log, items, settings), fit_trend(log, items), fit_repeats(log, items))


def newest(subject: Subject, share: float) -> int:
    """The instant at which the newest share of the uses begins."""
    return int(np.quantile(subject.log.events["time"][subject.uses], 1 - share))


def held_back(subject: Subject, share: float, seed: int) -> BoolArray:
    """Shape (n,): the events to judge by: the newest uses where there is a clock, else drawn per customer."""
    uses = subject.uses
    if not uses.any():
        return uses
    if subject.clocked:
        return uses & (subject.log.events["time"] >= newest(subject, share))
    return uses & hold_out(subject.log, seed)
