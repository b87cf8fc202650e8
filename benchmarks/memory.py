"""The memory of a service with a large model, and how soon it is ready, by one worker and by two.

    python -m benchmarks.memory [--items 100000] [--home HOME]

Private memory is what a process has for itself (/proc/PID/smaps: Private_Clean
and Private_Dirty); the model's arrays are mapped from their files, and in
memory once for all workers.
"""

import argparse
import asyncio
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

from benchmarks.drills.service import Service
from benchmarks.load import Target, load
from benchmarks.measure import print_table
from benchmarks.serving import page_of
from benchmarks.world import CUSTOMERS, make_content_home


def private_mb(pid: int) -> tuple[float, float]:
    """What a process has for itself; and how much of that are pages of files that it alone has mapped.

    Those are the model's, where it is alone, and those of libraries: the system takes them back when it needs room.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    dirty, clean = (
        sum(int(line.split()[1]) for line in lines if line.startswith(f"Private_{kind}")) / 1024
        for kind in ("Dirty", "Clean")
    )
    return dirty + clean, clean


def mapped_mb(pid: int, folder: Path) -> tuple[float, float]:
    """How much of the files in a folder a process has mapped and in memory; and how much of that is its own copy."""
    resident = private = 0
    ours = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and ":" not in words[0]:
            ours = len(words) > 5 and words[5].startswith(str(folder))
        elif ours and words[0] == "Rss:":
            resident += int(words[1])
        elif ours and words[0] == "Private_Dirty:":
            private += int(words[1])
    return resident / 1024, private / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--home", type=Path, help="one that `benchmarks.serving --folder` left")
    chosen = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = chosen.home or Path(scratch) / "home"
        if not home.exists():  # in a process of its own: libraries loaded here would count as shared with the service
            with get_context("spawn").Pool(1) as other:
                other.apply(make_content_home, (home, chosen.items))
        call = page_of([f"crm:{number}" for number in range(CUSTOMERS)], ("home.content", 20))
        for workers in (1, 2):
            with Service(home, None, "--workers", str(workers)) as service:
                target = Target(service.port, service.pid, service.key)
                asyncio.run(load(target, call, 16, 3))
                time.sleep(1)  # the last answers go to the ledger
                for number, pid in enumerate(target.processes()):
                    role = "supervisor" if workers > 1 and number == 0 else "worker"
                    mapped, copied = mapped_mb(pid, (home / "models").resolve())
                    own, files = private_mb(pid)
                    alone = mapped if workers == 1 else 0  # mapped by one process, it counts as its own
                    rows.append([workers, role, own - alone, files - alone, mapped, copied, service.ready])
    head = ("workers", "process", "private MB", "of it files MB", "model mapped MB", "of it copied MB", "ready s")
    print_table(head, rows)


if __name__ == "__main__":
    main()
