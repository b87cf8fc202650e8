"""Pages of content in small worlds: what is due again, what is never taken twice, what everybody wants now."""

from itertools import pairwise

import numpy as np
import pytest

from recommender.history import Context, Items, Query, history_of
from recommender.model import KindModel
from recommender.settings import Training
from recommender.sources.base import to_arrays
from recommender.sources.habit import VISIT
from recommender.sources.repeats import FAINT, PRIOR_AGAIN, PRIOR_USES, PRIOR_VISITS, Repeats, meetings
from recommender.types import DAY, EVENT, MINUTE, PURCHASE, FloatArray, Kind, codes64
from training.dataset import Log, items_of, log_of
from training.fit.kind import Subject, fit_kind, fit_page_sources, refit
from training.fit.pages import WINDOWS, windows
from training.fit.popularity import PRIOR, fit_trend
from training.fit.repeats import MONTH, PRIOR_PAUSES, PRIOR_USERS, fit_repeats

SETTINGS = Training(factors=2, iterations=2, threads=1)
Row = tuple[int, str, float]
"""A customer, an item, a day."""


def log_of_days(rows: list[Row]) -> Log:
    events = np.zeros(len(rows), EVENT)
    events["item"] = codes64([item for _, item, _ in rows])
    events["time"] = [round(day * DAY) for _, _, day in rows]
    events["key"], events["type"] = np.arange(len(rows)) + 1, PURCHASE
    return log_of(np.array([customer for customer, _, _ in rows]), events)


def subject_of(rows: list[Row]) -> Subject:
    return Subject(Kind.CONTENT, items_of(sorted({item for _, item, _ in rows})), log_of_days(rows))


def asked(subject: Subject, customer: int, day: float) -> Query:
    past = subject.log.prefix(customer, int(np.diff(subject.log.starts)[customer]))
    return Query(subject.items, history_of(past, subject.items), Context(round(day * DAY)))


def page(model: KindModel, query: Query) -> list[str]:
    """All items, best first."""
    score = model.ranker.blend(query, [source.score([query])[0] for source in model.sources])
    return [query.items.ids[at] for at in np.argsort(-score, kind="stable")]


def column(source: Repeats, name: str, query: Query) -> dict[str, float]:
    found = source.score([query])[0]
    assert found.at is not None
    row: FloatArray = found.values[source.columns.index(name)]
    return {query.items.ids[at]: float(value) for at, value in zip(found.at.tolist(), row, strict=True)}


# What is learned.


def test_where_everybody_takes_their_things_again_after_a_week_the_due_one_is_first() -> None:
    """Each of five things of one's own on its own day of the week; the page is for the day after the last."""
    things = [f"thing-{number}" for number in range(12)]
    rows = [
        (customer, things[(customer + day % 7) % 12], float(day))
        for customer in range(40)
        for day in range(90)
        if day % 7 < 5
    ]
    subject = subject_of(rows)
    model = fit_kind(subject, SETTINGS)
    best = [page(model, asked(subject, customer, 91))[0] for customer in range(40)]
    due = [things[customer % 12] for customer in range(40)]
    assert np.mean([a == b for a, b in zip(best, due, strict=True)]) > 0.9


def test_where_nothing_is_taken_twice_what_was_taken_comes_last_though_nobody_said_so() -> None:
    draw = np.random.default_rng(3)
    rows = [
        (customer, f"book-{book}", float(day))
        for customer in range(60)
        for day, book in zip(np.sort(draw.choice(100, 12, replace=False)), draw.permutation(30)[:12], strict=True)
    ]
    subject = subject_of(rows)
    model = fit_kind(subject, SETTINGS)
    for customer in range(60):
        read = {name for who, name, _ in rows if who == customer}
        assert len(read & set(page(model, asked(subject, customer, 101))[:10])) <= 1


def test_where_tastes_change_with_the_season_what_is_wanted_now_comes_first() -> None:
    draw = np.random.default_rng(4)
    rows = [
        (customer, f"season-{day // 15}-{draw.integers(0, 4)}", float(day))
        for customer in range(80)
        for day in np.sort(draw.choice(120, 8, replace=False)).tolist()
    ]
    subject = subject_of(rows)
    model = fit_kind(subject, SETTINGS)
    first = [page(model, asked(subject, customer, 120))[:4] for customer in range(80)]
    now = [name.startswith("season-7") for names in first for name in names]
    assert np.mean(now) > 0.8


