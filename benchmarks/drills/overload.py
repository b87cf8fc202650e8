"""Ask five times as much as can be answered: is the rest refused early, is as much answered as before, is it over soon?

python -m benchmarks.drills.overload [--seconds 20] [--connections 1000] [--json]

First the peak: as many pages a second as 32 clients get who wait for each answer. Then pages are asked for on a
timetable of five times that rate, over a pool of open connections, whatever comes back; a page that no connection is
free for is never sent, and counted. Clients do not heed Retry-After. Then 32 clients who wait, again. The clients need
a core of their own.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.drills.fresh import trained_home
from benchmarks.drills.service import Service, print_account
from benchmarks.load import Seen, Target, at, load

TIMES = 5
CALM_CLIENTS = 32
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
        return not self.others and self.goodput >= GOODPUT and self.recovery <= RECOVERY and self.refused_p99 <= EARLY


class Pool:
    """Connections that ask on a timetable."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._writers: list[asyncio.StreamWriter] = []
        self._asking: set[asyncio.Task[None]] = set()
        self.took: dict[int, list[float]] = {}
        self.never_sent = 0
        self._asked = 0

    async def open(self, connections: int) -> None:
        """So many."""
        for _ in range(connections):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._target.port)
            self._free.append((reader, writer))
            self._writers.append(writer)

    async def ask(self, rate: float, seconds: float) -> None:
        """So many pages a second, for so long; then wait for those under way."""
        started = time.perf_counter()
        while (now := time.perf_counter() - started) < seconds:
            while self._asked < now * rate:
                self._asked += 1
                if self._free:
                    task = asyncio.create_task(self._page(self._free.popleft()))
                    self._asking.add(task)
                    task.add_done_callback(self._asking.discard)
                else:
                    self.never_sent += 1
            await asyncio.sleep(0.001)
        if self._asking:
            await asyncio.wait(self._asking, timeout=10)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _page(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        reader, writer = connection
        started = time.perf_counter()
        try:
            writer.write(request(self._target.key, self._asked))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        except (OSError, EOFError):
            self.took.setdefault(0, []).append(time.perf_counter() - started)
            return
        self.took.setdefault(int(head.split()[1]), []).append(time.perf_counter() - started)
        self._free.append(connection)


def request(key: str, number: int) -> bytes:
    """One page of two slots, of one of some customers."""
    body = orjson.dumps(page(number))
    head = (
        f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def page(number: int) -> object:
    """What is asked for."""
    return {"customer": f"crm:{number % 100}", "slots": [{"placement": place} for place in _PLACES]}


async def calm(target: Target, seconds: float) -> Seen:
    """What clients get who wait for each page."""
    numbers: Iterator[int] = iter(range(10**9))
    return await load(target, (PAGE, lambda: page(next(numbers))), CALM_CLIENTS, seconds)


async def storm(target: Target, connections: int, seconds: float) -> Report:
    """Before, meanwhile, after."""
    report = Report()
    await calm(target, 1)
    before = await calm(target, seconds / 2)
    report.peak, report.cpu_at_peak = before.rate, before.cpu / 1000
    report.asked = TIMES * report.peak
    pool = Pool(target)
    await pool.open(connections)
    busy, started = target.cpu_seconds(), time.perf_counter()
    await pool.ask(report.asked, seconds)
    over = time.perf_counter()
    busy = target.cpu_seconds() - busy
    while report.after < GOODPUT * report.peak and report.recovery <= RECOVERY:
        report.after = (await calm(target, 1)).rate
        report.recovery = time.perf_counter() - over
    count(report, pool, over - started)
    report.cpu = busy * 1000 / (report.answered * (over - started))
    report.goodput = report.cpu_at_peak / report.cpu
    return report


def count(report: Report, pool: Pool, seconds: float) -> None:
    """What came back, and when."""
    good, shed = pool.took.pop(200, []), [took for status in (429, 503) for took in pool.took.pop(status, [])]
    report.answered, report.refused = len(good) / seconds, len(shed) / seconds
    report.never_sent = pool.never_sent / seconds
    report.by_the_clock = report.answered / report.peak
    report.answered_p50, report.answered_p99 = at(good, 50), at(good, 99)
    report.refused_p99 = at(shed, 99) if shed else 0.0
    report.others = dict(Counter({status: len(times) for status, times in pool.took.items()}))


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
