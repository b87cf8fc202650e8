"""The short way and the usual one come to the same, whatever a model has learned; the unusual takes the usual one."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from recommender import ranking
from recommender.counting import Counting
from recommender.features import used
from recommender.growth import Growth
from recommender.history import Context, Items, counted
from recommender.layer import Layer
from recommender.model import KindModel, column_names
from recommender.profile import COUNT, EMPTY, Profile, fold
from recommender.ranker import ROWS, Ranker
from recommender.ranking import Ranking, rank
from recommender.sharpness import SURE
from recommender.shelf import Shelf
from recommender.types import DAY, EVENT, PURCHASE, RETURN, USE, VIEW, code32, code64
from tests.contracts.test_sources import FITS
from training.dataset import Log, items_of, log_of
from training.fit.factors import FactorSettings, fit_factors
from training.fit.matrix import user_items, weights_of

NAMES = [f"feature-{number}" for number in range(40)]
SOURCES = ("habit", "transitions", "popularity", "neighbours", "factors", "attributes", "text")
FADING = Counting(np.array([VIEW]), np.array([0.3], np.float32), np.array(9, np.float32))
CUSTOMERS, USES = 12, 60
FACTORS = FactorSettings(factors=30, regularisation=1.0)
NOW = Context(2 * USES * DAY, 60, code32("web"))


def items(counting: Counting | None = None) -> Items:
    rng = np.random.default_rng(1)
    tokens = [np.unique(rng.integers(0, 6, 3)) for _ in NAMES]
    return counted(items_of(NAMES, tokens), counting)


def events(seed: int, size: int, *, of: int = len(NAMES)) -> Profile:
    """Somebody's events, some of them of items that nobody knows."""
    rng, made = np.random.default_rng(seed), np.zeros(size, EVENT)
    steps = np.cumsum(rng.integers(0, 3, size)) % of
    made["item"] = [code64(NAMES[at]) if at % 7 else code64("unknown") for at in (rng.permutation(of)[steps] + 1) % of]
    made["time"] = np.sort(rng.integers(0, USES * DAY, size))
    made["key"], made["zone"] = np.arange(size) + 1, 120
    made["type"] = rng.choice([USE, VIEW, PURCHASE], size)
    made["channel"] = rng.choice([code32("web"), code32("mobile")], size)
    return fold(EMPTY, made)