@pytest.mark.parametrize(
    "rows",
    [
        [(0, f"item-{day % 3}", float(day)) for day in range(60)],
        [(customer, "always", float(day)) for customer in range(5) for day in range(15)],
        [(customer, f"item-{customer % 4}", 0.1 * customer) for customer in range(60)] + [(0, "item-0", 300.0)],
        [(customer, f"item-{customer}", float(customer)) for customer in range(60)],
    ],
    ids=["one customer", "one item", "empty windows", "strangers alone"],
)
def test_a_thin_world_is_no_error(rows: list[Row]) -> None:
    subject = subject_of(rows)
    model = fit_kind(subject, SETTINGS)
    query = asked(subject, 0, 301)
    score = model.ranker.blend(query, [source.score([query])[0] for source in model.sources])
    assert np.isfinite(score).all()


def test_the_same_log_gives_the_same_model_and_another_fit_keeps_its_blend() -> None:
    rows = [(customer, f"item-{(customer + day) % 7}", float(day)) for customer in range(20) for day in range(40)]
    subject = subject_of(rows)
    first, second = fit_kind(subject, SETTINGS), fit_kind(subject, SETTINGS)
    assert first.ranker.weights.tobytes() == second.ranker.weights.tobytes()
    for one, other in zip(first.sources, second.sources, strict=True):
        assert all(array.tobytes() == to_arrays(other)[name].tobytes() for name, array in to_arrays(one).items())
    again = refit(first, subject_of(rows[:400]), SETTINGS)
    assert [source.name for source in again.sources] == [source.name for source in first.sources]
    assert again.ranker is first.ranker


# When it is asked.


def test_windows_lie_end_to_end_and_are_as_long_as_the_newest_uses_took() -> None:
    subject = subject_of([(0, "item", float(day)) for day in range(201)])
    found = windows(subject.log, subject.items)
    assert len(found) == WINDOWS
    assert found[0].until == 200 * DAY + 1
    assert all(newer.since == older.until for newer, older in pairwise(found))
    assert (found[0].until - found[0].since) / DAY == pytest.approx(40, abs=0.1)


def test_windows_are_a_week_at_least_and_two_months_at_most_and_a_fifth_of_the_log_at_most() -> None:
    quick = subject_of([(0, "item", 0.0), *((0, "item", 100 + hour / 24) for hour in range(48))])
    slow = subject_of([(0, "item", float(day)) for day in range(0, 2000, 10)])
    short = subject_of([(0, "item", float(day)) for day in range(11)])
    lengths = [
        (found.until - found.since) / DAY
        for found in (windows(world.log, world.items)[0] for world in (quick, slow, short))
    ]
    assert lengths == pytest.approx([7, 60, 2], abs=0.01)


# What is due again.

UNEVEN: list[Row] = [
    *((0, "bread", day) for day in (0, 7, 14.5, 21)),
    (0, "cake", 0.01),
    (0, "cake", 0.02),
    (1, "bread", 3),
    (1, "bread", 3.01),
    (1, "tea", 3.02),
    (2, "tea", 5),
    (2, "tea", 65),
]


def test_a_pause_of_half_an_hour_ends_a_visit_and_an_item_counts_once_in_one() -> None:
    time = np.array([0, 10 * MINUTE, 20 * MINUTE, 20 * MINUTE + VISIT, 20 * MINUTE + 2 * VISIT + 1])
    met = meetings(np.array([1, 0, 1, 1, 0]), time)
    assert met.place.tolist() == [0, 0, 1]
    assert met.visit.tolist() == [0, 1, 0]
    assert met.time.tolist() == [time[1], time[4], time[0]]


