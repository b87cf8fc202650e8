"""`murmeli import`: logs and catalogues of files into the store."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recommender import rejects
from recommender.types import Kind
from training.report import import_table
from training.terminal import HERE, Home, Json, Map, instant_of, mapping_of, opened, progress, show, zone_of

import_app = typer.Typer(no_args_is_help=True, help="Bring in events or items from CSV, JSONL or Parquet files.")

Files = Annotated[list[Path], typer.Argument(help="CSV, JSONL or Parquet, gzip too.", show_default=False)]


@import_app.command("events")
def import_events_(
    files: Files,
    home: Home = HERE,
    map_: Map = None,
    kind: Annotated[Kind | None, typer.Option(help="The kind of items not met before.")] = None,
    type_: Annotated[str, typer.Option("--type", help="The event type of rows that have none.")] = "use",
    channel: Annotated[str | None, typer.Option(help="The channel of rows that have none.")] = None,
    default_time: Annotated[str | None, typer.Option(help="The time of rows that have none.")] = None,
    zone: Annotated[str | None, typer.Option(help="The zone of times that have none; else the site's.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where a row was rejected.")] = False,
    as_json: Json = False,
) -> None:
    """Import a behaviour log. Importing it again changes nothing; a longer version of it adds what is new.

    Example: `murmeli import events log.csv.gz --map customer=user_id,item=app,at=ts --kind feature`
    """
    from recommender.events import Defaults
    from training.importers import import_events

    with opened(home) as (settings, store), progress(as_json) as report:
        site = zone_of(zone) if zone else settings.zone_info
        when = instant_of(site, default_time, "--default-time")[0] if default_time else None
        summary = import_events(
            store.events,
            files,
            mapping=mapping_of(map_),
            defaults=Defaults(type_, kind, channel, when),
            zone=site,
            rejects_path=home / rejects.FILE,
            progress=lambda share, _: report("import", share, 1),
        )
        rejects.sweep(home, store.persons.erased)
    show_import(asdict(summary), as_json, strict)


@import_app.command("items")
def import_items_(
    files: Files,
    home: Home = HERE,
    map_: Map = None,
    kind: Annotated[Kind | None, typer.Option(help="The kind of rows that have none.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where a row was rejected.")] = False,
    as_json: Json = False,
) -> None:
    """Import a catalogue: id, kind, title, available; every other column becomes an attribute.

    Example: `murmeli import items products.parquet --map id=sku,title=name --kind content`
    """
    from training.catalogues import import_items

    with opened(home) as (_, store), progress(as_json) as report:
        summary = import_items(
            store,
            files,
            mapping=mapping_of(map_),
            kind=kind,
            rejects_path=home / rejects.FILE,
            progress=lambda share, _: report("import", share, 1),
        )
    show_import(asdict(summary), as_json, strict)


def show_import(summary: dict[str, Any], as_json: bool, strict: bool) -> None:
    """The import's account; with --strict a rejected row is a failure."""
    nothing = ["The files hold no rows: nothing was imported."] if not summary["rows"] else []
    show(summary, as_json, import_table(summary), *nothing)
    if strict and summary["rejected"]:
        raise typer.Exit(1)
