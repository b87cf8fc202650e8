"""The candidate sources: popularity, habit, transitions, neighbours, factors, attributes."""

from recommender.sources.attributes import Attributes
from recommender.sources.base import Source
from recommender.sources.factors import Factors
from recommender.sources.habit import Habit
from recommender.sources.neighbours import Neighbours
from recommender.sources.popularity import Popularity
from recommender.sources.transitions import Transitions

_ALL: tuple[type[Source], ...] = (Habit, Transitions, Popularity, Neighbours, Factors, Attributes)

SOURCES = {source.name: source for source in _ALL}
"""Every source by the name that a manifest has for it."""
