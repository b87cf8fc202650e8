"""The gate: may a challenger take the champion's place? A pure function over two manifests; no reason means yes.

The figures are those of the challenger's backtest (training/evaluation.py): one row for each way to rank, all asked
the same questions, each with the mean difference `behind`, murmeli's minus its own, the difference's 95 % interval
and its standard error. The row `champion` is the champion's configuration, fitted on the same earlier slice. What a
manifest cannot say of itself is asked of the models (recommender/probe.py).
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from statistics import NormalDist
from typing import Any

from recommender.bundle import LogRange, Manifest
from recommender.types import DAY, Kind, instant

Row = Mapping[str, Any]

PRIMARY = {Kind.FEATURE: "mrr", Kind.CONTENT: "ndcg@20"}
"""The measure that decides, of what the customer uses next and of what else they would want."""

BASELINES = ("most-used", "most-recent", "popularity")
BY_HABIT = {"habit", "popularity"}
"""The sources of a model that was blended by hand."""

ENOUGH = 50
"""Test events, below which a figure says nothing."""

PAGES = 20
"""Questions, below which an interval says nothing; pages are as few as the customers."""

SLICE = 500
"""Test events, from which on a slice may refuse a model."""

LEVEL = 0.95
COLLAPSE = 0.5
"""The share of the champion's coverage that is the least."""

FALL = 0.75
"""The least share of what the champion reached in its own backtest: the logs differ, but hardly by so much."""

AGE, AGE_SHARE = 7 * DAY, 0.1
"""How much earlier than the champion's a log may end: this, or this share of the champion's log if that is longer."""


def objections(challenger: Manifest, champion: Manifest | None) -> list[str]:
    """Why the challenger must not be the champion: a sentence each, with figures and what to do."""
    reasons = list(_of_the_log(challenger.log, champion.log if champion else LogRange()))
    for kind in Kind:
        before = champion if champion and _ranks(champion, kind) else None
        if _ranks(challenger, kind):
            reasons += (f"{kind}: {reason}" for reason in _of_kind(kind, challenger, before))
        elif before:
            reasons.append(f"{kind}: it ranks none, the champion does. Train on a log and a catalogue that have them.")
    return reasons


def _of_the_log(log: LogRange, before: LogRange) -> Iterator[str]:
    if log.events == 0:
        yield "Its log is empty. Import events, then train again."
    elif log.last < before.last - max(AGE, AGE_SHARE * (before.last - before.first)):
        days = (before.last - log.last) / DAY
        yield (
            f"Its log ends at {instant(log.last)}, {days:.0f} days before the champion's ({instant(before.last)}). "
            "Train again on the whole log."
        )


def _of_kind(kind: Kind, challenger: Manifest, champion: Manifest | None) -> Iterator[str]:
    rows = rows_of(challenger, kind)
    own, by_habit = rows.get("murmeli", {}), set(challenger.kinds[kind].sources) == BY_HABIT
    asked = int(_number(own, "steps") or _number(own, "n") or 0)  # n of content counts customers
    if not own and not by_habit:
        yield "its manifest has no figures of a backtest. Train again with this version."
    elif asked < ENOUGH and champion and not by_habit:
        yield (
            f"{asked} uses to judge by, fewer than {ENOUGH}: only a model by habit may then follow a champion. "
            "Wait for more events, or train on a longer log."
        )
    elif asked >= ENOUGH and (_number(own, "n") or 0) >= PAGES:
        measure = _measure(kind, own)
        if missing := [name for name in BASELINES if not _compared(rows.get(name, {}))]:
            yield f"its manifest does not compare it with {', '.join(missing)}. Train again with this version."
        for name in BASELINES:
            yield from _behind(name, measure, own, rows.get(name, {}))
        if champion:
            yield from _behind_champion(measure, rows, challenger, champion)
            yield from _fallen(kind, measure, rows, champion)


