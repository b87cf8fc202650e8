"""What a run tells a person: tables and lines for a terminal. Ids come from outside and are never read as markup."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from recommender.registry import MAIN, Aliases, Version
from recommender.types import Kind, instant

Rows = Sequence[Mapping[str, Any]]

MEASURES = ("name", "hit@", "mrr", "recall@", "ndcg@", "coverage", "ece", "fit_seconds")
"""What a table of measures shows beside `n`, by how the column's name begins; the JSON document has all."""

NAMED = 3
"""Items named where many are counted."""

LOW, HIGH = "_low", "_high"
"""How the ends of a measure's 95 % interval are called."""


def table_of(title: str, rows: Rows) -> Table:
    """Rows as a table, a column for each key that any of them has; numbers to the right, floats to four places."""
    table = Table(title=Text(title, "bold") if title else None, title_justify="left")
    first = {name: value for row in reversed(rows) for name, value in row.items()}
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        right = isinstance(first[name], (int, float))
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(name)) for name in names))
    return table


def facts(title: str, known: Mapping[str, object]) -> Table:
    """What is known, one line each."""
    table = Table(title=Text(title, "bold"), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in known.items():
        table.add_row(Text(name), cell(value))
    return table


def cell(value: object) -> Text:
    """One value as a person reads it."""
    if isinstance(value, float):
        return Text(f"{value:.4f}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text("" if value is None else str(value))


def calm_table(rows: Rows) -> Table:
    """What calm costs, a row for each setting; shares in percent of what there is without it, `*` is the default."""
    return table_of("What calm costs", [dict(_calm(row)) for row in rows])


def _calm(row: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "stability", f"{row['stability']:.2f}{' *' if row['default'] else ''}"
    yield "changes", f"{row['changes']:.2f}"
    yield "fewer", f"{row['fewer']:.1%}"
    hits = [name for name in row if f"{name}_lost" in row]
    for at, name in enumerate(hits):
        yield name, row[name]
        yield f"lost{' ' * at}", f"{row[f'{name}_lost']:.1%}"


def judgement_tables(judgements: Mapping[str, Rows]) -> list[Table]:
    """One table a kind: each row a way to rank, with the interval of what decides, and how far the first one leads."""
    return [judgement_table(kind, rows) for kind, rows in judgements.items() if rows]


def judgement_table(kind: str, rows: Rows) -> Table:
    """A kind's table, as wide as a narrow terminal; green where the first row leads beyond its interval, red where not.

    Rows of older versions, which did not compare, are shown as far as they go.
    """
    by_pages = "steps" in rows[0] and kind == Kind.CONTENT
    asked, of = ("what will be used in the time ahead", "pages") if by_pages else ("what will be used next", "uses")
    measure, beside = ("ndcg@20", ("recall@20", "coverage")) if by_pages else ("mrr", ("hit@1", "hit@3", "hit@5"))
    title = Text(f"{kind}: {asked} ({rows[0]['n']:,} {of})", "bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("name", overflow="fold")
    for name in (*beside, measure, "95 %", "murmeli leads by"):
        table.add_column(name, justify="right")
    for at, row in enumerate(rows):
        style = "bold" if at == 0 else "dim" if "column" in row else ""
        figures = [_short(row.get(name)) for name in (*beside, measure)]
        ends = f"{_short(row.get(measure + LOW))}-{_short(row.get(measure + HIGH))}"
        table.add_row(Text(str(row["name"])), *figures, ends, _lead(row), style=style)
    return table


def _short(value: float | None, form: str = ".3f") -> str:
    """Three places without the zero before the point: .304, +.153."""
    return "" if value is None else format(value, form).replace("0.", ".", 1)


def _lead(row: Mapping[str, Any]) -> Text:
    lead, low, high = (row.get(f"behind{end}") for end in ("", LOW, HIGH))
    if lead is None or low is None or high is None:
        return Text()
    style = "green" if low > 0 else "red" if high < 0 else ""
    return Text(f"{_short(lead, '+.3f')} ({_short(low)}, {_short(high)})", style)


def measures(title: str, rows: Rows) -> Table:
    """Ways to rank, one a row; the 95 % interval stands behind the first measure that has one."""
    with_interval = [name.removesuffix(LOW) for row in rows[:1] for name in row if name.endswith(LOW)][:1]
    return table_of(title, [dict(_measured(row, with_interval)) for row in rows])


def paired(title: str, rows: Rows, names: Sequence[str]) -> Table:
    """Ways to rank, one a row, by some measures, and the 95 % interval of how far each is behind the first row."""

    def behind(row: Mapping[str, Any]) -> str:
        return f"{row['behind' + LOW]:.4f} to {row['behind' + HIGH]:.4f}" if "behind" in row else ""

    shown = [{name: row[name] for name in ("name", *names)} | {"behind, 95 %": behind(row)} for row in rows]
    return table_of(title, shown)


def _measured(row: Mapping[str, Any], with_interval: Sequence[str]) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if name == "n" or (name.startswith(MEASURES) and not name.endswith((LOW, HIGH))):
            yield name, value
        if name in with_interval:
            yield "95 %", f"{row[name + LOW]:.3f}-{row[name + HIGH]:.3f}"


def tuning_table(rows: Rows) -> Table:
    """What a search found, a source a line: the measure with today's settings and with the best ones, and these."""
    return table_of("Settings tried", [dict(_searched(row)) for row in rows])


def _searched(row: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if name == f"gain{LOW}":
            yield "gain, 95 %", f"{value:+.4f} to {row[f'gain{HIGH}']:+.4f}"
        elif name == "settings":
            yield name, "\n".join(f"{setting} = {found}" for setting, found in value.items())
        elif name != f"gain{HIGH}":
            yield name, value


def import_table(summary: Mapping[str, Any]) -> Table:
    """The account of an import: every row of the files is in exactly one of accepted, duplicate and rejected."""
    known: dict[str, object] = {}
    for name, value in summary.items():
        if name == "reasons":
            known |= {f"  {reason}": count for reason, count in sorted(value.items())}
        elif name in ("first", "last"):
            known |= {name: instant(value)} if value else {}
        elif name == "files":
            known[name] = "\n".join(value)
        elif value is not None:
            known[name] = f"{value:.1f}" if isinstance(value, float) else value
    return facts("Imported", known)


def version_rows(versions: Sequence[Version], aliases: Aliases) -> list[dict[str, Any]]:
    """Every version of the model, its state, what points at it, and why it was forced upon the gate, if it was."""
    forced = {one.version: one.reason for one in aliases.forced}
    return [
        {
            "version": f"{MAIN}/{v.number}",
            "alias": ", ".join(alias for alias in ("champion", "challenger") if getattr(aliases, alias) == v.number),
            "created": v.manifest.created if v.manifest else "",
            "events": v.manifest.log.events if v.manifest else None,
            "fingerprint": v.manifest.fingerprint[:12] if v.manifest else "",
            "state": "refused" if v.reason else "ok",
            "reason": v.reason,
            "forced": forced.get(v.number),
        }
        for v in versions
    ]


def version_table(rows: Rows) -> Table:
    """The versions without the reasons, which want lines of their own; why one was forced is shown where any was."""
    left_out = ["reason"] if any(row["forced"] for row in rows) else ["reason", "forced"]
    shown = [{name: value for name, value in row.items() if name not in left_out} for row in rows]
    return table_of("Models", [row | {"created": row["created"][:16].replace("T", " ")} for row in shown])


def manifest_table(title: str, manifest: Mapping[str, Any]) -> Table:
    """What one version was made of."""
    log = manifest["log"]
    known = {name: value for name, value in manifest.items() if isinstance(value, (str, int))}
    known |= {"events": log["events"], "customers": log["customers"]}
    known |= {"log": f"{instant(log['first'])} to {instant(log['last'])}"} if log["events"] else {}
    known |= {kind: ", ".join(entry["sources"]) for kind, entry in manifest["kinds"].items()}
    known["settings"] = ", ".join(f"{name} {value}" for name, value in manifest["configuration"].items())
    return facts(title, known)


def difference_tables(document: Mapping[str, Any]) -> Iterator[Table]:
    """Two models beside each other: how far their lists agree, who gains from the second, which items move."""
    for kind, found in document["kinds"].items():
        spread = ", ".join(f"{share}: {value:.2f}" for share, value in found["overlap_quantiles"].items())
        known = {
            "customers asked for": found["customers"],
            f"overlap@{found['k']}": f"{found['overlap']:.3f} on the mean ({spread})",
            "the same list": f"{found['same_list']:.1%} of the customers",
            "the same first item": f"{found['same_first']:.1%} of the customers",
            "shown by A alone": _counted(found["vanished"], found["vanished_most"]),
            "shown by B alone": _counted(found["appeared"], found["appeared_most"]),
        }
        yield facts(f"{kind}: B ({document['b']}) instead of A ({document['a']})", known)
        yield table_of(f"{kind}: who gains, by 1/position of their newest uses", [_gain(row) for row in found["who"]])
        if found["movers"]:
            yield table_of(f"{kind}: the items that move most", [_moved(row) for row in found["movers"]])


def _counted(number: int, rows: Rows) -> str:
    names = ", ".join(row["title"] or row["item"] for row in rows[:NAMED])
    return f"{number}: {names}{', ...' if number > NAMED else ''}" if number else "none"


def _gain(row: Mapping[str, Any]) -> dict[str, Any]:
    interval = f"{row['change_low']:+.3f} to {row['change_high']:+.3f}"
    known = {name: row[name] for name in ("customers", "n", "gain", "lose")}
    return known | {"mrr A": row["mrr_a"], "mrr B": row["mrr_b"], "change": row["change"], "95 %": interval}


def _moved(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "item": row["title"] or row["item"],
        "on lists of A": row["shown_a"],
        "of B": row["shown_b"],
        "mean place A": f"{row['place_a']:.1f}",
        "B": f"{row['place_b']:.1f}",
    }


def home_table(home: Path, found: Mapping[str, Any]) -> Table:
    """What the check of a home found, part by part."""
    known: dict[str, object] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            known |= {f"{name} {part}": one for part, one in value.items()}
        elif name in ("oldest", "newest"):
            known |= {name: instant(value)} if value else {}
        elif name != "problems":
            known[name] = value
    return facts(str(home.resolve()), known)


def side_by_side(placement: str, columns: Mapping[str, Sequence[tuple[str, str]]]) -> Table:
    """One placement as several customers see it; columns: by customer, an item's name and its reason, best first."""
    table = Table(title=Text(placement, "bold"), title_justify="left", show_lines=False)
    table.add_column("", justify="right")
    for customer in columns:
        table.add_column(Text(customer), overflow="fold", ratio=1)
    for place, shown in enumerate(zip_longest(*columns.values(), fillvalue=("", "")), 1):
        table.add_row(str(place), *(Text.assemble(name, (f" ({why})" if why else "", "dim")) for name, why in shown))
    return table


def footer(document: Mapping[str, Any]) -> str:
    """What a benchmark cost."""
    return f"{document['seconds']:.1f} s, peak memory {document['peak_rss_mb']:.0f} MB. --json has every measure."
