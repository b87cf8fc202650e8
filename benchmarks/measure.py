"""What the benchmarks share: time within a function, a leg in a process of its own, a table."""

import json
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from recommender.keys import new_key
from recommender.secrets import Secret
from recommender.settings import load_settings
from recommender.stores import store_of
from recommender.types import Role

ROOT = Path(__file__).parent.parent


class Clock:
    """Wall-clock seconds by label; what runs in several threads at once counts in each."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    @contextmanager
    def timing(self, label: str) -> Iterator[None]:
        """Count the time of a block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[label] += time.perf_counter() - started
            self.calls[label] += 1

    def watch(self, owner: object, name: str, label: Callable[[], str]) -> None:
        """From now on, time what a module or class calls by this name, until the process ends."""
        inner: Callable[..., Any] = getattr(owner, name)

        @wraps(inner)
        def timed(*args: object, **kwargs: object) -> object:
            with self.timing(label()):
                return inner(*args, **kwargs)

        setattr(owner, name, timed)


def key_to(home: Path, database: str | None = None) -> str:
    """A new key to a home, an admin's. database: where its store lies, in the home where None."""
    with closing(store_of(home, load_settings(home), database)) as store:
        return new_key(store.keys, Secret(home), Role.ADMIN, "benchmark")[1]


def peak_mb() -> float:
    """The largest resident memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bytes_of(folder: Path) -> int:
    """What the files in a folder take, all told."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def leg(module: str, name: str, *arguments: object) -> dict[str, Any]:
    """Run one leg of a benchmark in a fresh process; what it printed last is its account, as JSON."""
    command = [sys.executable, "-m", module, "--leg", name, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    account: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return account


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table, numbers to the right."""
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(_cell(value) for value in row) + " |")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
