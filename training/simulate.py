"""Writes a large log with something to learn in it: `python -m training.simulate --events 10000000 OUT.csv.gz`.

Items have Zipf popularity and belong to tastes; a customer holds three of
them and takes nine items in ten from those, so factors can be learned. Times
go over 90 days up to 2026-10-31, busier by day than by night, in order. For
the small believable world with channels and errands see `training.bank`.
"""

import argparse
import gzip
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recommender.types import DAY, HOUR, IntArray
from training.files import csv_to_parquet

COLUMNS = ("customer", "type", "item", "kind", "at", "channel")
END = int(datetime(2026, 10, 31, tzinfo=UTC).timestamp()) * 1000
TASTES = 64
HELD = 3
"""Tastes of one customer."""
FAITHFUL = 0.9
"""The share of events whose item is of a taste that the customer holds."""

_TYPES, _TYPE_SHARES = np.array(["view", "click", "purchase"]), (0.7, 0.25, 0.05)
_CHANNELS, _CHANNEL_SHARES = np.array(["web", "mobile", "mail"]), (0.5, 0.4, 0.1)
_PART = 500_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is simulated."""

    events: int = 10_000_000
    customers: int = 200_000
    items: int = 50_000
    days: int = 90
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some events, ascending by time (milliseconds UTC); all arrays of shape (n,). type, channel: index of a name."""

    customer: IntArray
    item: IntArray
    time: IntArray
    type: IntArray
    channel: IntArray


def simulate(scale: Scale) -> Iterator[Part]:
    """The events, part by part; equal scales give equal events."""
    rng = np.random.default_rng(scale.seed)
    taste_of = rng.integers(TASTES, size=scale.items)
    by_taste = np.argsort(taste_of, kind="stable")  # within a taste, the popular first
    starts = np.searchsorted(taste_of[by_taste], np.arange(TASTES + 1))
    held = rng.integers(TASTES, size=(scale.customers, HELD))
    activity = np.cumsum(rng.lognormal(sigma=1.0, size=scale.customers))
    activity /= activity[-1]
    for start in range(0, scale.events, _PART):
        n = min(_PART, scale.events - start)
        customer = np.searchsorted(activity, rng.random(n), "right")
        yield Part(
            customer=customer,
            item=_items(rng, scale, by_taste, starts, held[customer, _skewed(rng, n)]),
            time=_times(rng, scale, start, n),
            type=rng.choice(3, n, p=_TYPE_SHARES),
            channel=rng.choice(3, n, p=_CHANNEL_SHARES),
        )


def _skewed(rng: np.random.Generator, n: int) -> IntArray:
    """Which of the tastes that a customer holds: the first one most."""
    return rng.choice(HELD, n, p=(0.6, 0.3, 0.1))


def _items(rng: np.random.Generator, scale: Scale, by_taste: IntArray, starts: IntArray, taste: IntArray) -> IntArray:
    sizes = np.diff(starts)[taste]
    within = by_taste[np.minimum(starts[taste] + _zipf(rng, sizes), scale.items - 1)]
    anywhere = _zipf(rng, np.full(taste.size, scale.items))
    return np.where((rng.random(taste.size) < FAITHFUL) & (sizes > 0), within, anywhere)


def _zipf(rng: np.random.Generator, sizes: IntArray) -> IntArray:
    """Ranks below each size, rank r with a share near 1 / (r + 1): the inverse of a logarithm."""
    return (np.expm1(rng.random(sizes.size) * np.log1p(sizes))).astype(np.int64)


def _times(rng: np.random.Generator, scale: Scale, start: int, n: int) -> IntArray:
    """Ascending times of events start to start + n of the whole log; four in five between 7 and 22 o'clock UTC."""
    span = scale.days * DAY
    low, high = span * start // scale.events, span * (start + n) // scale.events
    times = np.sort(rng.integers(low, max(high, low + 1), n))
    night = (times // HOUR % 24 < 7) & (rng.random(n) < 0.6)
    moved = times[night] + (7 * HOUR)
    times[night] = np.minimum(moved, max(high - 1, low))
    return np.sort(times) // 1000 * 1000 + END - span


def lines(part: Part) -> bytes:
    """The events as CSV, without a header."""
    at = np.char.add(np.datetime_as_string((part.time // 1000).astype("M8[s]")), "Z").tolist()
    rows = zip(
        part.customer.tolist(), _TYPES[part.type].tolist(), part.item.tolist(), at, _CHANNELS[part.channel].tolist(),
        strict=True,
    )  # fmt: skip
    return "".join(
        f"c{who},{type_},item-{item},content,{at},{channel}\n" for who, type_, item, at, channel in rows
    ).encode()


def write(scale: Scale, path: Path) -> None:
    """The log as a file, by its name's ending: .csv, .csv.gz or .parquet."""
    if path.suffix == ".parquet":
        _write_parquet(scale, path)
        return
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as stream:
        stream.write((",".join(COLUMNS) + "\n").encode())
        for part in simulate(scale):
            stream.write(lines(part))


def _write_parquet(scale: Scale, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain = Path(folder) / "events.csv"
        write(scale, plain)
        csv_to_parquet(plain, path)


def main() -> None:
    """The command `python -m training.simulate`."""
    parser = argparse.ArgumentParser(prog="python -m training.simulate", description="Write a large simulated log.")
    parser.add_argument("out", type=Path, metavar="OUT", help="a file .csv, .csv.gz or .parquet")
    for name, default in asdict(Scale()).items():
        parser.add_argument(f"--{name}", type=_positive, default=default, help=f"default {default}")
    given = vars(parser.parse_args())
    path = given.pop("out")
    if path.suffix not in (".csv", ".gz", ".parquet"):
        parser.error("OUT ends in .csv, .csv.gz or .parquet")
    write(Scale(**given), path)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    main()
