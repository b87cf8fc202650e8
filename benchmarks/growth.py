"""How the cost of a page grows: with the items, with the length of a customer's history, with the customers.

    python -m benchmarks.growth [--items 1000 10000 ...] [--customers 1000 10000 ...] [--folder FOLDER] [--plot FILE]

CPU time of the process for one page, ranked, filled and with its reasons, of a
store on disk, without HTTP: the middle of many. The plot is one HTML file.
1000000 items take 3.3 GB, and 7 GB of memory to make; 1000000 customers .6 GB and a
minute or two of import.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.measure import print_table
from benchmarks.world import CUSTOMERS, LENGTHS, NOW, customers_of, make_content_home, make_crowd, make_features_home
from recommender.champion import choose
from recommender.page import Request, SlotRequest
from recommender.plugins import registry_at
from recommender.recommender import Recommender
from recommender.settings import load_settings
from recommender.stores import open_store
from training.html.markup import join, tag
from training.html.page import STYLE
from training.html.plots import Point, curve

PAGES = 200


def milliseconds(home: Path, slot: SlotRequest, customers: Sequence[str]) -> float:
    """The CPU time of one page, the middle of many."""
    settings, took = load_settings(home), []
    with closing(open_store(home, strong=settings.strong)) as store, threadpool_limits(1, "blas"):
        recommender = Recommender(store, choose(registry_at(home, settings)).model, settings)
        for number in range(PAGES):
            started = time.process_time()
            recommender.recommend(Request(customers[number % len(customers)], (slot,), NOW))
            took.append(time.process_time() - started)
    return sorted(took)[PAGES // 2] * 1e3


def kept(folder: Path, name: str, make: object, *arguments: object) -> Path:
    """A home of this name, made where it is not there."""
    home = folder / name
    if not home.exists():
        make(home, *arguments)  # type: ignore[operator]
    return home


def measured(folder: Path, items: Sequence[int], customers: Sequence[int]) -> dict[str, list[tuple[int, float]]]:
    """By what grows: how much of it there is, and the milliseconds of a page."""
    features = kept(folder, "features", make_features_home)
    six, twenty = SlotRequest("home.features", 6), SlotRequest("home.content", 20)
    readers = [f"crm:{number}" for number in range(CUSTOMERS)]
    return {
        "content items": [
            (size, milliseconds(kept(folder, f"content-{size}", make_content_home, size), twenty, readers))
            for size in items
        ],
        "events of the customer": [(length, milliseconds(features, six, customers_of(length))) for length in LENGTHS],
        "customers": [
            (many, milliseconds(kept(folder, f"crowd-{many}", make_crowd, features, many), six, customers_of(500)))
            for many in customers
        ],
    }


def page(found: dict[str, list[tuple[int, float]]]) -> str:
    """One HTML file with a curve for each."""
    figures = []
    for what, points in found.items():
        marks = [Point(size, ms, "murmeli", f"{size:,}") for size, ms in points]
        figures.append(tag("h2", f"A page by {what}"))
        figures.append(curve(marks, None, what, "CPU ms", f"CPU milliseconds of a page by {what}"))
    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Growth"), tag("style", STYLE.read_text("utf-8")))
    return "<!doctype html>" + tag("html", head, tag("body", tag("main", join(*figures))), lang="en")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--customers", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plot", type=Path, default=Path("growth.html"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measured(given.folder or Path(scratch), given.items, given.customers)
    rows = [(what, size, ms) for what, points in found.items() for size, ms in points]
    print_table(("what grows", "how many", "CPU ms a page"), rows)
    given.plot.write_text(page(found), encoding="utf-8")
    print(f"\nThe plot: {given.plot}")


if __name__ == "__main__":
    main()
