"""Servers in processes of their own, and connections kept busy: what the benchmarks of serving share."""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.measure import ROOT, key_to

SERVICE = (
    "import sys, pathlib; from threadpoolctl import threadpool_limits; from serving.bootstrap import serve\n"
    "with threadpool_limits(1, 'blas'):\n"
    "    serve(pathlib.Path(sys.argv[1]), port=0, workers=int(sys.argv[2]))"
)

IDLE = 4.0
"""Seconds that a connection says nothing, at most: a server hangs up after five."""

Call = tuple[str, Callable[[], object]]
"""A path, and what makes the next body."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load. pid: of the process, whose children count too."""

    port: int
    pid: int
    key: str = ""

    def processes(self) -> list[int]:
        """The process and its children."""
        with suppress(OSError):
            return [self.pid, *map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())]
        return [self.pid]

    def cpu_seconds(self) -> float:
        """User and system time so far, from /proc."""
        return sum(_cpu_seconds(pid) for pid in self.processes())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a load saw. cpu: microseconds of the server's for a call; p50, p99: milliseconds; wrong: other than 200."""

    rate: float
    cpu: float
    p50: float
    p99: float
    wrong: int


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(program: str, *arguments: str, key: str = "") -> Iterator[Target]:
    """Python code in a process of its own that says its address and serves until it is told to stop."""
    command = [sys.executable, "-c", program, *arguments]
    quiet = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, cwd=ROOT, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout  # noqa: S101 - for the type checker: it is a pipe
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            if not found:
                raise RuntimeError("The server did not say its address.")
            yield Target(int(found[1]), process.pid, key)
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def serving(home: Path, workers: int = 1) -> Iterator[Target]:
    """Murmeli on a home."""
    key = key_to(home)
    with server(SERVICE, str(home), str(workers), key=key) as target:
        yield target


def shared(rate: float, share: float, most: int) -> tuple[int, float]:
    """How many clients, up to so many, and what pause of each, make up a share of a rate of calls.

    Each asks about once a second, or more often.
    """
    clients = min(most, max(2, round(share * rate)))
    return clients, clients / (share * rate)


async def load(
    target: Target,
    call: Call,
    connections: int,
    seconds: float,
    pause: float = 0.0,
    calls: list[tuple[float, float]] | None = None,
) -> Seen:
    """Keep so many connections busy; each one's first call is not counted.

    pause: seconds between an answer and the next call of a connection, in the mean; drawn at random, so that calls come
    as those of people who do not know of each other. calls: gets when each was sent, of `time.perf_counter`, and the
    seconds that its answer took.
    """
    draw = random.Random(7)  # noqa: S311 - not a secret
    took: list[float] = []
    wrong, ready, go = 0, 0, asyncio.Event()
    path, body = call
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {target.key}\r\n"
    )

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        content = orjson.dumps(body())
        writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
        return answer.startswith(b"http/1.1 200")

    async def client() -> None:
        nonlocal wrong, ready
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        await ask(reader, writer)
        ready += 1
        await go.wait()
        if pause:
            await asyncio.sleep(min(draw.expovariate(1 / pause), IDLE))
        while time.perf_counter() < started + seconds:
            sent = time.perf_counter()
            wrong += not await ask(reader, writer)
            took.append(time.perf_counter() - sent)
            if calls is not None:
                calls.append((sent, took[-1]))
            if pause:
                await asyncio.sleep(min(draw.expovariate(1 / pause), IDLE))
        writer.close()

    clients = [asyncio.create_task(client()) for _ in range(connections)]
    while ready < connections:
        await asyncio.sleep(0.01)
    started, cpu = time.perf_counter(), target.cpu_seconds()
    go.set()
    await asyncio.gather(*clients)
    elapsed, cpu = time.perf_counter() - started, target.cpu_seconds() - cpu
    return Seen(len(took) / elapsed, cpu / len(took) * 1e6, at(took, 50) * 1e3, at(took, 99) * 1e3, wrong)


def at(took: list[float], percent: int) -> float:
    """A percentile."""
    return sorted(took)[len(took) * percent // 100] if took else float("nan")
