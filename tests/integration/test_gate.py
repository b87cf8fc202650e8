"""The gate at work: models of a small world are trained, swapped and broken, and promoted with the store at hand."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender import champion, probe
from recommender.baselines import Ranking
from recommender.champion import load_model
from recommender.errors import ArtefactError, RefusedError
from recommender.history import Query
from recommender.model import KindModel, Model, model_arrays
from recommender.plugins import registry_at
from recommender.registry import MAIN, Registry
from recommender.settings import Settings
from recommender.stores.base import Store
from recommender.tokens import tokens_of
from recommender.types import DAY, Kind, code64
from tests.contracts.worlds import Event
from tests.integration.test_pipeline import HOUR, SMALL, store_of, trained
from tests.integration.test_pipeline import world as reading
from training.pipeline import train

STEPS = tuple(f"step-{n:02}" for n in range(12))
"""Features; everybody does them in this order, each beginning elsewhere, hardly anything twice."""


def rounds(customers: int = 120, uses: int = 14, rename: Mapping[str, str] | None = None) -> list[Event]:
    """Customers who go through twelve features, two a day."""
    return [
        Event(
            f"crm:{customer}",
            f"{n:03}",
            DAY + n * 12 * HOUR + customer,
            (rename or {}).get(item := STEPS[(customer * 5 + n) % len(STEPS)], item),
            kind=Kind.FEATURE,
        )
        for customer in range(customers)
        for n in range(uses)
    ]


def shuffled(seed: int) -> dict[str, str]:
    """Each item's id in a log that was mixed up on the way."""
    return dict(zip(STEPS, np.random.default_rng(seed).permutation(STEPS).tolist(), strict=True))


@pytest.fixture(scope="module")
def store() -> Store:
    return store_of(rounds())


