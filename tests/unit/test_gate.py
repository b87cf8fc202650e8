"""Every reason of the gate, and its absence, on manifests made by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import JsonValue

from recommender.bundle import ArrayEntry, KindEntry, LogRange, Manifest
from recommender.gate import objections
from recommender.types import DAY, Kind

LOG = LogRange(first=0, last=100 * DAY, events=9000, customers=90)
LEARNED = ("habit", "transitions", "popularity")
FEATURE, CONTENT = Kind.FEATURE, Kind.CONTENT
Rows = dict[str, dict[str, Any]]


def rows(measure: str = "mrr", *, n: int = 4000, **behind: float) -> Rows:
    """A table: murmeli at .5, each rival this far behind it with an interval of .02 to either side."""
    far = {"most-used": 0.1, "most-recent": 0.1, "popularity": 0.2, "champion": 0.0} | behind
    own = {"n": n, measure: 0.5, f"{measure}_low": 0.48, f"{measure}_high": 0.52, "coverage": 0.8}
    table: Rows = {"murmeli": own}
    for name, d in far.items():
        table[name] = {"n": n, measure: 0.5 - d, "coverage": 0.8, **difference(d)}
    table["champion"]["configuration"] = {"factors": 64}
    return table


def difference(behind: float, error: float = 0.01) -> dict[str, float]:
    return {
        "behind": behind,
        "behind_low": behind - 2 * error,
        "behind_high": behind + 2 * error,
        "behind_se": error,
    }


def manifest(
    table: Rows | None = None,
    kind: Kind = FEATURE,
    *,
    log: LogRange = LOG,
    sources: tuple[str, ...] = LEARNED,
    factors: int = 64,
) -> Manifest:
    """A model that ranks one kind, with these figures."""
    listed: list[JsonValue] = [{"name": name, **row} for name, row in (table or {}).items()]
    return Manifest(
        code_version="0",
        seed=7,
        configuration={"factors": factors},
        log=log,
        kinds={kind: KindEntry(sources=sources, columns=())},
        metrics={kind.value: listed} if table is not None else {},
        arrays={f"{kind}.items.codes": ArrayEntry(dtype="<i8", shape=(5,), bytes=168, sha256="")},
    )


CHAMPION = manifest(rows())


def test_a_model_that_is_ahead_of_all_passes_with_and_without_a_champion() -> None:
    assert objections(manifest(rows(champion=0.05)), CHAMPION) == []
    assert objections(manifest(rows()), None) == []


@pytest.mark.parametrize("rival", ["champion", "most-used", "most-recent", "popularity"])
@pytest.mark.parametrize(("kind", "measure"), [(FEATURE, "mrr"), (CONTENT, "ndcg@20")])
def test_worse_than_a_rival_beyond_the_interval_is_refused_and_within_it_passes(
    rival: str, kind: Kind, measure: str
) -> None:
    champion = manifest(rows(measure), kind)
    (reason,) = objections(manifest(rows(measure, n=4000, **{rival: -0.03}), kind), champion)
    assert f"{kind}: worse than {rival}: {measure} 0.5000 against 0.5300, a difference of -0.0300" in reason
    assert "-0.0500 to -0.0100, 4,000 uses" in reason
    assert objections(manifest(rows(measure, n=4000, **{rival: -0.015}), kind), champion) == []


def test_other_rows_of_the_table_are_no_rivals() -> None:
    table = rows()
    table["transitions"] = {"n": 4000, "mrr": 0.9, **difference(-0.4)}
    assert objections(manifest(table), CHAMPION) == []


def sliced(behind: float, n: int = 500, others: int = 9) -> Rows:
    """One slice that is so far behind most-used with an error of .01, and others where nothing is wrong."""
    table = rows()
    own = {f"customers: {at}": {"n": 500, "mrr": 0.4} for at in range(others)}
    table["murmeli"]["slices"] = {"channel: web": {"n": n, "mrr": 0.4}, **own}
    table["most-used"]["slices"] = {
        "channel: web": {"n": n, "mrr": 0.4 - behind, **difference(behind)},
        **{at: {"n": 500, "mrr": 0.4, **difference(0)} for at in own},
    }
    return table


def test_a_slice_is_held_to_an_interval_that_is_wider_the_more_slices_there_are() -> None:
    """Of ten slices the quantile of .9975 counts, 2.81 standard errors; of one alone 1.96."""
    assert objections(manifest(sliced(-0.027)), None) == []
    (reason,) = objections(manifest(sliced(-0.029)), None)
    assert "worse than most-used for channel: web: mrr 0.4000 against 0.4290" in reason
    assert "-0.0571 to -0.0009 after correction for 10 slices, 500 uses" in reason
    assert len(objections(manifest(sliced(-0.02, others=0)), None)) == 1


def test_a_slice_of_few_events_refuses_nothing_and_is_not_counted() -> None:
    assert objections(manifest(sliced(-0.3, n=499)), None) == []


def changed(change: Callable[[Rows], object]) -> Manifest:
    table = rows()
    change(table)
    return manifest(table)


def test_coverage_below_half_of_the_champions_is_refused() -> None:
    low = changed(lambda table: table["murmeli"].update(coverage=0.39))
    (reason,) = objections(low, CHAMPION)
    assert "it shows 39.0% of the items, the champion 80.0%" in reason
    assert objections(changed(lambda table: table["murmeli"].update(coverage=0.41)), CHAMPION) == []
    assert objections(low, None) == []


def test_far_below_what_the_champion_reached_in_its_own_backtest_is_refused() -> None:
    """A log whose ids were mixed up is as hard for the champion's settings as for the challenger's."""
    good = changed(lambda table: table["murmeli"].update({"mrr": 0.7, "mrr_low": 0.68, "mrr_high": 0.72}))
    (reason,) = objections(CHAMPION, good)
    assert "mrr fell to 0.5000 from the 0.7000 of the champion's own backtest" in reason
    harder = changed(lambda table: table["murmeli"].update({"mrr": 0.6, "mrr_low": 0.58, "mrr_high": 0.62}))
    assert objections(CHAMPION, harder) == []


def test_an_empty_log_is_refused() -> None:
    (reason,) = objections(manifest(rows(), log=LogRange()), None)
    assert "Its log is empty" in reason


@pytest.mark.parametrize(("first", "late", "too_late"), [(0, 10, 11), (90, 7, 8)], ids=["a tenth", "a week"])
def test_a_log_that_ends_long_before_the_champions_is_refused(first: int, late: int, too_late: int) -> None:
    champion = manifest(rows(), log=LOG.model_copy(update={"first": first * DAY}))
    ends = [manifest(rows(), log=LOG.model_copy(update={"last": (100 - days) * DAY})) for days in (late, too_late)]
    assert objections(ends[0], champion) == []
    (reason,) = objections(ends[1], champion)
    assert f"{too_late} days before the champion's (1970-04-11" in reason


def test_with_few_uses_to_judge_by_only_a_model_by_habit_follows_a_champion() -> None:
    few, by_habit = rows(n=49, popularity=-0.3), ("habit", "popularity")
    (reason,) = objections(manifest(few), CHAMPION)
    assert "49 uses to judge by, fewer than 50" in reason
    assert objections(manifest(few, sources=by_habit), CHAMPION) == []
    assert objections(manifest(few), None) == []
    assert objections(manifest(None, sources=by_habit), CHAMPION) == []


@pytest.mark.parametrize(("pages", "steps", "refused"), [(20, 50, True), (19, 50, False), (20, 49, False)])
def test_pages_are_fewer_than_uses_and_an_interval_over_a_handful_refuses_nothing(
    pages: int, steps: int, refused: bool
) -> None:
    table = rows("ndcg@20", n=pages, popularity=-0.3)
    table["murmeli"]["steps"] = steps
    assert any("worse than popularity" in one for one in objections(manifest(table, CONTENT), None)) == refused


def test_a_kind_that_the_champion_ranks_and_the_challenger_does_not_is_refused() -> None:
    (reason,) = objections(manifest(rows("ndcg@20"), CONTENT), CHAMPION)
    assert reason.startswith("feature: it ranks none, the champion does")
    none = manifest(rows())
    none = none.model_copy(
        update={
            "arrays": {"feature.items.codes": none.arrays["feature.items.codes"].model_copy(update={"shape": (0,)})}
        }
    )
    assert objections(CHAMPION, none) == objections(none, None) == []


def test_a_manifest_without_figures_or_comparisons_says_what_is_missing() -> None:
    (reason,) = objections(manifest(None), None)
    assert "no figures of a backtest" in reason
    older = objections(changed(lambda table: table["most-used"].pop("behind_high")), None)
    assert older == ["feature: its manifest does not compare it with most-used. Train again with this version."]


def test_a_comparison_with_another_champion_says_nothing_of_this_one() -> None:
    """With the same settings there is nothing to compare."""
    other = manifest(rows(), factors=32)
    (reason,) = objections(manifest(rows()), other)
    assert "was not compared with the champion of now" in reason
    assert objections(changed(lambda table: table["champion"].update(configuration={"factors": 32})), other) == []
    assert objections(changed(lambda table: table.pop("champion")), CHAMPION) == []


def test_a_champion_of_an_older_version_is_no_obstacle() -> None:
    old = CHAMPION.model_copy(update={"metrics": {}, "configuration": {"gone": 1}})
    assert objections(manifest(rows()), old) == []


@pytest.mark.parametrize("metrics", [{}, {"feature": None}, {"feature": [1, {}]}, {"feature": [{"name": "murmeli"}]}])
def test_nothing_that_a_manifest_may_hold_breaks_the_gate(metrics: dict[str, JsonValue]) -> None:
    odd = CHAMPION.model_copy(update={"metrics": metrics})
    assert objections(odd, odd)
    assert objections(CHAMPION, odd) == []
