"""What is told of an item is said in words, and only where the events bear it out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recommender.catalogue import Catalogue
from recommender.history import Context
from recommender.model import KindModel, column_names
from recommender.profile import Profile
from recommender.ranker import Ranker
from recommender.ranking import Ranking, rank
from recommender.sources.base import Source
from recommender.sources.habit import Habit
from recommender.sources.neighbours import Neighbours
from recommender.sources.popularity import Popularity
from recommender.sources.transitions import Transitions
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, HOUR, Kind, code32, codes64
from recommender.words import why
from tests.contracts.worlds import Event, profile_of

MONDAY = 4 * DAY  # 1970-01-05
NAMES = ("bills", "cards", "loan")


def ranking_of(source: Source, column: str, profile: Profile, now: int, channel: str = "") -> Ranking:
    """A ranking in which one column of one source is all that counts."""
    store = MemoryStore(())
    store.items.put([Item(name, Kind.FEATURE, title=name.title()) for name in NAMES])
    columns = column_names([source])
    weights = np.array([[one == f"{source.name}.{column}" for one in columns]], np.float32)
    codes = np.sort(codes64(NAMES))
    ids = sorted(NAMES, key=lambda name: int(codes64([name])[0]))
    part = KindModel(codes, ids, (source,), Ranker(columns, weights))
    shelf = Catalogue(store.items, {Kind.FEATURE: (codes, ids)}).shelf(Kind.FEATURE)
    said: dict[str, str | float | bool] = {"channel": channel}
    return rank(shelf, part, profile, Context(now, 0, code32(channel), said))


def told(ranking: Ranking, item: str) -> str:
    at = int(ranking.shelf.items.positions(codes64([item]))[0])
    return why(ranking, 0, at, Kind.FEATURE, lambda id_: id_.title())


def uses(*events: tuple[str, int]) -> Profile:
    made = [Event("crm:1", f"e{n}", time, item, channel="web") for n, (item, time) in enumerate(events)]
    return replace_zone(profile_of(made))


def replace_zone(profile: Profile) -> Profile:
    events = profile.events.copy()
    events["zone"] = 0
    return replace(profile, events=events)


def mornings(item: str, days: Sequence[int]) -> list[tuple[str, int]]:
    return [(item, MONDAY + day * DAY + 8 * HOUR) for day in days]


@pytest.mark.parametrize(
    ("column", "now", "said"),
    [
        ("time-of-day", MONDAY + 9 * HOUR, "You use this most on weekday mornings."),
        ("time-of-day", MONDAY + 21 * HOUR, "You use this often."),
        ("time-of-week", MONDAY + 12 * DAY + 9 * HOUR, "You use this often."),
        ("uses-32", MONDAY + 9 * HOUR, "You use this often."),
        ("uses-1", MONDAY + 9 * HOUR, "You used this lately."),
    ],
)
def test_a_habit_is_told_as_the_customer_has_it(column: str, now: int, said: str) -> None:
    profile = uses(*mornings("bills", [0, 1, 2, 3]))
    assert told(ranking_of(Habit(), column, profile, now + 7 * DAY), "bills") == said


def test_a_habit_of_a_channel_names_it() -> None:
    profile = uses(*mornings("bills", [0, 1, 2, 3]))
    assert told(ranking_of(Habit(), "channel", profile, MONDAY, "web"), "bills") == "You use this most on web."


def test_a_single_use_is_no_habit() -> None:
    profile = uses(("bills", MONDAY))
    assert told(ranking_of(Habit(), "uses-32", profile, MONDAY + DAY), "bills") == "You used this before."


def test_ones_own_next_step_and_that_of_others_are_told_apart() -> None:
    none = np.zeros(0, np.int64)
    own = Transitions(none, np.zeros(1, np.int64), none, np.zeros(0, np.float32))
    round_ = [(item, MONDAY + n * HOUR) for n, item in enumerate(["cards", "bills"] * 3 + ["cards"])]
    column = "order-1-cautious-64"
    often, once = (ranking_of(own, column, uses(*round_[:steps]), MONDAY + DAY) for steps in (7, 3))
    assert told(often, "bills") == "You often use this after Cards."
    assert told(once, "bills") == "You used this after Cards before."
    at = {name: place for place, name in enumerate(sorted(NAMES, key=lambda name: int(codes64([name])[0])))}
    table = np.array([at["cards"]]), np.array([0, 1]), np.array([at["loan"]]), np.array([1.0], np.float32)
    ranking = ranking_of(Transitions(*table), "others-1", uses(*round_), MONDAY + DAY)
    assert told(ranking, "loan") == "Often used after Cards."


def test_what_goes_together_names_the_item_that_tells() -> None:
    at = sorted(NAMES, key=lambda name: int(codes64([name])[0])).index
    starts = np.zeros(4, np.int64)
    starts[at("cards") + 1 :] = 1
    source = Neighbours(starts, np.array([at("loan")]), np.array([1.0], np.float32))
    ranking = ranking_of(source, "neighbours", uses(("bills", MONDAY), ("cards", MONDAY + 1)), MONDAY + DAY)
    assert told(ranking, "loan") == "Often used together with Cards."
    assert told(ranking, "bills") == "Fits what you use."


def test_popularity_is_told_of_everybody() -> None:
    popularity = Popularity(np.zeros(3, np.float32), np.array(-1, np.float32))
    assert told(ranking_of(popularity, "popularity", uses(), MONDAY), "loan") == "Popular with everybody."
