"""The drills of benchmarks/drills, in short; and that they would notice."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.drills import fresh, kill
from recommender.events import Door
from recommender.settings import Settings
from recommender.stores import open_store
from tests.contracts.places import schema


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


def test_every_answer_knows_the_event_before_it() -> None:
    with fresh.trained_home(customers=30) as home:
        account = fresh.drill(home, times=20)
    assert account["examples"] == []
    assert account["model"] == "main/1"
    assert account["checks"] == 20 * 6 + 4 * 6


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
