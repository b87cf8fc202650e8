"""Events over HTTP: batches and single ones, of many clients and of one, by one worker and by two.

    python -m benchmarks.ingest [--seconds 5]

Each event is on disk (synchronous FULL) and in the profile when it is
acknowledged; the floor, in the same run and on the same disk, is one file that
is appended to and synced for each event.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks.load import Call, load, serving
from benchmarks.measure import print_table

CUSTOMERS, ITEMS, BATCH = 2_000, 200, 500


def calls() -> tuple[Call, Call]:
    """One event, and a batch of them; customers and items drawn at random."""
    draw = random.Random(7)  # noqa: S311 - not a secret
    run, number = f"{time.time_ns():x}", count()

    def event() -> dict[str, object]:
        who, what = f"crm:{draw.randrange(CUSTOMERS)}", f"feature-{draw.randrange(ITEMS)}"
        return {"event_id": f"{run}-{next(number)}", "customer": who, "type": "use", "item": what, "channel": "mobile"}

    return ("/v1/events", event), ("/v1/events", lambda: [event() for _ in range(BATCH)])


def syncs_a_second(folder: Path, seconds: float) -> float:
    """How often a file can be appended to and synced."""
    written, started = 0, time.perf_counter()
    with open(folder / "floor", "ab", buffering=0) as file:
        while time.perf_counter() - started < seconds:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            written += 1
    return written / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    chosen = parser.parse_args()
    one, batch = calls()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as folder:
        syncs = syncs_a_second(Path(folder), 1)
        for workers in (1, 2):
            home = Path(folder) / f"home-{workers}"
            home.mkdir()
            with serving(home, workers) as target:
                for call, size, many in ((batch, BATCH, 8), (one, 1, 64), (one, 1, 1)):
                    seen = asyncio.run(load(target, call, many, chosen.seconds))
                    rate = seen.rate * size
                    rows.append(
                        [workers, size, many, rate, rate / syncs, seen.cpu / size, seen.p50, seen.p99, seen.wrong]
                    )
    head = ("workers", "events a call", "connections", "events/s", "events a sync", "CPU us/event", "p50 ms", "p99 ms")
    print_table((*head, "not 200"), rows)
    print(f"\nThe disk syncs {syncs:,.0f} times a second, one after the other.")


if __name__ == "__main__":
    main()
