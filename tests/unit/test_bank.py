import gzip
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from training.bank import MENU, ZONE, BankFiles, simulate_bank
from training.bank_world import CHANNELS, ERRANDS, FEATURES, FOLLOWS, STAGES, SUBJECTS

END = datetime(2026, 11, 16, tzinfo=ZONE)
CUSTOMERS = 150
DAYS = 56


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> BankFiles:
    return simulate_bank(tmp_path_factory.mktemp("bank"), end=END, customers=CUSTOMERS, days=DAYS)


@pytest.fixture(scope="module")
def events(bank: BankFiles) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(bank.events.read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def items(bank: BankFiles) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in map(json.loads, bank.items.read_bytes().splitlines())}


@pytest.fixture(scope="module")
def links(bank: BankFiles) -> list[tuple[str, str]]:
    header, *rows = bank.links.read_text(encoding="utf-8").splitlines()
    assert header == "a,b"
    return [(a, b) for a, b in (row.split(",") for row in rows)]


def _bytes(files: BankFiles) -> tuple[bytes, ...]:
    return files.events.read_bytes(), files.items.read_bytes(), files.links.read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        _bytes(simulate_bank(tmp_path / name, end=END, seed=seed, customers=5, days=14))
        for name, seed in (("first", 7), ("again", 7), ("other", 8))
    )
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_a_larger_bank_has_the_smaller_ones_customers(tmp_path: Path) -> None:
    small, large = (
        set(
            gzip.decompress(simulate_bank(tmp_path / str(n), end=END, customers=n, days=14).events.read_bytes()).split()
        )
        for n in (3, 6)
    )
    assert small < large


def test_the_menu_shows_every_feature_once() -> None:
    assert sorted(MENU) == sorted(feature.id for feature in FEATURES)


def test_the_world_names_only_features_channels_stages_and_topics_that_exist() -> None:
    named = {*FOLLOWS, *(name for follows in FOLLOWS.values() for name in follows)}
    named |= {name for stage in STAGES.values() for name in stage.tastes}
    named |= {step[0] for steps in ERRANDS.values() for step in steps}
    assert named <= set(MENU)
    assert {step[1] for steps in ERRANDS.values() for step in steps} == set(CHANNELS)
    for stage in STAGES.values():
        assert set(stage.errands) <= set(ERRANDS)
        assert set(stage.topics) <= set(SUBJECTS)
        assert stage.next in STAGES
    assert sum(stage.share for stage in STAGES.values()) == pytest.approx(1)


def test_an_errands_step_is_offered_where_it_is_usually_done() -> None:
    offered = {feature.id: dict(zip(CHANNELS, feature.channels, strict=True)) for feature in FEATURES}
    assert all(offered[feature][channel] > 0 for steps in ERRANDS.values() for feature, channel, _ in steps)


def test_the_catalogue_has_300_pieces_of_content_and_some_are_new_or_withdrawn(
    items: dict[str, dict[str, Any]],
) -> None:
    content = [item for item in items.values() if item["kind"] == "content"]
    assert len(content) == 300
    assert len({item["title"] for item in items.values()}) == len(items) == 300 + len(MENU)
    ages = [(END.date() - date.fromisoformat(item["attributes"]["published"])).days for item in content]
    assert 30 <= sum(age <= DAYS for age in ages) <= 90
    assert min(ages) >= 1
    assert 1 <= sum(not item["available"] for item in content) <= 20


def test_every_event_is_of_an_item_of_the_catalogue_and_of_its_kind(
    events: list[dict[str, Any]], items: dict[str, dict[str, Any]]
) -> None:
    assert {event["type"] for event in events} == {"use", "view", "click", "dismiss"}
    assert all(items[event["item"]]["kind"] == event["kind"] for event in events)
    assert all((event["type"] == "use") == (event["kind"] == "feature") for event in events)


def test_a_feature_is_used_only_in_channels_that_offer_it(
    events: list[dict[str, Any]], items: dict[str, dict[str, Any]]
) -> None:
    used = {(event["item"], event["channel"]) for event in events if event["type"] == "use"}
    assert all(channel in items[item]["attributes"]["channels"] for item, channel in used)