def model_of(known: Items, seed: int, *, layer: bool, rows: int, growth: bool, sharp: bool) -> KindModel:
    """All usual sources, fitted, under a ranker that knows what it says by chance."""
    rng = np.random.default_rng(seed)
    profiles = [events(100 + customer, USES).events for customer in range(CUSTOMERS)]
    log: Log = log_of(np.repeat(np.arange(CUSTOMERS), USES), np.concatenate(profiles))
    fits = FITS | {"factors": lambda log, of: fit_factors(weights_of(user_items(log, of)), FACTORS, threads=1)}
    sources = tuple(fits[name](log, known) for name in SOURCES)
    columns = column_names(sources)

    def table(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    n, units = len(NAMES), 5
    ranker = Ranker(
        columns,
        table(rows, len(columns)),
        Layer(table(len(columns), units), table(ROWS, units), table(n + 1, units), table(n + 1, units), table(units))
        if layer
        else None,
        np.linspace(1.5, 0.8, SURE.size, dtype=np.float32) if sharp else None,
        Growth(table(len(columns)), np.array([1, 3], np.float32)) if growth else None,
    )
    return KindModel(known.codes, known.ids, sources, ranker, known.counting)


def both(shelf: Shelf, model: KindModel, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> tuple[Ranking, Ranking]:
    short = rank(shelf, model, profile, NOW)
    with monkeypatch.context() as patched:
        patched.setattr(ranking, "plan_of", lambda *_: None)
        return short, rank(shelf, model, profile, NOW)


@pytest.mark.parametrize(
    ("layer", "rows", "growth", "sharp", "counting"),
    [*itertools.product([True, False], [1, ROWS], [True, False], [True, False], [FADING, None])],
)
def test_both_ways_come_to_the_same(
    layer: bool, rows: int, growth: bool, sharp: bool, counting: Counting | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = items(counting)
    shelf = Shelf(known, np.ones(len(NAMES), np.bool_))
    model = model_of(known, 3, layer=layer, rows=rows, growth=growth, sharp=sharp)
    for seed, size in enumerate([1, 2, 3, 5, 12, 40, 300]):
        short, usual = both(shelf, model, events(seed, size, of=3 if size == 5 else len(NAMES)), monkeypatch)
        assert (short.short is not None) is (0 < used(usual.query).at.size <= FACTORS.factors)
        assert usual.short is None
        assert short.blended == pytest.approx(usual.blended, abs=1e-4)
        assert short.score == pytest.approx(usual.score, abs=1e-5)
        shown = np.argsort(-usual.blended)[:9]
        assert short.losses(shown) == pytest.approx(usual.losses(shown), abs=1e-4)
        assert short.reasons(shown) == usual.reasons(shown)
        assert short.parts(shown) == {name: pytest.approx(one, abs=1e-4) for name, one in usual.parts(shown).items()}
        for name in ("item", "time", "week", "channel", "type"):
            assert getattr(short.query.history, name).tolist() == getattr(usual.query.history, name).tolist()


def returned() -> Profile:
    taken = events(1, 9).events.copy()
    taken["type"][-1] = RETURN
    return fold(EMPTY, taken)


def long_ago() -> Profile:
    counts = np.zeros(1, COUNT)
    counts["item"], counts["type"], counts["count"] = code64(NAMES[1]), USE, 3
    return replace(events(1, 9), counts=counts)


@pytest.mark.parametrize("counting", [FADING, None])
@pytest.mark.parametrize("profile", [returned(), long_ago()], ids=["returned", "counted"])
def test_what_was_returned_or_is_only_counted_is_the_same_both_ways(
    profile: Profile, counting: Counting | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = items(counting)
    model = model_of(known, 3, layer=True, rows=ROWS, growth=True, sharp=True)
    short, usual = both(Shelf(known, np.ones(len(NAMES), np.bool_)), model, profile, monkeypatch)
    assert short.short is not None
    assert short.blended == pytest.approx(usual.blended, abs=1e-4)
    assert short.reasons(np.arange(9)) == usual.reasons(np.arange(9))


def test_a_stranger_takes_the_usual_way() -> None:
    known = items()
    model = model_of(known, 3, layer=True, rows=ROWS, growth=False, sharp=True)
    assert rank(Shelf(known, np.ones(len(NAMES), np.bool_)), model, EMPTY, NOW).short is None


def test_where_an_item_came_after_training_the_usual_way_is_taken() -> None:
    known = items()
    model = model_of(known, 3, layer=True, rows=ROWS, growth=False, sharp=True)
    more = items_of([*NAMES, "new"])
    late = replace(
        known,
        codes=np.append(known.codes, code64("new")),
        ids=[*known.ids, "new"],
        token_starts=more.token_starts,
        tokens=more.tokens,
    )
    ranking_ = rank(Shelf(late, np.ones(len(NAMES) + 1, np.bool_)), model, events(1, 9), NOW)
    assert ranking_.short is None
    assert ranking_.blended.size == len(NAMES) + 1


def test_a_model_that_was_changed_is_laid_out_anew() -> None:
    known = items()
    shelf = Shelf(known, np.ones(len(NAMES), np.bool_))
    model = model_of(known, 3, layer=False, rows=1, growth=False, sharp=False)
    before = rank(shelf, model, events(1, 9), NOW)
    weights = np.zeros_like(model.ranker.weights)
    after = rank(shelf, replace(model, ranker=replace(model.ranker, weights=weights)), events(1, 9), NOW)
    assert after.blended.tolist() == [0] * len(NAMES)
    assert before.blended.tolist() != after.blended.tolist()
