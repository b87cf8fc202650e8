"""The drills of benchmarks/drills, in short; and that they would notice."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.drills import artefacts, disk_full, erasure, fresh, hostile, kill, overload, replicas, roles, slow, soak
from benchmarks.drills import schema as documented
from recommender.events import Door
from recommender.settings import Settings
from recommender.stores import open_store
from tests.contracts.places import reachable, schema


def test_a_server_that_is_killed_while_events_come_in_loses_none_and_counts_none_twice(tmp_path: Path) -> None:
    report = kill.drill(tmp_path, times=3, seed=7)
    assert report.ok, report
    assert report.kills == 3
    assert report.acknowledged > 0


def test_a_server_on_postgresql_that_is_killed_loses_no_event_and_counts_none_twice(tmp_path: Path) -> None:
    with schema() as url:
        report = kill.drill(tmp_path, times=2, seed=7, database=url)
    assert report.ok, report
    assert report.acknowledged > 0


def test_two_replicas_lose_double_and_fail_nothing_while_one_is_killed_and_the_model_changes() -> None:
    account = replicas.drill(reachable(), minutes=0.15, seed=7, customers=30)
    assert account.ok, account
    assert account.cut > 0
    assert account.acknowledged > 0


def test_a_damaged_model_is_refused_with_a_reason_and_the_old_one_serves_on() -> None:
    with fresh.trained_home(customers=30) as home:
        account = artefacts.drill(home)
    assert account["wrong"] == []
    assert all(account["reasons"].values())


def test_every_role_may_do_what_it_may_and_refusals_tell_nothing(tmp_path: Path) -> None:
    report = roles.drill(tmp_path, revocations=1)
    assert report.faults == []
    assert report.refused > report.allowed > 0


def test_bodies_that_are_meant_to_hurt_are_refused_and_cost_no_memory(tmp_path: Path) -> None:
    report = hostile.drill(tmp_path, times=1)
    assert (report.taken, report.large) == ([], [])
    assert report.requests > 200


def test_slow_senders_are_cut_and_visitors_answered(tmp_path: Path) -> None:
    report = slow.drill(tmp_path, each=5)
    assert report.ok, report
    assert report.pages > 0


def test_under_overload_pages_are_answered_and_the_rest_refused() -> None:
    report = overload.drill(seconds=3, connections=300)
    assert report.others == {}
    assert report.answered > 0


def test_whatever_fits_the_documented_schema_gets_a_documented_answer(tmp_path: Path) -> None:
    report = documented.drill(tmp_path, examples=1)
    assert report.faults == []
    assert report.cases > 1000


@pytest.mark.parametrize("way", disk_full.WAYS)
def test_a_full_disk_refuses_events_and_nothing_else_until_there_is_room(way: str) -> None:
    if way == "tmpfs" and not disk_full.may_mount():
        pytest.skip("this user may not mount a file system")
    account = disk_full.drill(way)
    assert account["ok"], account
    assert account["events_until_full"] > 0


def test_a_server_under_load_answers_everything_and_keeps_its_files_bounded(tmp_path: Path) -> None:
    account = soak.drill(tmp_path, minutes=0.05)
    assert account.failed == 0
    assert account.calls > 0
    assert account.largest_wal_mb > 0


def test_every_answer_knows_the_event_before_it() -> None:
    with fresh.trained_home(customers=30) as home:
        account = fresh.drill(home, times=20)
    assert account["examples"] == []
    assert account["model"] == "main/1"
    assert account["checks"] == 20 * 6 + 4 * 6


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_nobody_who_was_erased_is_served_or_exported_after_a_kill_and_late_events(kind: str, tmp_path: Path) -> None:
    with schema() if kind == "postgres" else nullcontext() as database:
        account = erasure.drill(tmp_path, times=1, seed=7, database=database)
    assert account["examples"] == []
    assert account["people"] >= 1
    assert account["late"] >= 1


@pytest.mark.parametrize(("sent", "lost", "twice"), [("ab", 0, 0), ("abc", 1, 0), ("a", 0, 1), ("ac", 1, 1)])
def test_the_count_on_disk_finds_what_is_missing_and_what_nobody_sent(
    tmp_path: Path, sent: str, lost: int, twice: int
) -> None:
    store = open_store(tmp_path, strong=("crm",))
    rows = [{"event_id": id_, "customer": "crm:1", "type": "use", "item": "x"} for id_ in "ab"]
    store.events.append(Door(Settings().zone_info).admit_rows(rows).batch)
    store.close()
    report = kill.Report()
    kill.count_on_disk(tmp_path, {"crm:1": Counter(sent)}, report)
    assert (report.lost, report.twice) == (lost, twice)
    assert report.ok == (not lost and not twice)