def _behind_champion(measure: str, rows: Mapping[str, Row], challenger: Manifest, champion: Manifest) -> Iterator[str]:
    row = rows.get("champion", {})
    same = challenger.configuration == champion.configuration
    if _compared(row) and (same or row.get("configuration") == champion.configuration):
        yield from _behind("champion", measure, rows["murmeli"], row)
    elif not same and champion.configuration.keys() <= challenger.configuration.keys():
        # settings that are gone mean a champion of an older version, which nobody can fit any more
        yield (
            "it was not compared with the champion of now, whose settings are others. Train again, then promote; where "
            "the champion has models of your own, murmeli.toml must name them."
        )


def _behind(name: str, measure: str, own: Row, row: Row) -> Iterator[str]:
    """What speaks for one rival, on the whole and in the slices."""
    if _compared(row) and row["behind_high"] < 0:
        yield (
            f"worse than {name}: {measure} {_of(own, measure)} against {_of(row, measure)}, a difference of "
            f"{row['behind']:.4f} (95 % interval {row['behind_low']:.4f} to {row['behind_high']:.4f}, {own['n']:,} "
            f"uses). {_REMEDY}"
        )
    slices = {at: part for at, part in _parts(row).items() if (_number(part, "n") or 0) >= SLICE}
    width = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / max(len(slices), 1))
    for at, part in slices.items():
        difference, error = _number(part, "behind"), _number(part, "behind_se")
        if difference is not None and error is not None and difference + width * error < 0:
            mine = _parts(own).get(at, {})
            yield (
                f"worse than {name} for {at}: {measure} {_of(mine, measure)} against {_of(part, measure)}, "
                f"a difference of {difference:.4f} ({difference - width * error:.4f} to "
                f"{difference + width * error:.4f} after correction for {len(slices)} slices, {part['n']:,} uses). "
                f"{_REMEDY}"
            )


_REMEDY = "Look at the log and the settings, then train again."


def _fallen(kind: Kind, measure: str, rows: Mapping[str, Row], champion: Manifest) -> Iterator[str]:
    """What fell too far: coverage, beside the champion's row; the measure, beside what the champion's manifest says."""
    own, before = rows["murmeli"], rows_of(champion, kind).get("murmeli", {})
    coverage, wanted = _number(own, "coverage"), _number(rows.get("champion", before), "coverage")
    if coverage is not None and wanted is not None and coverage < COLLAPSE * wanted:
        yield (
            f"it shows {coverage:.1%} of the items, the champion {wanted:.1%}: less than half. "
            "Look at what popularity weighs, and whether items are missing from the log."
        )
    high, low, was = _number(own, f"{measure}_high"), _number(before, f"{measure}_low"), _number(before, measure)
    if high is None or low is None or was is None or (_number(before, "n") or 0) < ENOUGH:
        return
    if high < low and (_number(own, measure) or 0) < FALL * was:
        yield (
            f"{measure} fell to {_of(own, measure)} from the {_of(before, measure)} of the champion's own backtest, by "
            "more than a quarter. Look for mixed-up ids or types in what the log gained since."
        )


def _compared(row: Row) -> bool:
    return all(_number(row, f"behind{end}") is not None for end in ("", "_low", "_high"))


def rows_of(manifest: Manifest, kind: Kind) -> dict[str, Row]:
    """The rows of a kind's backtest by name; empty where the manifest has none."""
    rows = manifest.metrics.get(kind.value)
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("name")): row for row in found}


def _ranks(manifest: Manifest, kind: Kind) -> bool:
    codes = manifest.arrays.get(f"{kind}.items.codes")
    return kind in manifest.kinds and codes is not None and codes.shape[0] > 0


def _measure(kind: Kind, row: Row) -> str:
    return PRIMARY[kind] if _number(row, PRIMARY[kind]) is not None else "mrr"


def _parts(row: Row) -> Mapping[str, Row]:
    slices = row.get("slices")
    return {at: part for at, part in slices.items() if isinstance(part, dict)} if isinstance(slices, dict) else {}


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, (int, float)) and isfinite(value) else None


def _of(row: Row, measure: str) -> str:
    value = _number(row, measure)
    return "unknown" if value is None else f"{value:.4f}"
