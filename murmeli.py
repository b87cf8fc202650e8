"""The command line; the only file that knows both sides of the house.

Results go to standard output, as a table or with --json as one document; progress and errors go to standard
error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the gate.
"""

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text
from threadpoolctl import threadpool_limits

from recommender import rejects
from recommender.champion import choose
from recommender.errors import MurmeliError, RefusedError, UsageError
from recommender.history import Context
from recommender.identity import parse_identity
from recommender.instants import Clock
from recommender.keys import first_key
from recommender.page import Explanation, Recommendation, Request, SlotRequest
from recommender.plugins import registry_at
from recommender.recommender import Recommender
from recommender.secrets import Secret
from recommender.settings import FILE, Settings, commented
from recommender.stores import store_of
from recommender.stores.base import Store
from recommender.types import Kind, code32
from training.benchmark_commands import benchmark_app
from training.customer_commands import customers_app
from training.key_commands import keys_app
from training.model_commands import models_app, problems_of
from training.report import (
    facts,
    home_table,
    import_table,
    judgement_tables,
    side_by_side,
    table_of,
    tuning_table,
)
from training.terminal import (
    HERE,
    Home,
    Json,
    Map,
    Shown,
    complain,
    err,
    mapping_of,
    opened,
    out,
    place_of,
    progress,
    show,
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
app.add_typer(import_app, name="import")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(customers_app, name="customers")

Files = Annotated[list[Path], typer.Argument(help="CSV, JSONL or Parquet, gzip too.", show_default=False)]
DEMO = Path("demo-home")
REPORT = "report.html"

FRAMES = 4
"""How much of a traceback is shown where something broke that should not have."""


def main() -> None:
    """Run the command line; what goes wrong becomes a sentence and an exit code."""
    try:
        with threadpool_limits(1, "blas"):  # the work is many small products; BLAS threads only get in its way
            app()
    except MurmeliError as error:
        complain("\n- ".join([str(error), *(error.reasons if isinstance(error, RefusedError) else ())]))
        sys.exit(2 if isinstance(error, UsageError) else 3 if isinstance(error, RefusedError) else 1)
    except OSError as error:
        complain(f"{error.filename or 'The system'}: {error.strerror or error}.")
        sys.exit(1)
    except Exception as error:
        traceback.print_exception(error, limit=-FRAMES, chain=False)
        complain("This is our fault, not yours. Please report the lines above.")
        sys.exit(1)


@app.command()
def init(home: Home = HERE, as_json: Json = False) -> None:
    """Write a commented murmeli.toml, and make the first API key, an admin's; it is shown this once.

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
    with opened(home) as (_, store):
        key = first_key(store.keys, Secret(home))
    told = [f"The first key, an admin's, shown this once: {key}"] if key else []
    next_ = f"Wrote {path}. Next: murmeli import events FILE --home {home}"
    show({"settings": str(path), "key": key}, as_json, next_, *told)


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
    with closing(store_of(home, settings)) as store, progress(as_json) as report:
        key = first_key(store.keys, Secret(home)) or ""
        made = prepare(store, home, settings, seed=seed, customers=customers, progress=report)
        recommender, _ = recommender_of(home, store, settings)
        context = context_of(settings, None, "mobile")
        slots = (SlotRequest("home.features"), SlotRequest("home.content", 6))
        pages = {who: recommender.recommend(Request(who, slots, context)) for who in made.regulars}
        pages = {who: pages[who] for who in unlike(pages)}
        first = next(iter(pages))
        move = rising(recommender, store, first, context, settings.placements["home.features"])
        tables = demo_tables(made, pages, recommender.catalogue.title)
    document = {
        "imported": asdict(made.imported),
        "links": made.links,
        "trained": made.trained.document(),
        "pages": {who: asdict(answer) for who, answer in pages.items()},
        "move": dict(zip(("use", "lifts", "from", "to"), move, strict=True)),
        "key": key,
    }
    show(document, as_json, *tables)
    if not no_serve:
        told = err if as_json else out
        run(
            home,
            port=port,
            announce=lambda url: told.print(Text(try_it(url, key, first, move)), soft_wrap=True),
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
        *(f"The gate does not let this model answer: {reason}" for reason in made.trained.refused),
        f"\nThe pages of {who}, on mobile, now, and why each item is there:",
    ]
    for at, slot in enumerate(next(iter(pages.values())).slots):
        columns = {who: [(title(i.item), i.reason) for i in answer.slots[at].items] for who, answer in pages.items()}
        shown.append(side_by_side(slot.placement, columns))
    return shown


def try_it(url: str, key: str, customer: str, move: tuple[str, str, int, int]) -> str:
    """Lines for another terminal that show an event changing the next answer; move: see `rising`."""
    item, lifted, before, after = move
    curl = f"curl -s -H 'authorization: Bearer {key}'"
    ask = f"{curl} '{url}/v1/recommend/home.features?customer={customer}&channel=mobile'"
    event = (
        f'{{"event_id":"demo-\'$(date +%s)\'","customer":"{customer}","type":"use","item":"{item}","channel":"mobile"}}'
    )
    return (
        f"\nMurmeli answers at {url} (the API: {url}/docs). Stop it with Ctrl-C.\n\n"
        f"In another terminal: {customer}'s menu, then one use of {item}, then the menu again, "
        f"where {lifted} has come up from place {before} to {after}. The key in these lines is the demo's first, an "
        "admin's; `murmeli keys create` makes others.\n\n"
        f"{ask}\n"
        f"{curl} {url}/v1/events -H 'content-type: application/json' -d '{event}'\n"
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


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name} is no time zone here; write it like Europe/Helsinki.") from error


@app.command()
def train(
    home: Home = HERE,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it the champion at once, if the gate lets it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train on the whole log, judge it on the newest part, publish it as challenger.

    Where there is no champion yet, it becomes the champion, if the gate lets it. With --promote the exit code is 3
    where the gate refuses. Example: `murmeli train --promote`
    """
    from training.pipeline import train as run

    with opened(home, reading=True) as (settings, store), progress(as_json) as report:
        result = run(store, registry_at(home, settings), settings, promote=promote, progress=report)
    show(result.document(), as_json, *judgement_tables(result.judgements), result.summary())
    if promote and result.refused:
        raise typer.Exit(3)


@app.command()
def evaluate(
    home: Home = HERE,
    report: Annotated[
        Path | None, typer.Option(help="Where to write the report, one HTML file; else report.html in the home.")
    ] = None,
    curve: Annotated[
        bool | None,
        typer.Option("--curve/--no-curve", help="Fit on shares of the log too; else where the log is small."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge on the newest part of the log what `train` would make of the rest, beside the baselines; publish nothing.

    Prints the figures and writes a report to show around. Example: `murmeli evaluate --report may.html`
    """
    from training.html.page import write_report
    from training.pipeline import evaluate as run

    with opened(home, reading=True) as (settings, store), progress(as_json) as bar:
        result = run(store, registry_at(home, settings), settings, curve=curve, progress=bar)
    document, told = result.document(), []
    if result.judgements:
        path = report or home / REPORT
        write_report(path, document, settings.training)
        document, told = document | {"report": str(path)}, [f"The report: {path}"]
    show(document, as_json, *judgement_tables(result.judgements), result.summary(), *told)


@app.command()
def tune(
    home: Home = HERE,
    trials: Annotated[int, typer.Option(min=1, help="Settings to try for each source, earlier runs counted.")] = 25,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long; the next run goes on.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put what is better into murmeli.toml.")] = False,
    as_json: Json = False,
) -> None:
    """Search the settings of training on the log's own past; nothing is trained or published.

    A search that was stopped goes on where it was. Example: `murmeli tune --minutes 20 --write`
    """
    from training.tuning import tune as run
    from training.tuning import write_training

    with opened(home, reading=True) as (settings, store), progress(as_json) as report:
        found = run(store, home, settings, trials=trials, minutes=minutes, progress=report)
    if write and found.better:
        write_training(home / FILE, found.better)
    show(found.document(), as_json, tuning_table(found.rows), *found.notes, found.advice(written=write))


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
    stands = f"rank {why.rank}; reason: {why.reason}. {why.why}" if why.rank else f"not shown: {why.hidden}"
    verdict = f"{why.item} at {why.placement}: {stands}"
    show(asdict(why), as_json, verdict, *causes(why), *([table_of("", parts)] if parts else []))


def causes(why: Explanation) -> Iterator[str]:
    """What would have had to differ, one sentence each."""
    if why.cause:
        yield f"Its score is {why.score:.4f}; without the source {why.cause.source} it would be {why.cause.score:.4f}."
    if why.cause and why.cause.own:
        own = why.cause.own
        yield f"Without the newest {own.uses} uses of {own.item} it would be {own.score:.4f}."
    yield from (f"Without the rule `{rule}` it would stand elsewhere." for rule in why.rules)
    if why.otherwise:
        yield f"Were it not kept out, it would stand at {why.otherwise}."
    if why.needed:
        yield f"A boost of {why.needed:g} would put it on the page."


def recommender_of(home: Path, store: Store, settings: Settings) -> tuple[Recommender, tuple[str, ...]]:
    """Answers as the server would; and what is degraded where the champion must not be loaded."""
    chosen = choose(registry_at(home, settings))
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
def move(
    database: Annotated[str, typer.Argument(help="postgresql://user@host:5432/name, empty.", show_default=False)],
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Copy the home's store into PostgreSQL, all of it or nothing; the home stays as it is. Stop its server first.

    Afterwards set MURMELI_DATABASE to that address. Example: `murmeli move postgresql://murmeli@db/shop --home shop`
    """
    from recommender.stores.moving import move as run

    with progress(as_json) as report:
        copied = run(home, database, report)
    show(copied, as_json, facts("Copied", copied), "Set MURMELI_DATABASE to this address; every command follows it.")


@app.command()
def serve(
    home: Home = HERE,
    host: Annotated[str | None, typer.Option(help="The address to listen on; else the settings'.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; else the settings'.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port, one a core.")] = 1,
) -> None:
    """Serve over HTTP, with the API page under /docs.

    Example: `murmeli serve --port 8787 --workers 2`
    """
    from serving.bootstrap import serve as run

    run(home, host=host, port=port, store_at=place_of(home), workers=workers)


@app.command()
def doctor(home: Home = HERE, as_json: Json = False) -> None:
    """Check a home: settings, store, ledger, models. Exit code 1 where something is wrong.

    Example: `murmeli doctor --home shop`
    """
    with opened(home, reading=True) as (settings, store):
        kept, ledger = store.check(), store.ledger.state()
    models = problems_of(registry_at(home, settings))
    problems = [*kept["problems"], *models]
    verdict = [Text(f"wrong: {problem}", "red") for problem in problems] or [Text("All is well.", "green")]
    document = {"ok": not problems, "store": kept, "ledger": ledger, "models": models}
    show(document, as_json, home_table(home, kept | {"ok": not problems} | ledger), *verdict)
    if problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
