"""A new model under load: does a call fail, and does the slow tail grow while it is loaded, checked and put in use?

    python -m benchmarks.swap [--items 100000] [--swaps 6] [--home HOME]

Calls come at about half of what the server can do. Halfway between two swaps
is the quiet time that each is compared with.
"""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from benchmarks.load import Call, Target, at, load, serving
from benchmarks.measure import print_table
from benchmarks.serving import page_of
from benchmarks.world import CUSTOMERS, in_order, make_content_home, publish_content
from recommender.registry import MAIN, Registry

CONNECTIONS = 8
QUIET = 6.0
"""Seconds from the end of a swap to the next."""
SHARE = 0.5


@dataclass
class Taken:
    """Every call: when it was sent, and how many seconds its answer took; failed: other than 200."""

    calls: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0


async def keep_asking(target: Target, call: Call, pause: float, taken: Taken, stop: asyncio.Event) -> None:
    path, body = call
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    while not stop.is_set():
        sent = time.perf_counter()
        status = await _ask(reader, writer, target.key, path, body())
        taken.calls.append((sent, time.perf_counter() - sent))
        taken.failed += status != 200
        await asyncio.sleep(pause)
    writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, path: str, body: object) -> int:
    content = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(answer.split(b"content-length: ")[1].split(b"\r\n")[0]))
    return int(answer.split()[1])


async def drive(target: Target, call: Call, pause: float, registry: Registry, swaps: int) -> list[list[object]]:
    """A row for each swap."""
    taken, stop = Taken(), asyncio.Event()
    rows: list[list[object]] = []
    clients = [asyncio.create_task(keep_asking(target, call, pause, taken, stop)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(2)
    for number in range(swaps):
        quiet = time.perf_counter()
        await asyncio.sleep(QUIET)
        started = time.perf_counter()
        await asyncio.to_thread(registry.promote, MAIN, 1 + (number + 1) % 2)
        await asyncio.sleep(QUIET / 3)
        ended = time.perf_counter()
        before = [took for sent, took in taken.calls if quiet <= sent < started]
        during = [took for sent, took in taken.calls if started <= sent < ended]
        tails = at(before, 99), at(during, 99)
        rows.append([number + 1, len(during), tails[0] * 1e3, tails[1] * 1e3, tails[1] / tails[0], taken.failed])
    stop.set()
    await asyncio.gather(*clients)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=6)
    parser.add_argument("--home", type=Path, help="one that `benchmarks.serving --folder` left; a model is added to it")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = chosen.home or Path(scratch) / "home"
        if not home.exists():
            make_content_home(home, chosen.items)
        registry = Registry(home / "models")
        if len(registry.versions()) < 2:
            arrays = registry.load()[0]
            names = [f"item-{number}" for number in range(arrays["content.items.codes"].size)]
            publish_content(home, in_order(names), np.random.default_rng(8))
        call = page_of([f"crm:{number}" for number in range(CUSTOMERS)], ("home.content", 20))
        with serving(home) as target:
            most = asyncio.run(load(target, call, CONNECTIONS, 3)).rate
            pause = CONNECTIONS / (most * SHARE) - CONNECTIONS / most
            rows = asyncio.run(drive(target, call, pause, registry, chosen.swaps))
    print_table(("swap", "calls meanwhile", "quiet p99 ms", "p99 ms", "ratio", "failed so far"), rows)
    ratios = sorted(float(str(row[4])) for row in rows)
    print(f"\nThe middle ratio is {ratios[len(ratios) // 2]:.2f}; {rows[-1][-1]} calls failed.")


if __name__ == "__main__":
    main()
