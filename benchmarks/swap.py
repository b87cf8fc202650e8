"""A new model under load: does a call fail, and does the slow tail grow while it is loaded, checked and put in use?

    python -m benchmarks.swap [--items 100000] [--swaps 6] [--home HOME]

Calls come at about half of what the server can do. Halfway between two swaps
is the quiet time that each is compared with.
"""

import argparse
import asyncio
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.load import Call, Target, at, load, serving, shared
from benchmarks.measure import print_table
from benchmarks.serving import page_of
from benchmarks.world import CUSTOMERS, in_order, make_content_home, publish_content
from recommender.registry import MAIN, Registry

CONNECTIONS = 8
QUIET = 6.0
"""Seconds from the end of a swap to the next."""
TAKEN = 2.0
"""Seconds from a promotion until its model answers, at most."""
SHARE = 0.5

Calls = list[tuple[float, float]]
Span = tuple[float, float, float]
"""When the quiet time before a swap began, when the swap did, and when that ended."""


async def drive(target: Target, call: Call, rate: float, models: Path, swaps: int) -> tuple[Calls, list[Span], int]:
    """Every call, every swap, and how many calls failed."""
    calls: Calls = []
    clients, pause = shared(rate, SHARE, CONNECTIONS)
    with ProcessPoolExecutor(1) as other:  # as `murmeli models promote` is one
        await _promote(other, models, 1)
        seconds = (swaps + 1) * (QUIET + 2 * TAKEN)
        under_load = asyncio.create_task(load(target, call, clients, seconds, pause, calls))
        await asyncio.sleep(TAKEN)
        spans = [await _swap(other, models, 1 + (number + 1) % 2) for number in range(swaps)]
    return calls, spans, (await under_load).wrong


async def _swap(other: Executor, models: Path, version: int) -> Span:
    quiet = time.perf_counter()
    await asyncio.sleep(QUIET)
    started = time.perf_counter()
    await _promote(other, models, version)
    await asyncio.sleep(TAKEN)
    return quiet, started, time.perf_counter()


async def _promote(other: Executor, models: Path, version: int) -> None:
    await asyncio.get_running_loop().run_in_executor(other, Registry(models).promote, MAIN, version)


def _row(name: object, calls: Calls, spans: list[Span]) -> list[object]:
    before = [took for sent, took in calls for quiet, started, _ in spans if quiet <= sent < started]
    during = [took for sent, took in calls for _, started, ended in spans if started <= sent < ended]
    tails = at(before, 99), at(during, 99)
    return [name, len(during), tails[0] * 1e3, tails[1] * 1e3, tails[1] / tails[0]]


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
            rate = asyncio.run(load(target, call, CONNECTIONS, 3)).rate
            calls, spans, failed = asyncio.run(drive(target, call, rate, home / "models", chosen.swaps))
    rows = [_row(number, calls, [span]) for number, span in enumerate(spans, 1)]
    print_table(("swap", "calls meanwhile", "quiet p99 ms", "p99 ms", "ratio"), [*rows, _row("all", calls, spans)])
    ratios = sorted(float(str(row[4])) for row in rows)
    print(f"\nThe middle ratio is {ratios[len(ratios) // 2]:.2f}; {failed} of {len(calls)} calls failed.")


if __name__ == "__main__":
    main()
