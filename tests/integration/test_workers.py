"""Several workers at one port are one service."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.drills.service import Client
from benchmarks.measure import key_to
from recommender.errors import MurmeliError, StoreError
from recommender.stores import open_store
from serving.bootstrap import serve
from tests.integration.serving_world import PAGE, event

ROOT = Path(__file__).parents[2]
CONNECTIONS = 24
"""That all of them end up at one of two workers happens once in eight million."""

Door = tuple[int, str]
"""A port, and a key to what answers there."""


@contextmanager
def two_workers(home: Path) -> Iterator[tuple[subprocess.Popen[str], Door]]:
    """The supervisor of two workers, and their port with a key; all killed at the end if they still run."""
    key = key_to(home)
    command = [sys.executable, "-m", "murmeli", "serve", "--home", str(home), "--port", "0", "--workers", "2"]
    with subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        try:
            assert found
            yield process, (int(found[1]), key)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def once(door: Door, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """The answer over a connection of its own."""
    with closing(Client(*door)) as client:
        return client.ask(method, path, body)


def each(door: Door, method: str, path: str, body: object = None) -> list[Any]:
    """The answers over so many connections, all open at once."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Client(*door))) for _ in range(CONNECTIONS)]
        return [client.ask(method, path, body) for client in clients]


def children(process: "subprocess.Popen[str]") -> list[int]:
    return list(map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()))


def test_an_event_that_one_worker_accepts_is_in_the_next_answer_of_every_other(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (_, door):
        for n in range(CONNECTIONS):
            assert once(door, "POST", "/v1/events", event(n))["accepted"] == 1
            assert once(door, "GET", "/v1/customers/crm:1")["events"] == n + 1
            again = once(door, "POST", "/v1/events", event(n))
            assert (again["accepted"], again["duplicate"]) == (0, 1)


def test_the_metrics_of_all_workers_are_shown_by_each(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (_, door):
        each(door, "POST", "/v1/recommend", PAGE)
        shown = counted(door)
        while sum(shown.values()) < CONNECTIONS:  # within a second
            shown = counted(door)
        assert shown.keys() == {"0", "1"}
        assert sum(shown.values()) == CONNECTIONS


def counted(door: Door) -> dict[str, float]:
    with closing(Client(*door)) as client:
        lines = client.text("/metrics")
    found = re.findall(r'^murmeli_answers_total\{call="recommend",worker="(\d)"\} (\S+)$', lines, re.MULTILINE)
    return {worker: float(value) for worker, value in found}


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (process, door):
        before = children(process)
        os.kill(before[0], signal.SIGKILL)
        assert each(door, "GET", "/livez") == [{"status": "alive"}] * CONNECTIONS
        assert children(process)[0] == before[1]
        assert len(children(process)) == 2


def test_the_service_stops_as_one_and_nothing_is_lost(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (process, door):
        ids = [answer["recommendation_id"] for answer in each(door, "POST", "/v1/recommend", PAGE)]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
    assert errors.count("every accepted event is on disk") == 2
    with closing(open_store(tmp_path, strong=("crm",), writable=False)) as store:
        assert all(store.ledger.read(id_) for id_ in ids)


def test_workers_stop_in_order_where_their_supervisor_is_killed(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (process, door):
        each(door, "GET", "/livez")
        process.kill()
        _, errors = process.communicate(timeout=60)
    assert errors.count("every accepted event is on disk") == 2


def test_what_keeps_all_workers_from_serving_is_said_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "murmeli.db").write_text("no database")
    with pytest.raises(StoreError, match="not a store"):
        serve(tmp_path, port=0, workers=2)


def test_a_worker_that_cannot_start_ends_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object) -> None:
        raise MurmeliError("no")

    monkeypatch.setattr("serving.bootstrap.build", no)
    with pytest.raises(MurmeliError, match="could not start"):
        serve(tmp_path, port=0, workers=2)
