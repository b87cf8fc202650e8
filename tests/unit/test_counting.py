"""How much a use counts: the same in the fitted matrix as when a question is asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import profile as profile_module
from recommender.counting import Counting, saturate
from recommender.history import Context, History, Query, counted, history_of
from recommender.profile import EMPTY, fold
from recommender.sources.usage import usage
from recommender.types import CLICK, DAY, DISMISS, EVENT, PURCHASE, RETURN, VIEW, code64
from training.dataset import Log, items_of, log_of
from training.fit.matrix import user_items, weights_of

IDS = ["apple", "bread", "cheese"]
ITEMS = items_of(IDS)
APPLE, BREAD, CHEESE = (ITEMS.ids.index(name) for name in IDS)


def counting(half_life: float = 0, **weights: float) -> Counting:
    codes = {"view": VIEW, "click": CLICK, "purchase": PURCHASE}
    listed = sorted((codes[name], weight) for name, weight in weights.items())
    return Counting(
        np.array([code for code, _ in listed], np.int64),
        np.array([weight for _, weight in listed], np.float32),
        np.array(half_life, np.float32),
    )


def log_of_rows(*rows: tuple[str, int, int]) -> Log:
    """One customer's rows of (item, type, day)."""
    events = np.zeros(len(rows), EVENT)
    for at, (event, (item, type_, day)) in enumerate(zip(events, rows, strict=True)):
        event["item"], event["type"], event["time"], event["key"] = code64(item), type_, day * DAY, at + 1
    return log_of(np.zeros(len(rows), np.int64), events)


def asked(log: Log, how: Counting | None) -> Query:
    items = counted(ITEMS, how)
    return Query(items, history_of(log.profile(0), items), Context(log.span[1]))


def weights(log: Log, how: Counting | None) -> dict[int, float]:
    rows, weight = usage(asked(log, how), 3)
    return dict(zip(rows.tolist(), weight.tolist(), strict=True))


def test_a_use_counts_by_its_type_and_half_as_much_after_a_half_life() -> None:
    log = log_of_rows(("apple", VIEW, 0), ("bread", PURCHASE, 0), ("bread", PURCHASE, 10), ("cheese", CLICK, 20))
    found = weights(log, counting(10, view=0.4))
    assert found == pytest.approx({APPLE: 0.4 / 4, BREAD: 1 / 4 + 1 / 2, CHEESE: 1})


def test_what_counts_nothing_is_as_if_it_had_not_been_used() -> None:
    log = log_of_rows(("apple", VIEW, 0), ("bread", PURCHASE, 1), ("bread", VIEW, 1))
    assert weights(log, counting(view=0)) == {BREAD: 1}
    assert user_items(log, counted(ITEMS, counting(view=0))).indices.tolist() == [BREAD]


def test_where_all_count_alike_nothing_changes() -> None:
    log = log_of_rows(("apple", VIEW, 0), ("apple", PURCHASE, 3), ("cheese", CLICK, 20))
    assert weights(log, counting()) == weights(log, None)
    alike, plain = user_items(log, counted(ITEMS, counting())), user_items(log, ITEMS)
    assert (alike.toarray() == plain.toarray()).all()


def test_a_return_takes_the_latest_use_with_its_type_and_age() -> None:
    log = log_of_rows(("apple", PURCHASE, 0), ("apple", VIEW, 10), ("apple", RETURN, 20), ("bread", VIEW, 20))
    assert weights(log, counting(20, view=0.25)) == pytest.approx({APPLE: 0.5, BREAD: 0.25})


def test_a_history_whose_types_are_not_known_counts_by_age_alone() -> None:
    none = np.zeros(0, np.int64)
    history = History(np.array([BREAD]), np.zeros(1, np.int64), none, none, none, none)
    rows, weight = usage(Query(counted(ITEMS, counting(1, view=0)), history, Context(now=DAY)), 3)
    assert (rows.tolist(), weight.tolist()) == ([BREAD], [0.5])


def test_up_to_one_a_count_says_what_it_is_and_then_ever_less_more() -> None:
    assert saturate(np.array([0, 0.5, 1, np.e], np.float32)) == pytest.approx([0, 0.5, 1, 2])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*IDS, "gone"]),
            st.sampled_from([VIEW, CLICK, PURCHASE, RETURN, DISMISS]),
            st.integers(0, 40),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([None, counting(), counting(view=0), counting(7), counting(15, view=0.2, purchase=0.5)]),
    st.sampled_from([4, 100]),
)
def test_training_counts_as_serving_does(rows: list[tuple[str, int, int]], how: Counting | None, kept: int) -> None:
    """Also what is older than a profile keeps, which is only counted."""
    whole = log_of_rows(*rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "HISTORY", kept)
        profile = fold(EMPTY, whole.events)
    both = np.array([0, 1])
    log = Log(both * profile.events.size, profile.events, both * profile.counts.size, profile.counts)
    trained = weights_of(user_items(log, counted(ITEMS, how)))
    assert weights(log, how) == pytest.approx(dict(zip(trained.indices.tolist(), trained.data.tolist(), strict=True)))


@pytest.mark.parametrize(
    "wrong",
    [
        Counting(np.array([2, 1]), np.ones(2, np.float32), np.array(0, np.float32)),
        Counting(np.array([1, 2]), np.ones(1, np.float32), np.array(0, np.float32)),
        Counting(np.array([1]), -np.ones(1, np.float32), np.array(0, np.float32)),
        Counting(np.array([1]), np.ones(1, np.float32), np.array(-1, np.float32)),
        Counting(np.array([1]), np.ones(1, np.float32), np.ones(1, np.float32)),
    ],
)
def test_what_cannot_be_counted_by_is_refused(wrong: Counting) -> None:
    with pytest.raises(ValueError, match="event types"):
        wrong.check()
