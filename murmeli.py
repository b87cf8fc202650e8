"""The command line; the only file that knows both sides of the house.

Results go to standard output, as a table or with --json as one document; progress and errors go to standard
error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the gate.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.columns import Columns
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from threadpoolctl import threadpool_limits

from recommender.champion import champion
from recommender.errors import MurmeliError, RefusedError, UsageError
from recommender.history import Context
from recommender.identity import parse_identity
from recommender.instants import Clock
from recommender.recommender import Recommendation, Recommender, Request, SlotRequest
from recommender.registry import MAIN, Registry
from recommender.settings import FILE, Settings, Training, commented, load_settings
from recommender.stores import open_store
from recommender.stores.base import Store
from recommender.types import Kind, code32

if TYPE_CHECKING:
    from training.demo import Demo

app = typer.Typer(
    name="murmeli",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Ranks the content and the features of a service for each customer. Start with `murmeli demo`.",
)
import_app = typer.Typer(no_args_is_help=True, help="Bring in events or items from CSV, JSONL or Parquet files.")
benchmark_app = typer.Typer(
    no_args_is_help=True, help="Measure ranking on files of your own, by the field's protocols."
)
models_app = typer.Typer(no_args_is_help=True, help="List, inspect, promote and roll back trained models.")
app.add_typer(import_app, name="import")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(models_app, name="models")

Home = Annotated[
    Path, typer.Option("--home", envvar="MURMELI_HOME", help="The folder with murmeli.toml, the store and the models.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Files = Annotated[list[Path], typer.Argument(help="CSV, JSONL or Parquet, gzip too.", show_default=False)]
Map = Annotated[
    str | None,
    typer.Option(
        "--map", help="Which column holds what: customer=user_id,item=app,at=ts. Columns of our names map themselves."
    ),
]
HERE = Path()
DEMO = Path("demo-home")
REJECTS = "rejects.jsonl"

out = Console()
err = Console(stderr=True)


def main() -> None:
    """Run the command line and turn what was raised on purpose into a sentence and an exit code."""
    try:
        with threadpool_limits(1, "blas"):  # the work is many small products; BLAS threads only get in its way
            app()
    except MurmeliError as error:
        err.print(f"[bold red]murmeli:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError) else 3 if isinstance(error, RefusedError) else 1)


def show(document: object, as_json: bool, *tables: Table | str | Columns) -> None:
    """Print a result for a machine or for a person."""
    if as_json:
        sys.stdout.write(
            orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"
        )
        return
    for table in tables:
        out.print(table)


def table_of(title: str, rows: list[dict[str, Any]]) -> Table:
    """Rows of the same keys as a table; numbers to the right, floats to four places."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name, value in rows[0].items() if rows else ():
        table.add_column(name, justify="right" if isinstance(value, (int, float)) else "left")
    for row in rows:
        table.add_row(*(f"{v:.4f}" if isinstance(v, float) else "" if v is None else str(v) for v in row.values()))
    return table


