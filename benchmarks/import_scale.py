"""Import of a large simulated log: how fast, in how much memory, onto how much disk, beside the bare database.

    python -m benchmarks.import_scale [--events 10000000] [--customers 200000] [--items 50000] [--folder FOLDER]

The import runs in a process of its own. Its parts are timed inside it: *door*
checks and hashes, *store* is the transactions, *reading* is the rest of the
time (parsing, derived ids, rejects). The *floor* writes the rows of the
`events` table that the import left behind once more, with apsw's executemany
into the same table, in transactions of the same size and durability, in the
order in which the importer would: no profile, no check, no parsing, no sorting.
With --folder the store stays there, for train_scale; else it is thrown away.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import apsw
import numpy as np

from benchmarks.measure import Clock, bytes_of, leg, peak_mb, print_table
from training.runs import RUN

TABLE = """
CREATE TABLE events(identity INTEGER NOT NULL, key INTEGER NOT NULL, digest INTEGER NOT NULL, record BLOB NOT NULL,
    event_id TEXT, extra TEXT, PRIMARY KEY(identity, key)) WITHOUT ROWID
"""
STRONG = ("crm", "id")


def simulated(folder: Path, events: int, customers: int, items: int) -> Path:
    """The log that `python -m training.simulate` writes; one that lies there already is taken as it is."""
    path = folder / f"events-{events}.csv.gz"
    if not path.exists():
        sizes = ["--events", str(events), "--customers", str(customers), "--items", str(items)]
        command = [sys.executable, "-m", "training.simulate", str(path), *sizes]
        subprocess.run(command, check=True, cwd=Path(__file__).parent.parent, stdout=sys.stderr)  # noqa: S603 - ours
    return path


def import_leg(file: Path, home: Path) -> dict[str, Any]:
    """Import a file into a new home, its parts timed."""
    from recommender.events import Door
    from recommender.stores import open_store
    from recommender.stores.sqlite import events as events_on_disk
    from recommender.stores.sqlite import parts
    from training.importers import import_events

    clock = Clock()
    clock.watch(Door, "admit", lambda: "door")
    clock.watch(events_on_disk.SqliteEvents, "append", lambda: "store")
    clock.watch(events_on_disk, "_write_log", lambda: "store: events")
    clock.watch(parts, "extend", lambda: "store: profiles")
    store = open_store(home, strong=STRONG)
    cpu = time.process_time()
    with clock.timing("import"):
        summary = import_events(
            store.events,
            [file],
            zone=ZoneInfo("UTC"),
            rejects_path=home / "rejects.jsonl",
        )
    store.close()
    cpu = time.process_time() - cpu
    return {
        "rows": summary.rows,
        "accepted": summary.accepted,
        "seconds": dict(clock.seconds),
        "transactions": clock.calls["store"],
        "peak_mb": peak_mb(),
        "cpu": cpu,
        "bytes": bytes_of(home),
    }


def floor_leg(home: Path, batch: int) -> dict[str, Any]:
    """The same rows in the same order, `batch` to a transaction."""
    target = home / "floor.db"
    target.unlink(missing_ok=True)
    connection = apsw.Connection(str(target))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "FULL")
    connection.pragma("cache_size", -64 * 1024)
    connection.wal_autocheckpoint(4_000)
    connection.execute(TABLE)
    rows = spent = cpu = 0.0
    for part in _batches(home, batch):
        started, busy = time.perf_counter(), time.process_time()
        with connection:
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", part)
        spent += time.perf_counter() - started
        cpu += time.process_time() - busy
        rows += len(part)
    started = time.perf_counter()
    connection.close()
    spent += time.perf_counter() - started
    account = {"rows": int(rows), "seconds": spent, "cpu": cpu, "bytes": target.stat().st_size}
    target.unlink()
    return account


def _batches(home: Path, batch: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows as the importer hands them to the store: in runs by time, each run sorted by identity."""
    reader = apsw.Connection(str(home / "murmeli.db"), flags=apsw.SQLITE_OPEN_READONLY)
    records = reader.execute("SELECT record FROM events")
    times = np.fromiter((_time(record) for (record,) in records), np.int64)
    ends = np.sort(times)[RUN - 1 :: RUN]
    reader.create_scalar_function("run_of", lambda record: int(np.searchsorted(ends, _time(record))), 1)  # type: ignore[misc, arg-type]
    rows = iter(reader.execute("SELECT * FROM events ORDER BY run_of(record), identity, key"))
    while part := list(islice(rows, batch)):
        yield part
    reader.close()


def _time(record: bytes) -> int:
    return int.from_bytes(record[:8], "little", signed=True)


def report(imported: dict[str, Any], floor: dict[str, Any]) -> None:
    """The tables."""
    n, seconds = imported["accepted"], imported["seconds"]
    total = seconds["import"]
    head = ("part", "seconds", "events/s", "share")
    reading = {"reading": total - seconds["door"] - seconds["store"]}
    parts = reading | {name: spent for name, spent in sorted(seconds.items()) if name != "import"}
    rows = [(name, spent, int(n / max(spent, 1e-9)), spent / total) for name, spent in parts.items()]
    print(f"\n{imported['rows']:,} rows, {n:,} accepted, {imported['transactions']} transactions\n")
    print_table(head, [*rows, ("**import**", total, int(n / total), 1.0)])
    print()
    print_table(
        ("way", "seconds", "CPU seconds", "events/s", "peak RSS MB", "on disk MB", "bytes an event"),
        [
            (
                "import",
                total,
                imported["cpu"],
                int(n / total),
                imported["peak_mb"],
                imported["bytes"] / 1e6,
                imported["bytes"] / n,
            ),
            (
                "floor: executemany",
                floor["seconds"],
                floor["cpu"],
                int(floor["rows"] / floor["seconds"]),
                None,
                floor["bytes"] / 1e6,
                floor["bytes"] / floor["rows"],
            ),
        ],
    )
    ratios = total / floor["seconds"], imported["cpu"] / floor["cpu"]
    print(f"\nThe import takes {ratios[0]:.1f} times the floor, {ratios[1]:.1f} times its CPU seconds.")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--leg", choices=("import", "floor"))
    parser.add_argument("rest", nargs="*")
    given = parser.parse_args()
    if given.leg == "import":
        print(json.dumps(import_leg(Path(given.rest[0]), Path(given.rest[1]))))
    elif given.leg == "floor":
        print(json.dumps(floor_leg(Path(given.rest[0]), int(given.rest[1]))))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            folder: Path = given.folder or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            home = folder / "home"
            if home.exists():
                parser.error(f"{home} exists; take it away, so that the import begins with nothing")
            file = simulated(folder, given.events, given.customers, given.items)
            imported = leg("benchmarks.import_scale", "import", file, home)
            floor = leg("benchmarks.import_scale", "floor", home, -(-imported["accepted"] // imported["transactions"]))
            report(imported, floor)


if __name__ == "__main__":
    main()
