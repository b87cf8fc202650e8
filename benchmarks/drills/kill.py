"""Kill the server while events come in, start it again, send again: is every acknowledged event there, once?

    python -m benchmarks.drills.kill [--times 20] [--seed 7] [--home FOLDER] [--postgres URL] [--json]

Several clients send batches of events with ids of their own, of customers that
all clients share and of new ones, ordered and late. A timer with a seed kills
the server (SIGKILL) while they do. After the restart each client repeats the
batch whose answer it did not see, and one that was acknowledged. In the end
three witnesses count: GET /v1/customers of every customer (number of events,
and the ids of the newest 1,000), the rows of the store read with Python's own
sqlite3 or with psycopg, and `murmeli doctor`, which compares the log with the
profiles. A kill is the end of a process, not of the machine: that the system
itself had the bytes on disk is SQLite's promise (synchronous FULL), or
PostgreSQL's. With --postgres the store is in a schema of its own there.
"""

import argparse
import http.client
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.drills.postgres import schema
from benchmarks.drills.service import Client, Service, print_account
from benchmarks.measure import ROOT

CLIENTS = 4
SHARED = 40
LARGEST_BATCH = 40
ITEMS = 60
LONGEST = 0.8
"""Seconds after which a server is killed at the latest, counted from when it was ready."""
NEWEST = 1000
BROKEN = (OSError, http.client.HTTPException)

Event = dict[str, Any]


@dataclass
class Sender:
    """One client and what it knows: the batches that were acknowledged, and the one whose answer it did not see."""

    number: int
    seed: int
    acknowledged: list[list[Event]] = field(default_factory=list)
    open: list[Event] | None = None
    lost: int = 0
    half: int = 0
    kept: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed}/{self.number}")  # noqa: S311 - a drill, no secret
        self.sent = 0

    def batch(self) -> list[Event]:
        """Events that were never sent before; about a quarter are late, and the last one is a new customer's."""
        now = datetime.now(UTC)
        events = []
        for _ in range(self.random.randint(1, LARGEST_BATCH)):
            self.sent += 1
            late = timedelta(seconds=self.random.randrange(30 * 86_400) if self.random.random() < 0.25 else 0)
            events.append(
                {
                    "event_id": f"{self.number}-{self.sent}",
                    "customer": f"crm:{self.random.randrange(SHARED)}",
                    "type": "use",
                    "item": f"item-{self.random.randrange(ITEMS)}",
                    "at": (now - late).isoformat(timespec="milliseconds"),
                }
            )
        events[-1]["customer"] = f"web:{events[-1]['event_id']}"
        return events

    def send_until_killed(self, client: Client) -> None:
        """First what was not acknowledged, and something that was; then new batches, until the server is gone."""
        try:
            self.repeat(client)
            while True:
                self.open = self.batch()
                self._send_open(client)
        except BROKEN:
            client.close()

    def repeat(self, client: Client) -> None:
        """Send again the batch whose answer was not seen, and one of those acknowledged."""
        if self.acknowledged:
            known = self.random.choice(self.acknowledged)
            self.lost += client.ask("POST", "/v1/events", known)["accepted"]
        if self.open is not None:
            self._send_open(client)

    def _send_open(self, client: Client) -> None:
        assert self.open is not None  # noqa: S101 - for the type checker
        receipt = client.ask("POST", "/v1/events", self.open)
        if receipt["rejected"]:
            self.faults.append(f"rejected: {receipt['rejected'][0]}")
        self.half += bool(receipt["accepted"] and receipt["duplicate"])
        self.kept += not receipt["accepted"]
        self.acknowledged.append(self.open)
        self.open = None

    def events(self) -> Iterator[Event]:
        """Every event that was acknowledged."""
        for batch in self.acknowledged:
            yield from batch