@contextmanager
def opened(home: Path) -> Iterator[tuple[Settings, Store]]:
    """A home's settings and store."""
    settings = load_settings(home)
    with closing(open_store(os.environ.get("MURMELI_DATABASE") or home, strong=settings.strong)) as store:
        yield settings, store


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str, float, float | None], None]]:
    """A bar on standard error for each stage; call it with (stage, done, total)."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Progress(*columns, TimeElapsedColumn(), console=err, disable=quiet, transient=True) as bars:
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


@app.command()
def init(home: Home = HERE) -> None:
    """Write a commented murmeli.toml.

    Example: `murmeli init --home shop`
    """
    path = home / FILE
    if path.exists():
        raise UsageError(f"{path} is there already; edit it, or move it away first.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        path.write_text(commented(), encoding="utf-8")
    except OSError as error:
        raise MurmeliError(f"{path} cannot be written ({error.strerror}). Choose a folder you may write to.") from error
    out.print(f"Wrote {path}. Next: murmeli import events FILE --home {home}")


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="A folder for the demo; one of an earlier demo is made anew.")] = DEMO,
    seed: Annotated[int, typer.Option(help="Another seed, another bank.")] = 7,
    customers: Annotated[int, typer.Option(min=10, help="How many customers the bank has.")] = 2000,
    port: Annotated[int | None, typer.Option(help="The port to serve on; else 8787.")] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after the figures and the pages.")] = False,
    as_json: Json = False,
) -> None:
    """Simulate a bank's log, import it, train, show what came of it, and serve.

    Example: `murmeli demo`
    """
    from serving.bootstrap import serve as run
    from training.demo import clear, prepare

    clear(home)
    with opened(home) as (settings, store), progress(as_json) as report:
        made = prepare(store, home, settings, seed=seed, customers=customers, progress=report)
        recommender = recommender_of(home, store, settings)
        context = context_of(settings, None, "mobile")
        slots = (SlotRequest("home.features"), SlotRequest("home.content", 6))
        pages = {who: recommender.recommend(Request(who, slots, context)) for who in made.customers}
    document = {
        "imported": asdict(made.imported),
        "links": made.links,
        "trained": made.trained.document(),
        "pages": {who: asdict(answer) for who, answer in pages.items()},
    }
    show(document, as_json, *demo_tables(made, pages))
    if not no_serve:
        run(home, port=port, announce=lambda url: out.print(try_it(url, made.customers[0], pages), soft_wrap=True))


def demo_tables(made: "Demo", pages: dict[str, Recommendation]) -> list[Table | str | Columns]:
    """What was imported, the one-click rate, and two pages side by side."""
    imported = made.imported
    rows = [
        {
            "ranked by": row["name"],
            "one-click rate": row["hit@1"],
            "among the first 3": row["hit@3"],
            "mean 1/position": row["mrr"],
        }
        for row in made.trained.judgements["feature"]
    ]
    uses = f"{made.trained.judgements['feature'][0]['n']:,}"
    return [
        f"A simulated bank: {imported.accepted:,} events, {made.links:,} links between identities (docs/demo.md).",
        table_of(
            f"Was the feature that a customer used next in the first place? {uses} uses of the held-out last week", rows
        ),
        Columns(
            [Group(f"[bold]{who}[/], on mobile, now", *page(answer)) for who, answer in pages.items()], padding=(1, 4)
        ),
    ]


def try_it(url: str, customer: str, pages: dict[str, Recommendation]) -> str:
    """Lines for another terminal that show an event changing the next answer."""
    ask = f"curl -s '{url}/v1/recommend/home.features?customer={customer}&channel=mobile'"
    item = pages[customer].slots[0].items[-1].item
    event = orjson.dumps({"event_id": "demo-1", "customer": customer, "type": "use", "item": item, "channel": "mobile"})
    return (
        f"\nMurmeli answers at {url} (the API: {url}/docs). Stop it with Ctrl-C.\n\n"
        f"In another terminal: {customer}'s menu, then one use of {item}, then the menu again: {item} has moved up.\n\n"
        f"{ask}\n"
        f"curl -s {url}/v1/events -H 'content-type: application/json' -d '{event.decode()}'\n"
        f"{ask}\n"
    )


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
            rejects_path=home / REJECTS,
            progress=lambda share, _: report("import", share, 1),
        )
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
            rejects_path=home / REJECTS,
            progress=lambda share, _: report("import", share, 1),
        )
    show_import(asdict(summary), as_json, strict)


def show_import(summary: dict[str, Any], as_json: bool, strict: bool) -> None:
    """The import's account: every row of the files is in exactly one line of it."""
    table = Table(title="Imported", title_justify="left", title_style="bold", show_header=False)
    for name, value in summary.items():
        if name == "reasons":
            for reason, count in sorted(value.items()):
                table.add_row(f"  {reason}", f"{count:,}")
        elif value not in (None, "", []):
            table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    show(summary, as_json, table, *([] if summary["rows"] else ["The files hold no rows: nothing was imported."]))
    if strict and summary["rejected"]:
        raise typer.Exit(1)


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name} is no time zone here; write it like Europe/Helsinki.") from error


@app.command()
def train(
    home: Home = HERE,
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion at once.")] = False,
    as_json: Json = False,
) -> None:
    """Train on the whole log, judge it on the newest part, publish it as challenger.

    Where there is no champion yet, it becomes the champion. Example: `murmeli train --promote`
    """
    from training.pipeline import train as run

    with opened(home) as (settings, store), progress(as_json) as report:
        result = run(store, home / "models", settings, promote=promote, progress=report)
    show(result.document(), as_json, *judgement_tables(result.judgements), result.summary())


@app.command()
def evaluate(home: Home = HERE, as_json: Json = False) -> None:
    """Judge the champion's configuration on the newest part of the log, beside the baselines; publishes nothing.

    Example: `murmeli evaluate --json`
    """
    from training.pipeline import evaluate as run

    with opened(home) as (settings, store), progress(as_json) as report:
        result = run(store, settings, progress=report)
    show(result.document(), as_json, *judgement_tables(result.judgements), result.summary())


