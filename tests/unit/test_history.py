"""What a profile says of one kind of items: a bank's features, small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import profile as profile_module
from recommender.history import Context, History, Items, history_of, week_minute
from recommender.profile import EMPTY, Profile, fold
from recommender.types import (
    CLICK,
    DAY,
    DISMISS,
    EVENT,
    HOUR,
    IMPRESSION,
    MINUTE,
    PURCHASE,
    RETURN,
    USE,
    VIEW,
    code32,
    code64,
)

MONDAY = 1_763_942_400_000  # 2025-11-24T00:00Z
BALANCE, PAY, CARDS, NEWS = map(code64, ("balance", "pay", "cards", "news"))
OWN_TYPE = code32("scan-receipt")
WEB, MOBILE = code32("web"), code32("mobile")


def items_of(*codes: int, late: tuple[int, ...] = ()) -> Items:
    known, since = sorted(codes), sorted(late)
    both = np.array([*known, *since], np.int64)
    nothing = np.zeros(0, np.int64)
    return Items(both, len(known), [str(code) for code in both], np.zeros(both.size + 1, np.int64), nothing)


FEATURES = items_of(BALANCE, PAY, CARDS)


def profile_of(*steps: tuple[int, int], zone: int = 0, channel: int = WEB) -> Profile:
    """One event a minute: (type, item)."""
    rows = [(MONDAY + i * MINUTE, i + 1, item, 0, type_, channel, zone, 1) for i, (type_, item) in enumerate(steps)]
    return fold(EMPTY, np.array(rows, EVENT))


def names(history: History, items: Items = FEATURES) -> list[int]:
    found: list[int] = items.codes[history.item].tolist()
    return found


def test_every_type_that_wants_the_item_is_a_use_in_order() -> None:
    profile = profile_of((USE, PAY), (VIEW, BALANCE), (CLICK, PAY), (PURCHASE, CARDS), (OWN_TYPE, BALANCE))
    assert names(history_of(profile, FEATURES)) == [PAY, BALANCE, PAY, CARDS, BALANCE]


def test_impressions_and_dismissals_are_no_uses() -> None:
    profile = profile_of((IMPRESSION, PAY), (DISMISS, BALANCE), (USE, CARDS))
    assert names(history_of(profile, FEATURES)) == [CARDS]


def test_items_of_another_kind_and_events_without_an_item_are_left_out() -> None:
    profile = profile_of((USE, NEWS), (USE, 0), (USE, PAY))
    assert names(history_of(profile, FEATURES)) == [PAY]


def test_a_return_takes_back_the_latest_use_of_its_item() -> None:
    profile = profile_of((USE, PAY), (USE, CARDS), (USE, PAY), (RETURN, PAY), (USE, BALANCE))
    history = history_of(profile, FEATURES)
    assert names(history) == [PAY, CARDS, BALANCE]
    assert (history.time - MONDAY).tolist() == [0, MINUTE, 4 * MINUTE]


def test_more_returns_than_uses_leave_nothing_and_owe_nothing() -> None:
    profile = profile_of((USE, PAY), (RETURN, PAY), (RETURN, PAY), (USE, CARDS))
    assert names(history_of(profile, FEATURES)) == [CARDS]


def test_a_return_that_arrives_before_its_purchase_takes_it_back_all_the_same() -> None:
    profile = profile_of((RETURN, PAY), (PURCHASE, PAY))
    assert names(history_of(profile, FEATURES)) == []


def test_a_return_of_one_item_leaves_the_others() -> None:
    profile = profile_of((USE, PAY), (USE, CARDS), (RETURN, CARDS), (RETURN, NEWS))
    assert names(history_of(profile, FEATURES)) == [PAY]


def test_what_is_older_is_counted_without_order_and_net_of_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_module, "HISTORY", 2)
    profile = profile_of(
        (USE, PAY), (VIEW, PAY), (USE, CARDS), (RETURN, CARDS), (IMPRESSION, PAY), (DISMISS, PAY), (USE, NEWS),
        (PURCHASE, PAY), (RETURN, PAY), (RETURN, BALANCE), (USE, CARDS), (USE, BALANCE),
    )  # fmt: skip
    history = history_of(profile, FEATURES)
    older = dict(zip(FEATURES.codes[history.older_item].tolist(), history.older_count.tolist(), strict=True))
    assert names(history) == [CARDS, BALANCE]
    assert older == {PAY: 2}


def test_the_empty_profile_has_an_empty_history() -> None:
    history = history_of(EMPTY, FEATURES)
    assert [array.size for array in (history.item, history.time, history.week, history.older_item)] == [0] * 4


def test_a_catalogue_without_items_has_no_history() -> None:
    history = history_of(profile_of((USE, PAY), (RETURN, PAY)), items_of())
    assert history.item.size == 0


def test_items_that_came_after_the_training_have_positions_behind_it() -> None:
    items = items_of(BALANCE, PAY, late=(CARDS, NEWS))
    codes = np.array([BALANCE, PAY, CARDS, NEWS, code64("nobody")])
    found = items.positions(codes)
    assert items.codes[found[:4]].tolist() == codes[:4].tolist()
    assert found[2:4].min() >= 2
    assert found[4] == -1


@given(st.sets(st.integers(-50, 50)), st.sets(st.integers(-50, 50)), st.lists(st.integers(-60, 60)))
def test_a_position_is_where_the_code_stands_or_minus_one(known: set[int], late: set[int], asked: list[int]) -> None:
    items = items_of(*known, late=tuple(late - known))
    listed: list[int] = items.codes.tolist()
    wanted = [listed.index(code) if code in listed else -1 for code in asked]
    assert items.positions(np.array(asked, np.int64)).tolist() == wanted


def test_the_week_begins_on_monday_at_local_midnight() -> None:
    assert week_minute(MONDAY, 0) == 0
    assert week_minute(MONDAY - MINUTE, 0) == 7 * 24 * 60 - 1
    assert week_minute(MONDAY + 26 * HOUR, 0) == 26 * 60


def test_the_same_instant_has_its_own_week_minute_in_each_zone() -> None:
    helsinki, new_york, kathmandu = 120, -300, 345
    there = [week_minute(MONDAY + 8 * HOUR, zone) for zone in (helsinki, new_york, kathmandu)]
    assert there == [10 * 60, 3 * 60, 13 * 60 + 45]


def test_a_week_minute_before_1970_is_still_within_the_week() -> None:
    assert week_minute(-MINUTE, 0) == 3 * 24 * 60 - 1
    assert week_minute(-(10**15), -720) >= 0


def test_events_and_questions_count_the_week_alike() -> None:
    profile = profile_of((USE, PAY), zone=120)
    history = history_of(profile, FEATURES)
    assert history.week.tolist() == [2 * 60] == [Context(MONDAY, zone=120).week]


def test_each_use_keeps_its_channel() -> None:
    other = np.array([(MONDAY - DAY, 99, PAY, 0, USE, MOBILE, 0, 1)], EVENT)
    history = history_of(fold(profile_of((USE, CARDS)), other), FEATURES)
    assert history.channel.tolist() == [MOBILE, WEB]
