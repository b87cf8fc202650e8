"""A believable bank in Finland, simulated: its catalogue, eight weeks of events, and who is who.

The rules, and what may not be concluded from them, are in docs/demo.md. The
same seed gives the same bytes. `python -m training.bank FOLDER` writes a bank to look at.
"""

import argparse
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson

from training.bank_content import Library, draw_library
from training.bank_events import ZONE, Storyteller
from training.bank_world import CHANNELS, FEATURES, MENU

__all__ = ["MENU", "ZONE", "BankFiles", "simulate_bank"]

END = datetime(2026, 11, 16, tzinfo=ZONE)
"""The end of the bank that the command line writes by default. Its eight weeks hold the end of summer time."""
_CATALOGUE = 0
"""Takes the place of a customer's number, which count from 1, in the seed of the catalogue."""


@dataclass(frozen=True)
class BankFiles:
    """Where a bank lies: events.jsonl.gz and items.jsonl as the API takes them; links.csv, with columns a and b."""

    events: Path
    items: Path
    links: Path


def simulate_bank(folder: Path, *, end: datetime, seed: int = 7, customers: int = 2000, days: int = 56) -> BankFiles:
    """Write a bank's last `days` days before `end` into a folder, which is made where it is not there.

    end: with a zone; every event is before it. Raises ValueError where it has none, or a count is not positive.
    """
    if end.tzinfo is None:
        raise ValueError(f"end must carry a time zone, got {end.isoformat()}")
    if customers < 1 or days < 1:
        raise ValueError(f"customers and days must be at least 1, got {customers} and {days}")
    dates = _dates(end, days)
    library = draw_library(np.random.default_rng([seed, _CATALOGUE]), dates)
    people = [Storyteller(seed, number, dates, library) for number in range(1, customers + 1)]
    start, stop = (end - timedelta(days)).timestamp(), end.timestamp()
    lines = sorted(line for person in people for line in person.lines() if start <= line[0] < stop)
    links = sorted((at, a, b) for person in people for (a, b), at in person.links.items() if at < stop)

    folder.mkdir(parents=True, exist_ok=True)
    files = BankFiles(folder / "events.jsonl.gz", folder / "items.jsonl", folder / "links.csv")
    _write_gzip(files.events, [line for _, line in lines])
    files.items.write_bytes(b"".join(_items(library)))
    files.links.write_text("a,b\n" + "".join(f"{a},{b}\n" for _, a, b in links), encoding="utf-8")
    return files


def _dates(end: datetime, days: int) -> tuple[date, ...]:
    """The local days that the simulation touches; the first and the last may be part of it only in part."""
    first = (end - timedelta(days)).astimezone(ZONE).date()
    last = (end - timedelta(milliseconds=1)).astimezone(ZONE).date()
    return tuple(first + timedelta(n) for n in range((last - first).days + 1))


def _items(library: Library) -> Iterator[bytes]:
    for feature in FEATURES:
        offered = [channel for channel, ease in zip(CHANNELS, feature.channels, strict=True) if ease]
        attributes = {"group": feature.group, "product": feature.product, "channels": offered, "public": feature.public}
        yield _item(feature.id, "feature", feature.title, attributes, available=True)
    for piece in library.pieces:
        yield _item(
            piece.id,
            "content",
            piece.title,
            {
                "topic": piece.topic,
                "life_stage": list(piece.stages),
                "product": piece.product,
                "format": piece.format,
                "minutes": piece.minutes,
                "published": piece.published.isoformat(),
            },
            available=piece.withdrawn is None,
        )


def _item(id_: str, kind: str, title: str, attributes: dict[str, object], *, available: bool) -> bytes:
    item = {"id": id_, "kind": kind, "title": title, "attributes": attributes, "available": available}
    return orjson.dumps(item) + b"\n"


def _write_gzip(path: Path, lines: list[bytes]) -> None:
    """The same lines give the same bytes: neither the clock nor the file's name gets into the header."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
        packed.write(b"".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.bank", description="Write a simulated bank.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--days", type=int, default=56)
    parser.add_argument("--end", type=datetime.fromisoformat, default=END, help="with zone offset, ISO 8601")
    given = parser.parse_args()
    files = simulate_bank(given.folder, end=given.end, seed=given.seed, customers=given.customers, days=given.days)
    for path in (files.events, files.items, files.links):
        print(f"{path}  {path.stat().st_size:,} bytes")  # noqa: T201 - what the command answers


if __name__ == "__main__":
    main()
