"""What a training learns of the settings that are left open, on worlds whose answer is known."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from recommender.settings import Training
from recommender.types import DAY, EVENT, PURCHASE, VIEW, Kind, code64
from training import learned
from training.dataset import items_of, log_of
from training.evaluation import model_ranking
from training.fit.kind import Subject, counting_of, fit_kind, refit
from training.learned import chosen, settled
from training.questions import pages
from training.search import NEIGHBOURS, changed, counting_of_log, slice_of, today

QUICK = Training(factors=4, iterations=2, threads=1)
SHELVES, EACH, CUSTOMERS = 8, 15, 200
NAMES = {VIEW: "view", PURCHASE: "purchase"}

Did = tuple[int, int, int, int]
"""Customer, item, event type, time."""


def subject_of(done: Sequence[Did], kind: Kind = Kind.CONTENT) -> Subject:
    ids = [f"item-{number}" for number in range(SHELVES * EACH)]
    events = np.zeros(len(done), EVENT)
    for at, (event, (_, item, type_, time)) in enumerate(zip(events, done, strict=True)):
        event["item"], event["type"], event["time"], event["key"] = code64(ids[item]), type_, time, at + 1
    log = log_of(np.array([customer for customer, *_ in done]), events)
    return Subject(kind, items_of(ids), replace(log, names=NAMES))


def looking_around() -> Iterator[Did]:
    """Everybody buys off their own shelf, an item every ten days, and looks at eight of any shelf in between."""
    rng = np.random.default_rng(3)
    for customer in range(CUSTOMERS):
        own = customer % SHELVES * EACH + rng.permutation(EACH)[:6]
        for month, item in enumerate(own.tolist()):
            time = DAY * (1 + 10 * month) + customer * 60_000
            yield customer, item, PURCHASE, time
            for look in range(1, 9):
                yield customer, int(rng.integers(SHELVES * EACH)), VIEW, time + look * DAY


def turning() -> Iterator[Did]:
    """Everybody leaves the shelf of the first half for another in the second, half of them for each other one."""
    rng = np.random.default_rng(5)
    for customer in range(CUSTOMERS):
        for half in range(2):
            shelf = (customer + half * (1 + customer // SHELVES % 2)) % SHELVES
            for number, item in enumerate((shelf * EACH + rng.permutation(EACH)[:10]).tolist()):
                yield customer, item, PURCHASE, DAY * (1 + 10 * (10 * half + number)) + customer * 60_000


def staying() -> Iterator[Did]:
    """The purchases of `looking_around` alone."""
    return (did for did in looking_around() if did[2] == PURCHASE)


def test_views_that_say_nothing_of_a_taste_weigh_nothing_and_purchases_all() -> None:
    found = chosen(subject_of(list(looking_around())), QUICK)
    assert isinstance(found.type_weights, dict)
    assert found.type_weights["view"] == 0
    assert found.type_weights.get("purchase", 1) == 1


def test_where_taste_turned_old_uses_fade_and_where_it_stayed_they_do_not() -> None:
    turned = chosen(subject_of(list(turning())), QUICK).half_life
    assert turned != "learned"
    assert 0 < turned <= 60
    assert chosen(subject_of(list(staying())), QUICK).half_life == 0


def test_a_log_of_one_type_has_no_weights_and_the_same_search_finds_the_same() -> None:
    subject = subject_of(list(turning()))
    found = chosen(subject, QUICK)
    assert found.type_weights == {}
    assert chosen(subject, QUICK) == found


def test_what_the_settings_say_is_not_searched() -> None:
    said = QUICK.model_copy(update={"half_life": 7.0, "type_weights": {"view": 0.5}})
    assert chosen(subject_of(list(turning())), said) == said


@pytest.mark.parametrize("kind", [Kind.FEATURE, Kind.CONTENT])
def test_features_and_content_without_a_clock_are_left_alone(kind: Kind) -> None:
    done = list(turning())
    subject = subject_of(
        done if kind is Kind.FEATURE else [(who, item, type_, DAY) for who, item, type_, _ in done], kind
    )
    assert chosen(subject, QUICK) == settled(QUICK)


def test_of_a_large_log_some_customers_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(list(turning()))
    monkeypatch.setattr(learned, "AFFORDED", subject.log.events.size * 3 // 4)
    found = chosen(subject, QUICK)
    assert found.half_life != 0
    assert chosen(subject, QUICK) == found


def test_too_little_to_judge_by_leaves_all_alike() -> None:
    assert chosen(subject_of(list(turning())[:60]), QUICK) == settled(QUICK)


def test_trials_search_the_sources_as_well_and_begin_where_the_settings_are() -> None:
    bad = QUICK.model_copy(update={"alpha": 1.0, "regularisation": 3e5, "trials": 4})
    found = chosen(subject_of(list(staying())), bad)
    assert found.regularisation < 3e5
    assert today(NEIGHBOURS, bad) == {"customer_discount": 0.8, "source_discount": 0.8, "target_discount": 0.3}


def test_a_weight_is_set_beside_those_that_are_known() -> None:
    known = changed(QUICK, {"type_weights.view": 0.1})
    both = changed(known, {"type_weights.click.twice": 0.3, "half_life": 9.0})
    assert both.type_weights == {"view": 0.1, "click.twice": 0.3}
    assert both.half_life == 9
    counting = counting_of_log(slice_of(subject_of(list(looking_around())), 7))
    assert today(counting, settled(known)) == {"half_life": 0, "type_weights.view": 0.1, "type_weights.purchase": 1}


def test_a_model_is_fitted_fitted_anew_and_asked_with_uses_counted_alike() -> None:
    subject = subject_of([did for did in looking_around() if did[0] < 30])
    settings = changed(settled(QUICK), {"type_weights.view": 0.0, "half_life": 50.0})
    model = fit_kind(subject, settings)
    again = refit(model, subject, settings)
    assert model.counting is not None
    assert again.counting is model.counting
    (asked,) = pages(subject.log, subject.items, 100 * DAY, customers=np.array([1]))
    assert (model_ranking(again)(asked.query) == model_ranking(model)(asked.query)).all()
    assert fit_kind(subject, QUICK).counting is counting_of(QUICK) is None
