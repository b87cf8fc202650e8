"""The candidate sources, by the name that a manifest has for each."""

from recommender.sources.attributes import Attributes
from recommender.sources.base import Source
from recommender.sources.ease import Ease
from recommender.sources.factors import Factors
from recommender.sources.graph import Graph
from recommender.sources.habit import Habit
from recommender.sources.neighbours import Neighbours
from recommender.sources.popularity import Popularity
from recommender.sources.repeats import Repeats
from recommender.sources.sets import Sets
from recommender.sources.text import Text
from recommender.sources.transitions import Transitions
from recommender.sources.trend import Trend

_ALL: tuple[type[Source], ...] = (
    Habit,
    Transitions,
    Popularity,
    Neighbours,
    Ease,
    Sets,
    Factors,
    Graph,
    Attributes,
    Text,
    Trend,
    Repeats,
)

SOURCES = {source.name: source for source in _ALL}
"""Every source by the name that a manifest has for it."""
