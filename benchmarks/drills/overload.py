"""Ask five times as much as can be answered: is the rest refused early, is as much answered as before, is it over soon?

python -m benchmarks.drills.overload [--seconds 20] [--connections 1000] [--json]

First the peak: as many pages a second as 32 clients get who wait for each answer. Then pages are asked for on a
timetable of five times that rate, over a pool of open connections, whatever comes back; a page that no connection is
free for is never sent, and counted. Clients do not heed Retry-After. What comes back once no more is asked for does not
count. Then 32 clients who wait, again. The clients are cheap (a tenth of a core), and are the same ones all along.
"""

import argparse
import asyncio
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.drills.fresh import trained_home
from benchmarks.drills.service import Service, print_account
from benchmarks.load import Target, at

TIMES = 5
CALM_CLIENTS = 32
CUSTOMERS = 100
TICK = 0.002
"""Seconds between two looks at the timetable."""
GOODPUT, RECOVERY, EARLY = 0.9, 10.0, 2.0
"""The share of the peak that is answered; seconds until all is as before; seconds until a refusal comes."""

_SETTINGS = "[serving]\nkey_rate = 1000000\n"
PAGE = "/v1/recommend"
_PLACES = ("home.features", "home.content")


@dataclass
class Report:
    """What the drill found. Rates are pages a second, times seconds; cpu: the server's milliseconds for a page.

    goodput: the pages answered, of those at the peak, for the same CPU time of the server: the clients, and whoever
    else is on the machine, take theirs. by_the_clock: the same for the same time on the wall.
    """

    peak: float = 0.0
    asked: float = 0.0
    answered: float = 0.0
    goodput: float = 0.0
    by_the_clock: float = 0.0
    refused: float = 0.0
    never_sent: float = 0.0
    answered_p50: float = 0.0
    answered_p99: float = 0.0
    refused_p99: float = 0.0
    after: float = 0.0
    recovery: float = 0.0
    cpu_at_peak: float = 0.0
    cpu: float = 0.0
    others: dict[int, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Shed early, goodput kept, over soon."""
        kept = min(self.goodput, self.by_the_clock) >= GOODPUT
        return not self.others and kept and self.recovery <= RECOVERY and self.refused_p99 <= EARLY


class Connection(asyncio.Protocol):
    """One connection, for a page at a time. done: is told each answer's status, 0 for none, and its seconds."""

    def __init__(self, done: Callable[["Connection", int, float], None]) -> None:
        self._done = done
        self._got = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self.transport = transport

    def ask(self, asked: bytes) -> None:
        """Send a request; none may be under way."""
        self._sent = time.perf_counter()
        self.transport.write(asked)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            self._got = b""
            self._answered(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        if self._sent:
            self._answered(0)

    def _answered(self, status: int) -> None:
        sent, self._sent = self._sent, 0.0
        self._done(self, status, time.perf_counter() - sent)


class Pool:
    """Connections that ask, and what came back within a time: by status the seconds that each answer took.

    seconds, cpu: of that time, and of the server's CPU in it.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._asks = [request(target.key, number) for number in range(CUSTOMERS)]
        self._asked = 0
        self._connections: list[Connection] = []
        self._free: deque[Connection] = deque()
        self._counting = self._patient = False
        self.took: defaultdict[int, list[float]] = defaultdict(list)
        self.never_sent = 0
        self.seconds = self.cpu = 0.0

    async def open(self, connections: int) -> None:
        """So many."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: Connection(self._done), "127.0.0.1", self._target.port)
            self._connections.append(connection)
        self._free.extend(self._connections)

    async def wait_for_each(self, seconds: float) -> None:
        """Every connection asks again once it is answered, for so long."""
        self._patient = True
        while self._free:
            self._ask()
        with self._counted():
            await asyncio.sleep(seconds)
        self._patient = False

    async def ask(self, rate: float, seconds: float) -> None:
        """So many pages a second, for so long, whatever comes back."""
        started, before = time.perf_counter(), self._asked
        with self._counted():
            while (now := time.perf_counter() - started) < seconds:
                while self._asked - before < now * rate:
                    self._ask()
                await asyncio.sleep(TICK)

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.transport.abort()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._counting, started, cpu = True, time.perf_counter(), self._target.cpu_seconds()
        yield
        self.seconds, self.cpu = time.perf_counter() - started, self._target.cpu_seconds() - cpu
        self._counting = False

    def _ask(self) -> None:
        self._asked += 1
        if self._free:
            self._free.popleft().ask(self._asks[self._asked % CUSTOMERS])
        else:
            self.never_sent += 1

    def _done(self, connection: Connection, status: int, seconds: float) -> None:
        if self._counting:
            self.took[status].append(seconds)
        if status == 0:
            return
        self._free.append(connection)
        if self._patient:
            self._ask()


def request(key: str, number: int) -> bytes:
    """One page of two slots, of one of some customers."""
    body = orjson.dumps(page(number))
    head = (
        f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def page(number: int) -> object:
    """What is asked for."""
    return {"customer": f"crm:{number % CUSTOMERS}", "slots": [{"placement": place} for place in _PLACES]}


async def calm(target: Target, seconds: float) -> Pool:
    """What clients get who wait for each page."""
    pool = Pool(target)
    await pool.open(CALM_CLIENTS)
    await pool.wait_for_each(seconds)
    pool.close()
    return pool


async def storm(target: Target, connections: int, seconds: float) -> Report:
    """Before, meanwhile, after."""
    report = Report()
    await calm(target, 1)
    before = await calm(target, seconds / 2)
    report.peak = len(before.took[200]) / before.seconds
    report.cpu_at_peak = before.cpu * 1000 / len(before.took[200])
    report.asked = TIMES * report.peak
    pool = Pool(target)
    await pool.open(connections)
    await pool.ask(report.asked, seconds)
    over = time.perf_counter()
    count(report, pool)
    while report.after < GOODPUT * report.peak and report.recovery <= RECOVERY:
        after = await calm(target, 1)
        report.after, report.recovery = len(after.took[200]) / after.seconds, time.perf_counter() - over
    pool.close()
    return report


def count(report: Report, pool: Pool) -> None:
    """What came back, and when."""
    good, shed = pool.took.pop(200, []), [took for status in (429, 503) for took in pool.took.pop(status, [])]
    report.answered, report.refused = len(good) / pool.seconds, len(shed) / pool.seconds
    report.never_sent = pool.never_sent / pool.seconds
    report.by_the_clock = report.answered / report.peak
    report.cpu = pool.cpu * 1000 / len(good) if good else float("inf")
    report.goodput = report.cpu_at_peak / report.cpu
    report.answered_p50, report.answered_p99 = at(good, 50), at(good, 99)
    report.refused_p99 = at(shed, 99) if shed else 0.0
    report.others = {status: len(times) for status, times in pool.took.items()}


@contextmanager
def _home() -> Iterator[Path]:
    with trained_home() as home:
        (home / "murmeli.toml").write_text(_SETTINGS, encoding="utf-8")
        yield home


def drill(seconds: float, connections: int) -> Report:
    """Against a server of a small simulated bank."""
    with _home() as home, Service(home) as service:
        target = Target(service.port, service.pid, service.key)
        return asyncio.run(storm(target, connections, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    report = drill(given.seconds, given.connections)
    print_account(vars(report) | {"ok": report.ok}, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
