"""`murmeli benchmark`: ranking measured on files of one's own, by the field's protocols."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from recommender.errors import UsageError
from recommender.settings import Training
from training.report import Rows, calm_table, footer, measures, paired, table_of
from training.terminal import Json, Map, mapping_of, progress, show

benchmark_app = typer.Typer(
    no_args_is_help=True, help="Measure ranking on files of your own, by the field's protocols."
)


@benchmark_app.command("next-use")
def benchmark_next_use(
    events: Annotated[Path, typer.Option(help="A behaviour log: CSV, JSONL or Parquet.", show_default=False)],
    map_: Map = None,
    split: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of each customer's events to learn from.")
    ] = 0.8,
    stability: Annotated[
        bool, typer.Option("--stability", help="Also show what a calm page costs, at several settings.")
    ] = False,
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many that page shows.")] = 6,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Also show how often the first item's probability is right.")
    ] = False,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What will this customer use next: chronological, each event ranked before it is known.

    With --stability also how many places of a page of --k items change from one event to the next, at several
    settings of a placement's `stability`, and what share of the hits that loses; `*` marks the default.

    With --calibration also what the first item's probability promised in each of 15 bins of equally many questions,
    from the least sure to the surest, and how often it was kept.

    Example: `murmeli benchmark next-use --events log.csv.gz --map customer=user,item=command,at=time --stability`
    """
    from training.calm import Calm
    from training.next_use import run

    calm = Calm(k) if stability else None
    with progress(as_json) as report:
        document = run(events, mapping_of(map_), split=split, seed=seed, calm=calm, progress=report)
    curve = [calm_table(rows_of(document, "stability"))] if calm else []
    bins = [table_of("Calibration of the first item", rows_of(document, "calibration"))] if calibration else []
    show(document, as_json, measures("next use", rows_of(document)), *curve, *bins, footer(document))


@benchmark_app.command("top-n")
def benchmark_top_n(
    train_: Annotated[
        Path | None, typer.Option("--train", help="One line a user: user item item ...; or CSV user,item.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="The items to be found, in the same form.")] = None,
    events: Annotated[Path | None, typer.Option(help="A behaviour log: CSV, JSONL or Parquet.")] = None,
    map_: Map = None,
    days: Annotated[float, typer.Option(min=0.04, help="With --events: how many of the last days are held out.")] = 30,
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many are shown.")] = 20,
    novelty: Annotated[
        float, typer.Option(min=0, max=1, help="How much of an item's popularity is taken off its score.")
    ] = 0,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What else would this customer want.

    With --train and --test: all items ranked, those of the training file masked. With --events: what was used
    before counts too; the last days of the log are held out, and each customer is asked for once, at their beginning.

    Example: `murmeli benchmark top-n --train train.txt.gz --test test.txt.gz`

    Example: `murmeli benchmark top-n --events orders.parquet --map customer=user,item=product,at=time --days 30`
    """
    from training import horizon, top_n

    settings = Training(seed=seed, novelty=novelty)
    with progress(as_json) as report:
        if events and not train_ and not test:
            document = horizon.run(events, mapping_of(map_), days=days, k=k, settings=settings, progress=report)
            shown = paired(
                f"the next {days:g} days", rows_of(document), [f"ndcg@{k}", f"recall@{k}", "hit@1", "coverage"]
            )
        elif train_ and test and not events and not map_:
            document = top_n.run(train_, test, k, settings, report)
            shown = measures("top n", rows_of(document))
        else:
            raise UsageError("Give either --train FILE and --test FILE, or --events FILE (with --map and --days).")
    show(document, as_json, shown, footer(document))


@benchmark_app.command("unseen")
def benchmark_unseen(
    log: Annotated[Path, typer.Option(help="Who used what: CSV, JSONL or Parquet.", show_default=False)],
    items: Annotated[Path | None, typer.Option(help="The items' titles and attributes.", show_default=False)] = None,
    map_: Map = None,
    part: Annotated[str, typer.Option(help="The column that tells learning from asking.")] = "part",
    test: Annotated[
        str, typer.Option(help="Its value for the visitors who are asked; all others are learned from.")
    ] = "test",
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What else would a visitor use whom training never saw: all but one item given, and one or two given.

    Example: `murmeli benchmark unseen --log visits.csv.gz --items areas.csv.gz --map customer=visitor,item=area`
    """
    from training.unseen import run

    with progress(as_json) as report:
        document = run(
            log, items, mapping_of(map_), part=part, test=test, settings=Training(seed=seed), progress=report
        )
    show(document, as_json, unseen_table(rows_of(document)), footer(document))


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    return f"{row[name]:.2f} ±{(row[f'{name}_high'] - row[f'{name}_low']) / 2:.2f}"


def unseen_table(rows: Rows) -> Table:
    """All but one, given one or two, every two: each rank score with half the width of its 95 % interval."""
    shown = [
        {
            "name": row["name"],
            "all but one": _with_interval(row, "rank_score"),
            **{name: "" if row[name] is None else f"{row[name]:.3f}" for name in ("hit@1", "hit@5", "mrr")},
            "given one": _with_interval(row, "given_one"),
            "given two": _with_interval(row, "given_two"),
            "every two": _with_interval(row, "every_two"),
            "fit s": f"{row['fit_seconds']:.1f}",
        }
        for row in rows
    ]
    return table_of("unseen visitors: rank score, half-life 5", shown)


@benchmark_app.command("new-items")
def benchmark_new_items(
    events: Annotated[Path, typer.Option(help="A behaviour log: CSV, JSONL or Parquet.", show_default=False)],
    map_: Map = None,
    items: Annotated[Path | None, typer.Option(help="The catalogue of the log's items, if there is one.")] = None,
    days: Annotated[float, typer.Option(min=0.04, help="How many of the last days are held out.")] = 30,
    share: Annotated[float, typer.Option(min=0.001, max=0.9, help="Share of the items that are made new.")] = 0.1,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """How well are items ranked that were added after training, by title and attributes alone.

    A share of the items loses all its events before the last days and is given back as a catalogue entry. Without
    --items, --map may name columns of the log that describe an item: `title`, or an attribute of any name.

    Example: `murmeli benchmark new-items --events orders.parquet
    --map customer=user,item=product,at=time,title=name,price=unit_price`
    """
    from training.new_items import run

    with progress(as_json) as report:
        document = run(
            events,
            mapping_of(map_),
            catalogue=items,
            days=days,
            share=share,
            settings=Training(seed=seed),
            progress=report,
        )
    tables = [
        paired(f"among {document['new_items']} new items", rows_of(document), ["ndcg@20", "recall@20", "coverage"]),
        paired("whole pages", rows_of(document, "whole"), ["ndcg@20", "recall@20", "coverage", "share of places"]),
    ]
    show(document, as_json, *tables, footer(document))


def rows_of(document: dict[str, Any], part: str = "results") -> Rows:
    """A table of a benchmark."""
    rows: Rows = document[part]
    return rows