def judgement_tables(judgements: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """One table a kind: each row a way to rank, each column a measure."""
    return [table_of(f"{kind}: what will be used next", rows) for kind, rows in judgements.items() if rows]


@benchmark_app.command("next-use")
def benchmark_next_use(
    events: Annotated[Path, typer.Option(help="A behaviour log: CSV, JSONL or Parquet.", show_default=False)],
    map_: Map = None,
    split: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of each customer's events to learn from.")
    ] = 0.8,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What will this customer use next: chronological, each event ranked before it is known.

    Example: `murmeli benchmark next-use --events log.csv.gz --map customer=user,item=command,at=time`
    """
    from training.next_use import run

    with progress(as_json) as report:
        document = run(events, mapping_of(map_), split=split, seed=seed, progress=report)
    show(document, as_json, table_of("next use", rows_of(document)), footer(document))


@benchmark_app.command("top-n")
def benchmark_top_n(
    train_: Annotated[Path, typer.Option("--train", help="One line a user: user item item ...; or CSV user,item.")],
    test: Annotated[Path, typer.Option(help="The items to be found, in the same form.")],
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many are shown.")] = 20,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What else would this customer want: all items ranked, those of the training file masked.

    Example: `murmeli benchmark top-n --train train.txt.gz --test test.txt.gz`
    """
    from training.top_n import run

    with progress(as_json) as report:
        document = run(train_, test, k, Training(seed=seed), report)
    show(document, as_json, table_of("top n", rows_of(document)), footer(document))


def rows_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A benchmark's rows."""
    rows: list[dict[str, Any]] = document["results"]
    return rows


def footer(document: dict[str, Any]) -> str:
    """What a benchmark cost."""
    return f"{document['seconds']:.1f} s, peak memory {document['peak_rss_mb']:.0f} MB"


@models_app.command("list")
def models_list(home: Home = HERE, as_json: Json = False) -> None:
    """Every version, its state, and what points at it.

    Example: `murmeli models list`
    """
    registry = Registry(home / "models")
    aliases = registry.aliases().model_dump()
    rows = [
        {
            "version": f"{MAIN}/{v.number}",
            "alias": ", ".join(alias for alias in ("champion", "challenger") if aliases[alias] == v.number),
            "created": v.manifest.created if v.manifest else "",
            "events": v.manifest.log.events if v.manifest else None,
            "fingerprint": v.manifest.fingerprint[:12] if v.manifest else "",
            "state": v.reason or "ok",
        }
        for v in registry.versions()
    ]
    strays = [f"{stray.path}: {stray.reason}" for stray in registry.strays()]
    tables = [table_of("Models", rows)] if rows else ["No model yet: `murmeli train` makes one."]
    show({"models": rows, "strays": strays}, as_json, *tables, *strays)


Version = Annotated[str, typer.Argument(help="A number, main/NUMBER, champion or challenger.", show_default=False)]


def number_of(version: str) -> str:
    """What the registry calls a version that a person wrote."""
    return version.removeprefix(f"{MAIN}/")


@models_app.command("show")
def models_show(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """One version's manifest: what it was made of, and how good it was.

    Example: `murmeli models show champion --json`
    """
    manifest = Registry(home / "models").manifest(MAIN, number_of(version)).model_dump(mode="json")
    facts = {**{k: v for k, v in manifest.items() if not isinstance(v, (dict, list))}, **manifest["log"]}
    facts = {"what": "found"} | facts
    rows = [{"what": name, "found": str(value)} for name, value in facts.items() if name != "what"]
    show(manifest, as_json, table_of(f"{MAIN}/{version}", rows), *judgement_tables(manifest["metrics"]))


@models_app.command("promote")
def models_promote(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """Make a version the champion, after checking every byte of it; a running server follows.

    Example: `murmeli models promote 3`
    """
    number = Registry(home / "models").promote(MAIN, number_of(version))
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion.")


@models_app.command("rollback")
def models_rollback(home: Home = HERE, as_json: Json = False) -> None:
    """Back to the champion before this one.

    Example: `murmeli models rollback`
    """
    number = Registry(home / "models").rollback()
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion again.")


@app.command()
def recommend(
    customer: str,
    home: Home = HERE,
    placement: Annotated[str | None, typer.Option(help="One placement; else the whole page.")] = None,
    k: Annotated[int | None, typer.Option(min=1, max=1000, help="How many; else the placement's size.")] = None,
    at: Annotated[str | None, typer.Option(help="The time to answer for, ISO 8601; else now.")] = None,
    channel: Annotated[str, typer.Option(help="The channel to answer for.")] = "",
    as_json: Json = False,
) -> None:
    """Rank for a customer, as the server would.

    Example: `murmeli recommend crm:42 --placement home.features --k 6`
    """
    with opened(home) as (settings, store):
        slots = [placement] if placement else list(settings.placements)
        answer = recommender_of(home, store, settings).recommend(
            Request(
                parse_identity(customer),
                tuple(SlotRequest(slot, k) for slot in slots),
                context_of(settings, at, channel),
            )
        )
    show(asdict(answer), as_json, *page(answer))


def page(answer: Recommendation) -> list[Table | str]:
    """An answer as tables, one a slot."""
    tables: list[Table | str] = [
        table_of(slot.placement, [{"item": i.item, "score": i.score, "reason": i.reason} for i in slot.items])
        for slot in answer.slots
    ]
    return tables + [f"degraded: {what}" for what in answer.degraded]


@app.command()
def explain(
    customer: str,
    item: str,
    placement: Annotated[str, typer.Option(help="The placement to look at.")] = "home.features",
    home: Home = HERE,
    at: Annotated[str | None, typer.Option(help="The time to answer for, ISO 8601; else now.")] = None,
    channel: Annotated[str, typer.Option(help="The channel to answer for.")] = "",
    as_json: Json = False,
) -> None:
    """Why an item stands where it stands for a customer, or why it is not there.

    Example: `murmeli explain crm:42 pay-bill --placement home.features`
    """
    with opened(home) as (settings, store):
        why = recommender_of(home, store, settings).explain(
            parse_identity(customer), item, placement, context_of(settings, at, channel)
        )
    parts = [{"source": name, "lift": lift} for name, lift in sorted(why.parts.items(), key=lambda part: -part[1])]
    stands = f"rank {why.rank}" if why.rank else f"not shown: {why.hidden}"
    show(asdict(why), as_json, f"{why.item} at {why.placement}: {stands}; reason: {why.reason}", table_of("", parts))


def recommender_of(home: Path, store: Store, settings: Settings) -> Recommender:
    """Answers with the champion, or with habit alone where there is none."""
    return Recommender(store, champion(Registry(home / "models")), settings)


def context_of(settings: Settings, at: str | None, channel: str) -> Context:
    """Where and when; a time without a zone is in the site's."""
    moment, zone = instant_of(settings.zone_info, at or time.time_ns() // 1_000_000, "--at")
    return Context(moment, zone, code32(channel))


def instant_of(site: ZoneInfo, at: str | int, option: str) -> tuple[int, int]:
    """Milliseconds UTC, and the zone that the time was given in."""
    found = Clock(site).read([at])
    if found.bad[0]:
        raise UsageError(f"{option} wants a time in ISO 8601, such as 2026-11-22T08:30:00+02:00.")
    return int(found.utc[0]), int(found.zone[0])


@app.command()
def link(a: str, b: str, home: Home = HERE, as_json: Json = False) -> None:
    """Say that two identities are one person; acts on the next request.

    Example: `murmeli link web:cookie-7 crm:123`
    """
    with opened(home) as (_, store):
        identities = store.identities.link(parse_identity(a), parse_identity(b))
    show({"identities": identities}, as_json, f"One customer: {', '.join(identities)}")


@app.command()
def unlink(identity: str, home: Home = HERE, as_json: Json = False) -> None:
    """Give an identity back to itself, with its own events.

    Example: `murmeli unlink web:cookie-7`
    """
    with opened(home) as (_, store):
        identities = store.identities.unlink(parse_identity(identity))
    show({"identities": identities}, as_json, f"On its own again: {', '.join(identities)}")


@app.command()
def serve(
    home: Home = HERE,
    host: Annotated[str | None, typer.Option(help="The address to listen on; else the settings'.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; else the settings'.")] = None,
) -> None:
    """Serve over HTTP, with the API page under /docs.

    Example: `murmeli serve --port 8787`
    """
    from serving.bootstrap import serve as run

    run(home, host=host, port=port)


@app.command()
def doctor(home: Home = HERE, as_json: Json = False) -> None:
    """Check a home: settings, store, ledger, models. Exit code 1 where something is wrong.

    Example: `murmeli doctor --home shop`
    """
    with opened(home) as (_, store):
        kept, ledger = store.check(), store.ledger.state()
    models = model_problems(home)
    problems = [*kept["problems"], *models]
    rows = [{"what": what, "found": str(value)} for what, value in {**kept, **ledger}.items()]
    verdict = "[green]All is well.[/]" if not problems else "\n".join(f"[red]wrong:[/] {p}" for p in problems)
    document = {"ok": not problems, "store": kept, "ledger": ledger, "models": models}
    show(document, as_json, table_of(str(home.resolve()), rows), verdict)
    if problems:
        raise typer.Exit(1)


def model_problems(home: Path) -> list[str]:
    """What is wrong with the models folder, in words; the champion is read and checked whole."""
    registry = Registry(home / "models")
    problems = [f"{MAIN}/{v.number}: {v.reason}" for v in registry.versions() if v.reason]
    problems += [f"models/{MAIN}/{stray.path}: {stray.reason}" for stray in registry.strays()]
    try:
        champion(registry)
    except MurmeliError as error:
        problems.append(f"the champion: {error}")
    return problems


if __name__ == "__main__":
    main()