@dataclass
class Report:
    """What the drill found. lost: acknowledged and not there; twice: there more than once, or never sent.

    unseen: batches that were sent and whose answer the client did not see; unseen_but_kept: those of them that the
    killed server had written, so that only the event ids stand between the retry and counting twice;
    half_written: those of which it had kept a part. ready: seconds until a start was; ready_first: of the first, which
    may be the one that compiles for this machine; the others: of those after a kill.
    """

    kills: int = 0
    batches: int = 0
    acknowledged: int = 0
    customers: int = 0
    unseen: int = 0
    unseen_but_kept: int = 0
    half_written: int = 0
    lost: int = 0
    twice: int = 0
    ready_first: float = 0.0
    ready_max: float = 0.0
    ready_mean: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing lost, nothing counted twice, nothing out of joint."""
        return not (self.lost or self.twice or self.half_written or self.faults)


def drill(home: Path, times: int, seed: int, database: str | None = None) -> Report:
    """Kill a server of this home so many times; then count. database: of an empty store; None: it is in the home."""
    moments = random.Random(seed)  # noqa: S311 - a drill, no secret
    senders = [Sender(number, seed) for number in range(CLIENTS)]
    report, ready = Report(), []
    for _ in range(times):
        with Service(home, database) as service:
            ready.append(service.ready)
            _send_and_kill(service, senders, moments.uniform(0.01, LONGEST))
        report.kills += 1
        report.unseen += sum(sender.open is not None for sender in senders)
    with Service(home, database) as service:
        ready.append(service.ready)
        with closing(service.client()) as client:
            for sender in senders:
                sender.repeat(client)
            expected = _expected(senders)
            count_over_http(client, expected, report)
    count_on_disk(home, expected, report, database)
    _doctor(home, report, database)
    report.batches = sum(len(sender.acknowledged) for sender in senders)
    report.acknowledged, report.customers = sum(map(len, expected.values())), len(expected)
    report.unseen_but_kept = sum(sender.kept for sender in senders)
    report.half_written = sum(sender.half for sender in senders)
    report.lost += sum(sender.lost for sender in senders)
    report.faults += [fault for sender in senders for fault in sender.faults]
    report.ready_first, again = ready[0], ready[1:] or ready
    report.ready_max, report.ready_mean = max(again), sum(again) / len(again)
    return report


def _send_and_kill(service: Service, senders: list[Sender], after: float) -> None:
    timer = threading.Timer(after, service.kill)
    with ThreadPoolExecutor(CLIENTS) as pool:
        sending = [pool.submit(sender.send_until_killed, service.client()) for sender in senders]
        timer.start()
    timer.join()
    for done in sending:
        done.result()


def _expected(senders: list[Sender]) -> dict[str, Counter[str]]:
    """By customer, the ids of the acknowledged events."""
    expected: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sender in senders:
        for event in sender.events():
            expected[event["customer"]][event["event_id"]] += 1
    return dict(expected)


def count_over_http(client: Client, expected: dict[str, Counter[str]], report: Report) -> None:
    for customer, ids in expected.items():
        kept = client.ask("GET", f"/v1/customers/{customer}", query={"limit": NEWEST})
        newest = Counter(event["event_id"] for event in kept["recent"])
        habits = sum(habit["uses"] for kind in kept["habits"].values() for habit in kind)
        difference = kept["events"] - ids.total()
        report.lost += max(0, -difference)
        report.twice += max(0, difference) + (newest - ids).total()
        if habits != ids.total():
            report.faults.append(f"{customer}: {ids.total()} uses sent, {habits} in the habits")
        if ids.total() <= NEWEST:
            report.lost += (ids - newest).total()


def count_on_disk(home: Path, expected: dict[str, Counter[str]], report: Report, database: str | None = None) -> None:
    kept: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for customer, event_id in rows_of(home, database):
        kept[customer][event_id] += 1
    for customer in expected.keys() | kept.keys():
        sent = expected.get(customer, Counter())
        report.lost += (sent - kept[customer]).total()
        report.twice += (kept[customer] - sent).total()


def rows_of(home: Path, database: str | None) -> list[tuple[str, str]]:
    """The identity and the id of every event, read past Murmeli."""
    query = "SELECT name, event_id FROM events JOIN identities ON identities.id = events.identity"
    if database:
        with psycopg.connect(database) as server:
            return server.execute(query).fetchall()
    with closing(sqlite3.connect(f"file:{home / 'murmeli.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def _doctor(home: Path, report: Report, database: str | None) -> None:
    command = [sys.executable, "-m", "murmeli", "doctor", "--home", str(home), "--json"]
    environment = {**os.environ, **({"MURMELI_DATABASE": database} if database else {})}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        report.faults.append(f"murmeli doctor: {done.stdout.decode(errors='replace')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--home", type=Path, help="a folder that is not there yet; it stays. Else one that goes away.")
    parser.add_argument("--postgres", metavar="URL", help="keep the store there, in a schema of its own")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, schema(given.postgres) if given.postgres else nullcontext() as url:
        home = given.home or Path(scratch) / "home"
        home.mkdir(parents=True)
        report = drill(home, given.times, given.seed, url)
    print_account(asdict(report) | {"ok": report.ok, "seconds": time.perf_counter() - started}, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
