"""Half an hour of events and pages: does the server's memory stay flat, do its files stay bounded?

    python -m benchmarks.drills.soak [--minutes 30] [--workers 1] [--json]

Clients send events of some thousand customers and ask for their pages, without
a pause. Resident memory (all processes), open files and the size of both
write-ahead logs are looked at meanwhile. After a warm-up of a fifth of the time
memory may grow by a tenth, and open files not at all. SQLite keeps up to 16 MB
of each file in its page cache, which fills as the file grows: so much is taken
off first.
"""

import argparse
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.drills.fresh import trained_home
from benchmarks.drills.service import Client, Service, print_account
from recommender.stores.sqlite.database import CACHE_KIB

CLIENTS = 4
CUSTOMERS = 2_000
WARM = 0.2
GROWTH = 1.1
LARGEST_WAL = 2 * 64 * 2**20
"""Bytes: what journal_size_limit leaves, and as much again while a checkpoint is under way."""


@dataclass
class Account:
    """warm: after the warm-up; last: at the end. Memory in MB, the largest of the fifth before each of these moments;

    all: of the processes, cached: of it the most that page caches can hold.
    """

    calls: int = 0
    failed: int = 0
    all_mb: float = 0.0
    cached_mb: float = 0.0
    warm_mb: float = 0.0
    last_mb: float = 0.0
    warm_files: int = 0
    last_files: int = 0
    largest_wal_mb: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Flat, bounded, and nothing failed."""
        return not self.wrong and not self.failed


def processes(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def resident_mb(pid: int) -> float:
    """Private memory and a fair share of what is shared (PSS) of a process and its children."""
    total = 0
    for one in processes(pid):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cached_mb(home: Path, workers: int) -> float:
    """The most that page caches can hold of the files as they are."""
    sizes = (path.stat().st_size / 2**20 for path in home.glob("*.db"))
    return workers * sum(min(size, CACHE_KIB / 1024) for size in sizes)


def open_files(pid: int) -> int:
    """Of a process and its children, connections included."""
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in processes(pid))


def work(client: Client, number: int, until: float, account: Account, lock: threading.Lock) -> None:
    """Events and pages until the time is over."""
    draw, sent = random.Random(number), 0  # noqa: S311 - a drill, no secret
    while time.monotonic() < until:
        customer = f"crm:{draw.randrange(CUSTOMERS)}"
        events: list[dict[str, Any]] = []
        for _ in range(draw.randint(1, 20)):
            sent += 1
            item = f"feature-{draw.randrange(200)}"
            events.append({"event_id": f"{number}-{sent}", "customer": customer, "type": "use", "item": item})
        slots = [{"placement": "home.features"}, {"placement": "home.content"}]
        statuses = [
            client.answer("POST", "/v1/events", events)[0],
            client.answer("POST", "/v1/recommend", {"customer": customer, "slots": slots})[0],
        ]
        with lock:
            account.calls += len(statuses)
            account.failed += sum(status != 200 for status in statuses)


def drill(home: Path, minutes: float, workers: int = 1) -> Account:
    """Load a server of this home for so long; what was seen meanwhile."""
    account, lock, seconds = Account(), threading.Lock(), minutes * 60
    memory: list[float] = []
    with Service(home, None, "--workers", str(workers)) as service, ThreadPoolExecutor(CLIENTS) as pool:
        started = time.monotonic()
        clients = [service.client() for _ in range(CLIENTS)]
        running = [pool.submit(work, client, n, started + seconds, account, lock) for n, client in enumerate(clients)]
        while time.monotonic() < started + seconds:
            time.sleep(seconds / 100)
            account.all_mb, account.cached_mb = resident_mb(service.pid), cached_mb(home, workers)
            memory.append(account.all_mb - account.cached_mb)
            wal = sum(path.stat().st_size for path in home.glob("*.db-wal"))
            account.largest_wal_mb = max(account.largest_wal_mb, wal / 2**20)
            if time.monotonic() < started + seconds * WARM:
                account.warm_files = open_files(service.pid)
            account.last_files = open_files(service.pid)
        for one, client in zip(running, clients, strict=True):
            one.result()
            with closing(client):
                pass
    share = max(1, int(len(memory) * WARM))
    account.warm_mb, account.last_mb = max(memory[:share]), max(memory[-share:])
    _judge(account)
    return account


def _judge(account: Account) -> None:
    if account.last_mb > account.warm_mb * GROWTH:
        account.wrong.append("memory grew")
    if account.last_files > account.warm_files + 2:
        account.wrong.append("open files grew")
    if account.largest_wal_mb * 2**20 > LARGEST_WAL:
        account.wrong.append("a write-ahead log grew")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with trained_home() as home:
        account = drill(home, given.minutes, given.workers)
    print_account(asdict(account) | {"ok": account.ok}, given.json)
    sys.exit(not account.ok)


if __name__ == "__main__":
    main()
