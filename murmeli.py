"""The command line; the only file that knows both sides of the house.

Results go to standard output, as a table or with --json as one document; progress and errors go to standard
error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the gate.
"""

import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from threadpoolctl import threadpool_limits

from recommender.errors import MurmeliError, RefusedError, UsageError
from recommender.keys import first_key, misfits
from recommender.page import Recommendation, Request, SlotRequest
from recommender.plugins import registry_at
from recommender.secrets import Secret
from recommender.settings import FILE, Settings, commented
from recommender.stores import store_of
from training.answer_commands import answers_app, context_of, recommender_of
from training.benchmark_commands import benchmark_app
from training.customer_commands import customers_app
from training.import_commands import import_app
from training.key_commands import keys_app
from training.learn_commands import learn_app
from training.model_commands import models_app, problems_of
from training.report import facts, home_table, side_by_side, table_of
from training.terminal import HERE, Home, Json, Shown, complain, err, opened, out, place_of, progress, show

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
app.add_typer(learn_app)
app.add_typer(answers_app)
app.add_typer(import_app, name="import")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(customers_app, name="customers")

DEMO = Path("demo-home")

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
        keys = misfits(store.keys, Secret(home))
    models = problems_of(registry_at(home, settings))
    problems = [*kept["problems"], *keys, *models]
    verdict = [Text(f"wrong: {problem}", "red") for problem in problems] or [Text("All is well.", "green")]
    document = {"ok": not problems, "store": kept, "ledger": ledger, "keys": keys, "models": models}
    show(document, as_json, home_table(home, kept | {"ok": not problems} | ledger), *verdict)
    if problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
