"""The command line; the only file that knows both sides of the house.

Results go to standard output, as a table or with --json as one document; progress and errors go to standard
error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the gate.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from threadpoolctl import threadpool_limits

from recommender import champion
from recommender.champion import choose
from recommender.errors import MurmeliError, RefusedError, UsageError
from recommender.history import Context
from recommender.identity import parse_identity
from recommender.instants import Clock
from recommender.recommender import Recommendation, Recommender, Request, SlotRequest
from recommender.registry import MAIN, MODELS, Aliases, Registry
from recommender.settings import FILE, Settings, Training, commented, load_settings
from recommender.stores import MEMORY, open_store
from recommender.stores.base import Store
from recommender.stores.sqlite.store import MAIN_FILE
from recommender.types import Kind, code32
from training.report import (
    Rows,
    footer,
    home_table,
    import_table,
    judgement_tables,
    manifest_table,
    measures,
    side_by_side,
    table_of,
    version_rows,
    version_table,
)

if TYPE_CHECKING:
    from training.demo import Demo

app = typer.Typer(
    name="murmeli",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
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

FRAMES = 4
"""How much of a traceback is shown where something broke that should not have."""

Shown = Table | Text | str

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def main() -> None:
    """Run the command line; what goes wrong becomes a sentence and an exit code."""
    try:
        with threadpool_limits(1, "blas"):  # the work is many small products; BLAS threads only get in its way
            app()
    except MurmeliError as error:
        complain(str(error))
        sys.exit(2 if isinstance(error, UsageError) else 3 if isinstance(error, RefusedError) else 1)
    except OSError as error:
        complain(f"{error.filename or 'The system'}: {error.strerror or error}.")
        sys.exit(1)
    except Exception as error:
        traceback.print_exception(error, limit=-FRAMES, chain=False)
        complain("This is our fault, not yours. Please report the lines above.")
        sys.exit(1)


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
    with closing(open_store(place, strong=settings.strong)) as store:
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


@app.command()
def init(home: Home = HERE, as_json: Json = False) -> None:
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
    show({"settings": str(path)}, as_json, f"Wrote {path}. Next: murmeli import events FILE --home {home}")


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
    from serving.bootstrap import listen
    from serving.bootstrap import serve as run
    from training.demo import clear, prepare, rising, unlike

    settings = Settings()
    if not no_serve:
        listen(settings.serving.host, settings.serving.port if port is None else port).close()
    clear(home)
    with closing(open_store(home, strong=settings.strong)) as store, progress(as_json) as report:
        made = prepare(store, home, settings, seed=seed, customers=customers, progress=report)
        recommender, _ = recommender_of(home, store, settings)
        context = context_of(settings, None, "mobile")
        slots = (SlotRequest("home.features"), SlotRequest("home.content", 6))
        pages = {who: recommender.recommend(Request(who, slots, context)) for who in made.regulars}
        pages = {who: pages[who] for who in unlike(pages)}
        first = next(iter(pages))
        move = rising(recommender, store, first, context, len(pages[first].slots[0].items))
        tables = demo_tables(made, pages, recommender.catalogue.title)
    document = {
        "imported": asdict(made.imported),
        "links": made.links,
        "trained": made.trained.document(),
        "pages": {who: asdict(answer) for who, answer in pages.items()},
        "move": dict(zip(("use", "lifts", "from", "to"), move, strict=True)),
    }
    show(document, as_json, *tables)
    if not no_serve:
        told = err if as_json else out
        run(
            home,
            port=port,
            announce=lambda url: told.print(Text(try_it(url, first, move)), soft_wrap=True),
        )


def demo_tables(made: "Demo", pages: dict[str, Recommendation], title: Callable[[str], str]) -> list[Shown]:
    """What was imported, the one-click rate, and two pages side by side."""
    imported, judged = made.imported, made.trained.judgements["feature"]
    rows = [
        {
            "ranked by": row["name"],
            "one-click rate": row["hit@1"],
            "among the first 3": row["hit@3"],
            "mean 1/position": row["mrr"],
        }
        for row in judged
    ]
    spent = sum(made.trained.seconds.values())
    who = " and ".join(pages)
    shown: list[Shown] = [
        f"A simulated bank: {imported.accepted:,} events imported in {imported.seconds:.1f} s, {made.links:,} links "
        f"between identities, trained in {spent:.0f} s. docs/demo.md says what is simulated.\n",
        f"How often did the feature that a customer used next stand first?\n{judged[0]['n']:,} uses of the last week, "
        "which training did not see; `fixed menu` is the bank's menu of today.",
        table_of("", rows),
        f"\nThe pages of {who}, on mobile, now, and why each item is there:",
    ]
    for at, slot in enumerate(next(iter(pages.values())).slots):
        columns = {who: [(title(i.item), i.reason) for i in answer.slots[at].items] for who, answer in pages.items()}
        shown.append(side_by_side(slot.placement, columns))
    return shown


def try_it(url: str, customer: str, move: tuple[str, str, int, int]) -> str:
    """Lines for another terminal that show an event changing the next answer; move: see `rising`."""
    item, lifted, before, after = move
    ask = f"curl -s '{url}/v1/recommend/home.features?customer={customer}&channel=mobile'"
    event = (
        f'{{"event_id":"demo-\'$(date +%s)\'","customer":"{customer}","type":"use","item":"{item}","channel":"mobile"}}'
    )
    return (
        f"\nMurmeli answers at {url} (the API: {url}/docs). Stop it with Ctrl-C.\n\n"
        f"In another terminal: {customer}'s menu, then one use of {item}, then the menu again, "
        f"where {lifted} has come up from place {before} to {after}.\n\n"
        f"{ask}\n"
        f"curl -s {url}/v1/events -H 'content-type: application/json' -d '{event}'\n"
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
    """The import's account; with --strict a rejected row is a failure."""
    nothing = ["The files hold no rows: nothing was imported."] if not summary["rows"] else []
    show(summary, as_json, import_table(summary), *nothing)
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

    with opened(home, reading=True) as (settings, store), progress(as_json) as report:
        result = run(store, home / MODELS, settings, promote=promote, progress=report)
    show(result.document(), as_json, *judgement_tables(result.judgements), result.summary())


