"""The service as a process of its own: what only a real socket and a real end can show."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from benchmarks.measure import key_to
from recommender.errors import MurmeliError
from serving.bootstrap import serve
from tests.integration.serving_world import event

ROOT = Path(__file__).parents[2]
_SERVE = "import sys, pathlib; from serving.bootstrap import serve; serve(pathlib.Path(sys.argv[1]), port=0)"


class Door(NamedTuple):
    """Where a server is asked, and with which key."""

    port: int
    key: str


@contextmanager
def service(home: Path) -> Iterator[tuple[subprocess.Popen[str], Door]]:
    """A server on a port of its own, and that port with a key; killed at the end if it still runs."""
    key = key_to(home)
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", _SERVE, str(home)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        try:
            assert found
            yield process, Door(int(found[1]), key)
        finally:
            process.kill()


def ask(door: Door, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=60)
    headers = {"authorization": f"Bearer {door.key}"}
    headers |= {"content-type": "application/json"} if body is not None else {}
    connection.request(method, path, orjson.dumps(body) if body is not None else None, headers)
    content: dict[str, Any] = orjson.loads(connection.getresponse().read())
    connection.close()
    return content


def test_a_killed_server_keeps_every_event_that_it_acknowledged_and_counts_none_twice(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(2):
        with service(tmp_path) as (process, door):
            for _ in range(20):
                acknowledged += ask(door, "POST", "/v1/events", event(acknowledged))["accepted"]
            process.send_signal(signal.SIGKILL)
            process.wait()
    with service(tmp_path) as (_, door):
        assert ask(door, "GET", "/v1/customers/crm:1")["events"] == acknowledged == 40
        again = ask(door, "POST", "/v1/events", [event(n) for n in range(acknowledged)])
        assert (again["accepted"], again["duplicate"]) == (0, acknowledged)


def test_a_stopped_server_has_its_answers_on_the_ledger_and_says_goodbye(tmp_path: Path) -> None:
    with service(tmp_path) as (process, door):
        id_ = ask(door, "GET", "/v1/recommend/home.features?customer=crm:1")["recommendation_id"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGTERM)
    assert "every accepted event is on disk" in errors
    assert "crm:1" not in errors
    from recommender.stores import open_store

    store = open_store(tmp_path, strong=("crm",), writable=False)
    assert store.ledger.read(id_) is not None
    store.close()


def test_a_percent_sign_in_an_id_survives_a_real_socket(tmp_path: Path) -> None:
    with service(tmp_path) as (_, door):
        ask(door, "PUT", "/v1/items", [{"id": "%2F/ü", "kind": "content"}])
        assert ask(door, "GET", "/v1/items/%252F%2F%C3%BC")["id"] == "%2F/ü"


def test_a_port_in_use_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(MurmeliError, match=r"in use.*--port"):
        serve(tmp_path, port=taken.getsockname()[1])
    assert os.listdir(tmp_path) == []


def test_an_address_of_another_machine_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MurmeliError, match="--host"):
        serve(tmp_path, host="192.0.2.1", port=0)
