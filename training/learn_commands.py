"""`murmeli train`, `evaluate` and `tune`: from the log to a model, and how good it is."""

from pathlib import Path
from typing import Annotated

import typer

from recommender.plugins import registry_at
from recommender.settings import FILE
from training.report import judgement_tables, tuning_table
from training.terminal import HERE, Home, Json, opened, progress, show

learn_app = typer.Typer()

REPORT = "report.html"


@learn_app.command()
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


@learn_app.command()
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


@learn_app.command()
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