@app.command()
def evaluate(home: Home = HERE, as_json: Json = False) -> None:
    """Judge on the newest part of the log what `train` would make of the rest, beside the baselines; publish nothing.

    Example: `murmeli evaluate --json`
    """
    from training.pipeline import evaluate as run

    with opened(home, reading=True) as (settings, store), progress(as_json) as report:
        result = run(store, settings, progress=report)
    show(result.document(), as_json, *judgement_tables(result.judgements), result.summary())


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
    show(document, as_json, measures("next use", rows_of(document)), footer(document))


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
    show(document, as_json, measures("top n", rows_of(document)), footer(document))


def rows_of(document: dict[str, Any]) -> Rows:
    """A benchmark's rows."""
    rows: Rows = document["results"]
    return rows


@models_app.command("list")
def models_list(home: Home = HERE, as_json: Json = False) -> None:
    """Every version, its state, and what points at it.

    Example: `murmeli models list`
    """
    registry = Registry(home / MODELS)
    try:
        aliases = registry.aliases()
    except MurmeliError:  # one of the problems below
        aliases = Aliases()
    rows, wrong = version_rows(registry.versions(), aliases), problems_of(registry)
    shown = version_table(rows) if rows else "No model yet: `murmeli train` makes one."
    show({"models": rows, "wrong": wrong}, as_json, shown, *wrong)


def problems_of(registry: Registry) -> list[str]:
    """What is wrong with the models folder, in words; the champion is read and checked whole."""
    refused = [version.reason for version in registry.versions() if version.reason]
    strays = [f"models/{stray.path}: {stray.reason}" for stray in registry.foreign()]
    strays += [f"models/{MAIN}/{stray.path}: {stray.reason}" for stray in registry.strays()]
    return list(dict.fromkeys([*refused, *strays, *choose(registry).refused]))


