"""What commands share with the person at the terminal: output, progress, common options, a home opened."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from recommender.errors import UsageError
from recommender.instants import Clock
from recommender.settings import Settings, load_settings
from recommender.stores import MEMORY, store_of
from recommender.stores.base import Store
from recommender.stores.sqlite.store import MAIN_FILE

Home = Annotated[
    Path, typer.Option("--home", envvar="MURMELI_HOME", help="The folder with murmeli.toml, the store and the models.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Map = Annotated[
    str | None,
    typer.Option(
        "--map", help="Which column holds what: customer=user_id,item=app,at=ts. Columns of our names map themselves."
    ),
]
HERE = Path()

Shown = Table | Text | str

WIDE = 160
"""Characters of a line in a file or a pipe, which has no width of its own: there no cell of a table is folded."""

out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
err = Console(stderr=True, highlight=False)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong. It may hold what a person typed, so nothing in it is markup."""
    err.print(Text.assemble(("murmeli: ", "bold red"), sentence), soft_wrap=True)


def show(document: object, as_json: bool, *parts: Shown) -> None:
    """Print a result for a machine or for a person."""
    if as_json:
        sys.stdout.write(
            orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"
        )
        return
    for part in parts:
        out.print(Text(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, (str, Text)))


def place_of(home: Path) -> Path | str:
    """Where a home's store lies."""
    return os.environ.get("MURMELI_DATABASE") or home


@contextmanager
def opened(home: Path, *, reading: bool = False) -> Iterator[tuple[Settings, Store]]:
    """A home's settings and store. reading: a store that is not there yet is an empty one, and nothing is made."""
    settings, place = load_settings(home), place_of(home)
    if reading and isinstance(place, Path) and not (place / MAIN_FILE).exists():
        err.print(Text(f"{home.resolve()} has no store yet; `murmeli import events FILE` makes one."), soft_wrap=True)
        place = MEMORY
    with closing(store_of(home, settings, place)) as store:
        yield settings, store


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str, float, float | None], None]]:
    """A bar on standard error for each stage; call it with (stage, done, total)."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Progress(
        *columns, TimeElapsedColumn(), console=err, disable=quiet or not err.is_terminal, transient=True
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: float, total: float | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def mapping_of(text: str | None) -> dict[str, str]:
    """`a=b,c=d` as a dictionary. Raises UsageError where it is not of that form."""
    pairs = [part.split("=", 1) for part in (text or "").split(",") if part]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise UsageError("--map wants name=column pairs with commas between, such as customer=user_id,item=app,at=ts.")
    return {name.strip(): column.strip() for name, column in pairs}


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name} is no time zone here; write it like Europe/Helsinki.") from error


def instant_of(site: ZoneInfo, at: str | int, option: str) -> tuple[int, int]:
    """Milliseconds UTC, and the zone that the time was given in."""
    found = Clock(site).read([at])
    if found.bad[0]:
        raise UsageError(f"{option} wants a time in ISO 8601, such as 2026-11-22T08:30:00+02:00.")
    return int(found.utc[0]), int(found.zone[0])