def test_whether_and_when_others_come_back_is_counted_once_a_customer() -> None:
    subject = subject_of([*UNEVEN, (3, "bread", 1)])
    found = fit_repeats(subject.log, subject.items)
    pairs: dict[tuple[int, str], list[float]] = {}
    for customer, item, day in sorted([*UNEVEN, (3, "bread", 1.0)], key=lambda row: row[2]):
        pairs.setdefault((customer, item), []).append(day)
    pauses = {pair: [b - a for a, b in pairwise(found) if b - a > VISIT / DAY] for pair, found in pairs.items()}
    everybody = (sum(map(bool, pauses.values())) + 0.5) / (len(pairs) + 1)
    usual = np.mean([np.log(pause) for found in pauses.values() for pause in found])
    for at, name in enumerate(subject.items.ids):
        own = [found for (_, item), found in pauses.items() if item == name]
        share = (sum(map(bool, own)) + PRIOR_USERS * everybody) / (len(own) + PRIOR_USERS)
        logs = [np.log(pause) for found in own for pause in found]
        assert found.again[at] == pytest.approx(np.log(share / (1 - share)), abs=1e-5)
        assert found.usual[at] == pytest.approx(
            (sum(logs) + PRIOR_PAUSES * usual) / (len(logs) + PRIOR_PAUSES), abs=1e-5
        )


def test_where_nobody_came_back_the_usual_pause_is_a_month() -> None:
    subject = subject_of([(0, "bread", 0), (1, "tea", 1)])
    assert fit_repeats(subject.log, subject.items).usual.tolist() == pytest.approx([MONTH] * 2)


def test_the_columns_by_hand() -> None:
    """Three visits, of bread on days 0 and 10 and of cake on days 0 and 14; it is day 16."""
    subject = subject_of([(0, "bread", 0), (0, "cake", 0.01), (0, "bread", 10), (0, "cake", 14)])
    source = Repeats(np.zeros(2, np.float32), np.full(2, np.log(5), np.float32), np.zeros(2, np.float32))
    query = asked(subject, 0, 16)

    def of(name: str) -> dict[str, float]:
        return column(source, name, query)

    assert of("visits") == pytest.approx(dict.fromkeys(("bread", "cake"), np.log1p(2 / FAINT)))
    share = np.log((2 + FAINT) / 4) - np.log(FAINT / 4)
    assert of("share") == pytest.approx({"bread": share, "cake": share}, rel=1e-5)
    assert of("missed") == pytest.approx({"bread": np.log(2), "cake": 0})
    assert of("rest") == pytest.approx({"bread": np.log(6), "cake": np.log(2)})
    pause = (PRIOR_VISITS * np.log(5) + np.log(10)) / (PRIOR_VISITS + 1)
    assert of("late")["bread"] == pytest.approx(max(np.log(6) - pause, 0), abs=1e-6)
    assert of("early")["cake"] == pytest.approx(
        np.log(2) - (PRIOR_VISITS * np.log(5) + np.log(13.99)) / (PRIOR_VISITS + 1), abs=1e-5
    )
    habit = (2 + PRIOR_USES * PRIOR_AGAIN) / (2 + PRIOR_USES)
    assert of("own") == pytest.approx(dict.fromkeys(("bread", "cake"), np.log(habit / (1 - habit))))
    assert of("last-visit") == {"bread": 0, "cake": 1}


def test_an_item_that_came_after_training_is_taken_to_be_like_all() -> None:
    subject = subject_of([(0, "bread", 0), (0, "cake", 1)])
    items, cake = subject.items, subject.items.ids.index("cake")
    later = Items(items.codes[[1 - cake, cake]], 1, ["bread", "cake"], items.token_starts, items.tokens)
    source = Repeats(np.ones(1, np.float32), np.ones(1, np.float32), np.array([5, 6], np.float32))
    query = Query(later, history_of(subject.log.profile(0), later), Context(2 * DAY))
    assert column(source, "again", query) == {"bread": 1, "cake": 5}
    assert column(source, "usual", query) == {"bread": 1, "cake": 6}


def test_a_trend_counts_uses_by_their_age() -> None:
    subject = subject_of([(0, "old", 0), (1, "new", 30), (2, "new", 30)])
    found = fit_trend(subject.log, subject.items)
    weight = np.array([{"old": 0.5, "new": 2}[name] for name in subject.items.ids]) + PRIOR
    assert found.log_share[found.columns.index("days-30")] == pytest.approx(np.log(weight / weight.sum()))
    assert found.new[1] == pytest.approx(np.log(PRIOR / (weight.sum() + PRIOR)))


def test_content_has_the_sources_for_pages() -> None:
    subject = subject_of(UNEVEN)
    names = [source.name for source in fit_page_sources(subject.log, subject.items, SETTINGS)]
    assert names[-2:] == ["trend", "repeats"]