Version = Annotated[str, typer.Argument(help="A number, main/NUMBER, champion or challenger.", show_default=False)]


def number_of(version: str) -> str:
    """What the registry calls a version that a person wrote."""
    return version.removeprefix(f"{MAIN}/")


@models_app.command("show")
def models_show(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """One version's manifest: what it was made of, and how good it was.

    Example: `murmeli models show champion --json`
    """
    manifest = Registry(home / MODELS).manifest(MAIN, number_of(version)).model_dump(mode="json")
    tables = manifest_table(f"{MAIN}/{number_of(version)}", manifest), *judgement_tables(manifest["metrics"])
    show(manifest, as_json, *tables)


@models_app.command("promote")
def models_promote(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """Make a version the champion, after checking every byte of it; a running server follows.

    Example: `murmeli models promote 3`
    """
    number = champion.promote(Registry(home / MODELS), number_of(version))
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion.")


@models_app.command("rollback")
def models_rollback(home: Home = HERE, as_json: Json = False) -> None:
    """Back to the champion before this one.

    Example: `murmeli models rollback`
    """
    number = champion.rollback(Registry(home / MODELS))
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
    with opened(home, reading=True) as (settings, store):
        slots = [placement] if placement else list(settings.placements)
        recommender, degraded = recommender_of(home, store, settings)
        answer = recommender.recommend(
            Request(
                parse_identity(customer),
                tuple(SlotRequest(slot, k) for slot in slots),
                context_of(settings, at, channel),
            )
        )
    answer = replace(answer, degraded=answer.degraded + degraded)
    show(asdict(answer), as_json, *page(answer))


def page(answer: Recommendation) -> list[Shown]:
    """An answer as tables, one a slot."""
    shown: list[Shown] = []
    for slot in answer.slots:
        rows = [{"item": i.item, "score": i.score, "reason": i.reason} for i in slot.items]
        shown.append(table_of(slot.placement, rows) if rows else f"{slot.placement}: there is nothing to show.")
    return shown + [f"degraded: {what}" for what in answer.degraded]


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
    with opened(home, reading=True) as (settings, store):
        recommender, _ = recommender_of(home, store, settings)
        why = recommender.explain(parse_identity(customer), item, placement, context_of(settings, at, channel))
    parts = [{"source": name, "lift": lift} for name, lift in sorted(why.parts.items(), key=lambda part: -part[1])]
    stands = f"rank {why.rank}; reason: {why.reason}" if why.rank else f"not shown: {why.hidden}"
    verdict = f"{why.item} at {why.placement}: {stands}"
    show(asdict(why), as_json, verdict, *([table_of("", parts)] if parts else []))


def recommender_of(home: Path, store: Store, settings: Settings) -> tuple[Recommender, tuple[str, ...]]:
    """Answers as the server would; and what is degraded where the champion must not be loaded."""
    chosen = choose(Registry(home / MODELS))
    for reason in chosen.refused:
        complain(f"{reason} Meanwhile {chosen.model.label} answers.")
    return Recommender(store, chosen.model, settings), ("champion",) if chosen.refused else ()


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

    run(home, host=host, port=port, store_at=place_of(home))


@app.command()
def doctor(home: Home = HERE, as_json: Json = False) -> None:
    """Check a home: settings, store, ledger, models. Exit code 1 where something is wrong.

    Example: `murmeli doctor --home shop`
    """
    with opened(home, reading=True) as (_, store):
        kept, ledger = store.check(), store.ledger.state()
    models = problems_of(Registry(home / MODELS))
    problems = [*kept["problems"], *models]
    verdict = [Text(f"wrong: {problem}", "red") for problem in problems] or [Text("All is well.", "green")]
    document = {"ok": not problems, "store": kept, "ledger": ledger, "models": models}
    show(document, as_json, home_table(home, kept | {"ok": not problems} | ledger), *verdict)
    if problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