def test_nobody_reads_what_is_not_yet_published(events: list[dict[str, Any]], items: dict[str, dict[str, Any]]) -> None:
    for event in events:
        if event["kind"] == "content":
            assert event["at"][:10] >= items[event["item"]]["attributes"]["published"]


def test_times_lie_in_the_range_ascend_and_carry_helsinkis_offset(events: list[dict[str, Any]]) -> None:
    times = [datetime.fromisoformat(event["at"]) for event in events]
    assert times == sorted(times)
    assert END - timedelta(DAYS) <= times[0]
    assert times[-1] < END
    assert all(time.utcoffset() == time.astimezone(ZONE).utcoffset() for time in times)
    assert {time.utcoffset() for time in times} == {timedelta(hours=2), timedelta(hours=3)}


def test_an_event_id_is_unique_per_identity(events: list[dict[str, Any]]) -> None:
    assert len({(event["customer"], event["event_id"]) for event in events}) == len(events)


def test_customers_differ_some_came_once_and_some_not_lately(events: list[dict[str, Any]]) -> None:
    counts = Counter(event["customer"] for event in events if event["customer"].startswith("crm:"))
    assert 60 * CUSTOMERS < len(events) < 180 * CUSTOMERS
    assert min(counts.values()) == 1
    assert max(counts.values()) > 10 * sorted(counts.values())[len(counts) // 2]
    week = (END - timedelta(7)).isoformat()
    lately = {event["customer"] for event in events if event["at"] >= week}
    assert 0 < len(set(counts) - lately) < CUSTOMERS / 2


def test_a_link_ties_one_strong_identity_to_one_weak(links: list[tuple[str, str]]) -> None:
    assert len(set(links)) == len(links)
    assert all(a.startswith("crm:") and b.startswith(("web:", "device:")) for a, b in links)


def test_some_devices_are_shared_and_no_cookie_is(links: list[tuple[str, str]]) -> None:
    owners = Counter(b for _, b in links)
    assert any(count == 2 for b, count in owners.items() if b.startswith("device:"))
    assert all(count == 1 for b, count in owners.items() if b.startswith("web:"))


def test_the_call_centre_knows_who_calls_and_keeps_its_hours(events: list[dict[str, Any]]) -> None:
    calls = [event for event in events if event["channel"] == "call"]
    starts = [datetime.fromisoformat(event["at"]) for event in calls if event["event_id"].endswith("-1")]
    assert calls
    assert all(event["customer"].startswith("crm:") for event in calls)
    assert all(start.weekday() < 5 and 8 <= start.hour <= 18 for start in starts)


def test_errands_take_their_steps_in_order_and_across_channels(events: list[dict[str, Any]]) -> None:
    errands: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for event in events:
        if "properties" in event:
            person = event["session"].split("-")[0]
            step = event["properties"]
            assert ERRANDS[step["errand"]][step["step"] - 1][0] == event["item"]
            errands[person, step["errand"]].append((step["step"], event["channel"]))
    long = [steps for steps in errands.values() if len(steps) >= 3]
    assert len(long) > 10
    assert sum(len({channel for _, channel in steps}) > 1 for steps in long) > 0.9 * len(long)
    starts_over = [a == b for steps in long for (a, _), (b, _) in pairwise(steps)]
    assert 0 < sum(starts_over) < len(starts_over) / 2


def test_an_end_without_a_zone_and_an_empty_bank_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zone"):
        simulate_bank(tmp_path, end=datetime(2026, 11, 16))  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="at least 1"):
        simulate_bank(tmp_path, end=END, customers=0)


def test_one_customer_for_one_day_still_gives_a_bank(tmp_path: Path) -> None:
    files = simulate_bank(tmp_path / "new", end=datetime(2026, 11, 22, 20, tzinfo=UTC), customers=1, days=1)
    assert len(files.items.read_bytes().splitlines()) == 300 + len(MENU)