@pytest.fixture(scope="module")
def made(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Three models: the champion; one whose log had its ids shuffled; one whose log named things otherwise."""
    home = tmp_path_factory.mktemp("gate")
    others = (shuffled(3), {item: f"new-{item}" for item in STEPS})
    for log in (store, *(store_of(rounds(rename=rename)) for rename in others)):
        trained(log, home)
    return Registry(home / "models")


def test_a_model_of_shuffled_ids_is_refused_though_its_figures_are_well(store: Store, made: Registry) -> None:
    assert champion.promote(made, 1, store=store) == 1
    with pytest.raises(RefusedError) as refusal:
        champion.promote(made, 2, store=store)
    (reason,) = refusal.value.reasons
    assert "feature: of 168 of the store's newest uses it reaches an mrr of 0.2" in reason
    assert "the champion of the same settings 1.0" in reason
    assert made.aliases().champion == 1


def test_models_are_asked_with_what_is_told_of_the_items(
    store: Store, made: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Query] = []
    ranking = probe._ranking

    def watched(model: KindModel) -> Ranking:
        rank = ranking(model)
        return lambda query: asked.append(query) or rank(query)  # type: ignore[func-returns-value]

    monkeypatch.setattr(probe, "_ranking", watched)
    probe.objections(store, load_model(made, 1), None)
    items = asked[0].items
    told = {code64(item.id): tokens_of(item).tolist() for item in store.items.changes(0)[1]}
    for at, code in enumerate(items.codes.tolist()):
        assert items.tokens[items.token_starts[at] : items.token_starts[at + 1]].tolist() == told[code] != []


def with_settings(model: Model, **settings: int) -> Model:
    """The model, said to have been trained with other settings."""
    assert model.manifest is not None
    return replace(model, manifest=model.manifest.model_copy(update={"configuration": settings}))


def test_such_a_model_is_refused_as_the_first_too_and_whatever_its_settings(store: Store, made: Registry) -> None:
    model, before = load_model(made, 2), load_model(made, 1)
    for challenger, champion_ in ((model, None), (with_settings(model, factors=9), before)):
        (reason,) = probe.objections(store, challenger, champion_)
        assert "with its items in other places: what it knows is not of these items" in reason
        assert probe.objections(store, challenger, champion_) == [reason], "the same questions each time"


def test_a_model_of_other_ids_is_refused_unless_the_champion_knows_no_more(store: Store, made: Registry) -> None:
    model = load_model(made, 3)
    for before in (None, load_model(made, 1)):
        reasons = probe.objections(store, model, before)
        assert "it knows the items of 0%" in reasons[0]
    assert not any("it knows the items" in reason for reason in probe.objections(store, model, model))


def test_a_model_of_this_store_passes_whatever_its_settings_and_before_whatever_champion(
    store: Store, made: Registry
) -> None:
    model = load_model(made, 1)
    for before in (None, model, with_settings(model, factors=9), load_model(made, 2)):
        assert probe.objections(store, model, before) == []


def test_a_model_of_this_store_may_remember_less_than_the_champion(store: Store, made: Registry) -> None:
    """What it knows of items is of these items, and its backtest has said what that is worth."""
    model = load_model(made, 1)
    part = model.kinds[Kind.FEATURE]
    part = replace(part, ranker=replace(part.ranker, weights=part.ranker.weights * np.float32(0.05)))
    weak = with_settings(replace(model, kinds={**model.kinds, Kind.FEATURE: part}), factors=9)
    assert probe.objections(store, weak, model) == []


def test_a_log_without_a_clock_is_asked_what_else_a_customer_used(tmp_path: Path) -> None:
    log = store_of(reading(customers=60, rounds=10, clock=False, kinds=[Kind.CONTENT]))
    assert trained(log, tmp_path).refused == ()


def test_few_uses_in_the_store_refuse_nothing(made: Registry) -> None:
    assert probe.objections(store_of(rounds(customers=3)), load_model(made, 2), None) == []
    assert probe.objections(store_of([]), load_model(made, 2), None) == []


def test_items_in_another_order_than_they_were_published_in_are_damage(store: Store, made: Registry) -> None:
    model = load_model(made, 1)
    assert model.manifest is not None
    arrays = model_arrays(model)
    arrays["feature.items.codes"] = np.random.default_rng(3).permutation(arrays["feature.items.codes"])
    number = made.publish(MAIN, arrays, model.manifest)
    with pytest.raises(ArtefactError, match="codes are not ascending"):
        champion.promote(made, number, store=store, force="whatever it says")


def test_training_on_a_log_that_was_mixed_up_makes_no_champion(tmp_path: Path, store: Store) -> None:
    """The champion's settings fare as badly on it; but it did well in its own backtest."""
    assert trained(store, tmp_path).champion
    item = np.random.default_rng(3).choice(STEPS, len(rounds()))
    noise = [replace(event, item=str(one)) for event, one in zip(rounds(), item, strict=True)]
    outcome = trained(store_of(noise), tmp_path, promote=True)
    assert (outcome.version, outcome.champion) == (2, False)
    assert any("mrr fell to" in reason for reason in outcome.refused)
    assert outcome.document()["refused"] == outcome.refused
    assert "The gate does not let it be the champion" in outcome.summary()
    assert Registry(tmp_path / "models").aliases().champion == 1


SUMMED = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recommender.sources.base import Scores


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    number: np.ndarray  # shape (n,), each item's place among all ids
    item: np.ndarray  # shape (n,), the item at each place

    name: ClassVar[str] = "summed"
    reason: ClassVar[str] = "by the numbers"
    columns: ClassVar[tuple[str, ...]] = ("next",)

    @classmethod
    def fit(cls, log):
        order = np.argsort(log.ids)
        return cls(np.argsort(order), order)

    def score(self, queries):
        return [self._score(query) for query in queries]

    def _score(self, query):
        last = self.number[query.history.item[-4:]]
        following = self.item[[(last.sum() + 1) % self.item.size]] if last.size == 4 else last[:0]
        return Scores(np.full((1, following.size), 5, np.float32), following, np.zeros(1, np.float32))
"""


def sums(customers: int = 120, uses: int = 14) -> list[Event]:
    """Customers whose next feature is one more than their last four add up to, beginning anywhere."""
    draws = np.random.default_rng(5)
    events = []
    for customer in range(customers):
        steps = draws.integers(0, len(STEPS), 4).tolist()
        while len(steps) < uses:
            steps.append((sum(steps[-4:]) + 1) % len(STEPS))
        at = [DAY + n * 12 * HOUR + customer for n in range(uses)]
        events += [
            Event(f"crm:{customer}", f"{n:03}", at[n], STEPS[step], kind=Kind.FEATURE) for n, step in enumerate(steps)
        ]
    return events


def test_a_model_that_is_better_by_more_than_its_interval_passes_and_back_it_goes_only_by_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is too short for the built-in sources to learn a sum by heart that the site's own knows."""
    store = store_of(sums())
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "summed.py").write_text(SUMMED)
    own = Settings(training=SMALL.training.model_copy(update={"sources": ("summed:Summed",)}))
    registry = registry_at(tmp_path, own)
    plain = train(store, registry, SMALL, promote=False, progress=lambda *_: None)
    better = train(store, registry, own, promote=True, progress=lambda *_: None)
    assert (plain.champion, better.champion, better.refused) == (True, True, ())
    row = next(row for row in better.judgements["feature"] if row["name"] == "champion")
    assert float(str(row["behind_low"])) > 0.1
    with pytest.raises(RefusedError, match="The gate refuses main/1"):
        champion.promote(registry, 1, store=store)
    assert champion.rollback(registry) == 1
