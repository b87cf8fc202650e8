"""What a page costs right after the catalogue changed, when the answer that finds the change takes it in.

    python -m benchmarks.changes [--items 1000 10000 100000] [--folder FOLDER]

Milliseconds of one page of 20 items, ranked and filled, of a store on disk, without HTTP; the model goes by titles and
attributes too. Beside the usual page: after one item came, after a title changed, after an item was taken off, and
after a hundred items came at once; the middle of several. `first` is the very first new item, which loads a library.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.growth import kept
from benchmarks.measure import print_table
from benchmarks.world import CUSTOMERS, NOW, describe, make_described_home
from recommender.champion import choose
from recommender.page import Request, SlotRequest
from recommender.plugins import registry_at
from recommender.recommender import Recommender
from recommender.settings import load_settings
from recommender.stores import open_store
from recommender.stores.base import Item

TIMES = 9
MANY = 100
SLOT = SlotRequest("home.content", 20)


def changes(number: "count[int]") -> dict[str, Callable[[], Sequence[Item]]]:
    """What is put, by what is then measured. number: of what was put so far."""
    rng = np.random.default_rng(7)

    def entries(prefix: str, many: int) -> list[Item]:
        return describe([f"{prefix}-{next(number)}" for _ in range(many)], rng)

    return {
        "first new item": lambda: entries("new", 1),
        "a new item": lambda: entries("new", 1),
        "a changed title": lambda: entries("item", 1),
        "one taken off": lambda: [Item(one.id, one.kind, available=False) for one in entries("item", 1)],
        f"{MANY} new items": lambda: entries("new", MANY),
        "nothing": list,
    }


def measured(home: Path) -> dict[str, float]:
    """By what changed: the milliseconds of the next page, the middle of several."""
    settings, numbers, pages = load_settings(home), count(), count()
    found: dict[str, float] = {}
    with closing(open_store(home, strong=settings.strong)) as store, threadpool_limits(1, "blas"):
        recommender = Recommender(store, choose(registry_at(home, settings)).model, settings)

        def page() -> float:
            started = time.perf_counter()
            recommender.recommend(Request(f"crm:{next(pages) % CUSTOMERS}", (SLOT,), NOW))
            return (time.perf_counter() - started) * 1e3

        for _ in range(TIMES):
            page()
        for name, put in changes(numbers).items():
            took = []
            for _ in range(1 if name.startswith("first") else TIMES):
                if items := put():
                    store.items.put(items)
                took.append(page())
            found[name] = sorted(took)[len(took) // 2]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in given.items:
            folder = given.folder or Path(scratch)
            found = measured(kept(folder, f"described-{size}", make_described_home, size))
            rows.append([size, *found.values()])
    print_table(("items", *(f"{name} ms" for name in found)), rows)


if __name__ == "__main__":
    main()
