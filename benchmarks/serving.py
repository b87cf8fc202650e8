"""The HTTP service under load, beside the least that FastAPI does: the same call checked, a constant answer.

    python -m benchmarks.serving [--home HOME] [--seconds 5]

The machine is shared with the load generator, so the server's CPU time per
request is the figure; rate and latency are shown beside it. HOME is written
to: events of 500 customers and 200 features, unless it has its own.
"""

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import ROOT, key_to, print_table

CUSTOMERS, FEATURES, BATCH = 500, 200, 500
_SERVICE = "import sys, pathlib; from serving.bootstrap import serve; serve(pathlib.Path(sys.argv[1]), port=0)"
_FLOOR = "from benchmarks.serving import floor; floor()"

Call = tuple[str, Callable[[], object]]


def floor() -> None:
    """The service's own models around a constant, on bare FastAPI; says its address as the service does."""
    import uvicorn
    from fastapi import FastAPI

    from serving.answers import RecommendationOut
    from serving.bootstrap import listen, say, url_of
    from serving.schemas import RecommendCall

    items = [{"item": f"feature-{n}", "score": 0.123456, "reason": "habit", "propensity": 1.0} for n in range(6)]
    slots = [{"placement": "home.features", "items": items}]
    constant = {"recommendation_id": "0" * 32, "model": "main/1", "degraded": [], "slots": slots}
    app = FastAPI()

    @app.post("/v1/recommend", response_model=RecommendationOut)
    async def recommend(_: RecommendCall) -> dict[str, Any]:
        return constant

    listener = listen("127.0.0.1", 0)
    say(url_of(listener))
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error")).run(sockets=[listener])


@contextmanager
def server(program: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    command = [sys.executable, "-c", program, *arguments]
    quiet = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=quiet, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout  # noqa: S101 - for the type checker: it is a pipe
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            if not found:
                raise RuntimeError("The server did not say its address.")
            yield int(found[1]), process.pid
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(port: int, pid: int, call: Call, connections: int, seconds: float, key: str = "") -> list[object]:
    """Keep so many connections busy; requests a second, server CPU us a request, p50 and p99 in ms, other than 200."""
    took: list[float] = []
    wrong = 0
    path, body = call
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"

    async def client(end: float) -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            content = orjson.dumps(body())
            started = time.perf_counter()
            writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
            took.append(time.perf_counter() - started)
            wrong += not answer.startswith(b"http/1.1 200")
        writer.close()

    started, cpu = time.perf_counter(), cpu_seconds(pid)
    await asyncio.gather(*(client(started + seconds) for _ in range(connections)))
    elapsed, cpu = time.perf_counter() - started, cpu_seconds(pid) - cpu
    took.sort()
    n = len(took)
    return [n / elapsed, cpu / n * 1e6, took[n // 2] * 1e3, took[n * 99 // 100] * 1e3, wrong]


def calls() -> tuple[Call, Call, Call]:
    """One event, a batch of them, and a page; customers and items drawn at random."""
    draw = random.Random(7)  # noqa: S311 - not a secret
    run, number = f"{time.time_ns():x}", iter(range(10**12))

    def event() -> dict[str, object]:
        who, what = f"crm:{draw.randrange(CUSTOMERS)}", f"feature-{draw.randrange(FEATURES)}"
        return {"event_id": f"{run}-{next(number)}", "customer": who, "type": "use", "item": what, "channel": "mobile"}

    def page() -> dict[str, object]:
        slots = [{"placement": "home.features", "k": 6}]
        return {"customer": f"crm:{draw.randrange(CUSTOMERS)}", "slots": slots, "context": {"channel": "mobile"}}

    events = "/v1/events"
    return (events, event), (events, lambda: [event() for _ in range(BATCH)]), ("/v1/recommend", page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    chosen = parser.parse_args()
    event, batch, page = calls()
    with tempfile.TemporaryDirectory() as folder:
        home = str(chosen.home or folder)
        rows: list[list[object]] = []
        key = key_to(Path(home))
        with server(_SERVICE, home) as (port, pid):
            for name, call, many in (
                (f"events, {BATCH} a call", batch, 8),
                ("one event", event, 64),
                ("one event", event, 1),
                ("one slot of 6", page, 64),
            ):
                rows.append([name, many, *asyncio.run(load(port, pid, call, many, chosen.seconds, key))])
        with server(_FLOOR) as (port, pid):
            rows.append(["FastAPI, constant answer", 64, *asyncio.run(load(port, pid, page, 64, chosen.seconds))])
    print_table(["call", "connections", "calls/s", "server CPU us/call", "p50 ms", "p99 ms", "not 200"], rows)


if __name__ == "__main__":
    main()
