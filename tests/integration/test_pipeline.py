"""From a store to a published model, on worlds whose answer is known."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.baselines import most_recent, most_used
from recommender.champion import load_model
from recommender.history import Context, Query
from recommender.model import KindModel
from recommender.page import Request, SlotRequest
from recommender.recommender import Recommender
from recommender.registry import Registry
from recommender.settings import Settings, Training
from recommender.stores import open_store
from recommender.stores.base import Item, Store
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, FloatArray, IntArray, Kind
from tests.contracts.worlds import Event, batch
from tests.integration.serving_world import client_of, site_of
from training import pipeline
from training.dataset import extract
from training.evaluation import Report, before, model_ranking, popularity_of, row_of
from training.fit.kind import Subject, held_back
from training.judge import judge, questions_of
from training.learned import settled
from training.pipeline import Outcome, evaluate, subjects_of, train
from training.search import changed

HOUR = 3_600_000
STRONG = ("crm", "id")
SMALL = Settings(training=Training(factors=4, iterations=2, threads=1))
FADING = Settings(training=SMALL.training.model_copy(update={"half_life": 2.0, "type_weights": {"view": 0.4}}))
ROUND = ("balance", "pay-bill", "receipt")
"""What everybody does, in this order, over and over: what comes next is known after every step."""

READ = ("news", "guide")


def world(
    customers: int = 12, rounds: int = 20, *, clock: bool = True, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Event]:
    """Customers who go round, an hour a step, and read something now and then."""
    events = []
    for customer in range(customers):
        for step in range(rounds * len(ROUND)):
            time = DAY + (step * 24 + customer) * HOUR if clock else DAY
            identity, number = f"crm:{customer}", f"{step:04}"
            if Kind.FEATURE in kinds:
                events.append(Event(identity, f"f{number}", time, ROUND[step % 3], kind=Kind.FEATURE))
            if Kind.CONTENT in kinds and step % 2:
                item = READ[customer % 2]
                events.append(Event(identity, f"c{number}", time + 1, item, "view", "mobile", Kind.CONTENT))
    return events


def store_of(events: Sequence[Event], links: Sequence[tuple[str, str]] = ()) -> MemoryStore:
    store = MemoryStore(STRONG)
    if events:
        store.events.append(batch(events))
    for a, b in links:
        store.identities.link(a, b)
    return store


def trained(store: Store, home: Path, settings: Settings = SMALL, *, promote: bool = False) -> Outcome:
    return train(store, Registry(home / "models"), settings, promote=promote, progress=lambda *_: None)


def evaluated(store: Store, home: Path) -> Outcome:
    return evaluate(store, Registry(home / "models"), SMALL, progress=lambda *_: None)


def row(outcome: Outcome, kind: Kind, name: str = "murmeli") -> dict[str, object]:
    return next(dict(row) for row in outcome.judgements[kind] if row["name"] == name)


def test_an_empty_log_makes_no_version_and_says_why(tmp_path: Path) -> None:
    for outcome in (trained(store_of([]), tmp_path), evaluated(store_of([]), tmp_path)):
        assert (outcome.version, outcome.judgements) == (None, {})
        assert "empty" in outcome.notes[0]
    assert not (tmp_path / "models").exists()


def test_a_log_that_names_no_item_makes_no_version_and_says_why(tmp_path: Path) -> None:
    outcome = trained(store_of([Event("crm:1", "e", item="", type="login")]), tmp_path)
    assert (outcome.version, outcome.log.events) == (None, 1)
    assert "No event of the log names an item" in outcome.notes[0]


@pytest.mark.parametrize(
    "events",
    [
        [Event("crm:1", "e", kind=Kind.FEATURE)],
        [Event("crm:1", f"e{n}", n * DAY, ROUND[n % 3]) for n in range(20)],
        [Event(f"crm:{n}", "e", DAY, ROUND[n % 3]) for n in range(20)],
    ],
    ids=["one event", "one customer", "no clock"],
)
def test_too_little_evidence_gives_habit_and_popularity_and_says_so(tmp_path: Path, events: list[Event]) -> None:
    store = store_of(events)
    outcome = trained(store, tmp_path)
    model = load_model(Registry(tmp_path / "models"))
    assert [source.name for source in model.kinds[Kind.FEATURE].sources] == ["habit", "popularity"]
    assert "habit and popularity" in outcome.notes[0]
    assert "habit and popularity" in outcome.summary()
    assert evaluated(store, tmp_path).notes == outcome.notes
    answer = Recommender(store, model, SMALL).recommend(
        Request("crm:1", (SlotRequest("home.features"),), Context(21 * DAY))
    )
    assert {item.item for item in answer.slots[0].items} == {event.item for event in events}


def test_the_round_is_learned_and_no_baseline_knows_it(tmp_path: Path) -> None:
    outcome = trained(store_of(world()), tmp_path)
    assert row(outcome, Kind.FEATURE)["hit@1"] == 1
    assert row(outcome, Kind.FEATURE)["n"] == 72
    assert row(outcome, Kind.FEATURE, "most-recent")["hit@1"] == 0
    assert row(outcome, Kind.FEATURE, "most-recent")["mrr"] == pytest.approx(1 / 3)
    published = Registry(tmp_path / "models").manifest().metrics
    assert published[Kind.FEATURE] == outcome.judgements[Kind.FEATURE]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_log_of_one_kind_trains_that_kind_and_answers_for_both(tmp_path: Path, kind: Kind) -> None:
    store = store_of(world(kinds=[kind]))
    outcome = trained(store, tmp_path)
    assert list(outcome.judgements) == [kind.value]
    page = tuple(SlotRequest(name) for name in SMALL.placements)
    answer = Recommender(store, load_model(Registry(tmp_path / "models")), SMALL).recommend(
        Request("crm:1", page, Context(99 * DAY))
    )
    assert [bool(slot.items) for slot in answer.slots] == [kind is Kind.FEATURE, kind is Kind.CONTENT]


def test_a_kind_that_is_in_the_catalogue_and_was_never_used_is_trained_too(tmp_path: Path) -> None:
    store = store_of(world(kinds=[Kind.FEATURE]))
    store.items.put([Item("brochure", Kind.CONTENT)])
    outcome = trained(store, tmp_path)
    assert any(note.startswith("content: 0 uses") for note in outcome.notes)
    assert row(outcome, Kind.FEATURE)["hit@1"] == 1


def test_a_kind_without_a_clock_is_judged_so_beside_one_that_has_a_clock(tmp_path: Path) -> None:
    """Features all at one moment, content over many days: neither decides how the other is split."""
    at_once = [replace(event, time=DAY) if event.kind is Kind.FEATURE else event for event in world(rounds=10)]
    outcome = trained(store_of(at_once), tmp_path)
    found, uses = row(outcome, Kind.FEATURE), sum(event.kind is Kind.FEATURE for event in at_once)
    assert 0 < float(str(found["n"])) < uses / 2
    assert float(str(found["mrr"])) > 0


def test_without_a_clock_what_goes_together_is_learned(tmp_path: Path) -> None:
    store = store_of(world(rounds=10, clock=False, kinds=[Kind.CONTENT]))
    assert not any(subject.clocked for subject in subjects_of(store, extract(store)))
    outcome = trained(store, tmp_path)
    assert row(outcome, Kind.CONTENT)["hit@1"] == 1
    assert "transitions" not in [s.name for s in load_model(Registry(tmp_path / "models")).kinds[Kind.CONTENT].sources]


def test_without_a_clock_and_with_nobody_to_ask_back_what_is_popular_comes_first(tmp_path: Path) -> None:
    store = store_of([Event(f"crm:{n}", "e", DAY, "guide" if n % 3 else "news", "view") for n in range(400)])
    trained(store, tmp_path)
    model = load_model(Registry(tmp_path / "models"))
    answer = Recommender(store, model, SMALL).recommend(
        Request("web:new", (SlotRequest("home.content"),), Context(DAY))
    )
    assert [(item.item, item.reason) for item in answer.slots[0].items] == [("guide", "popular"), ("news", "popular")]


def test_the_first_model_is_the_champion_and_a_later_one_only_where_asked(tmp_path: Path) -> None:
    store, registry = store_of(world(rounds=3)), Registry(tmp_path / "models")
    assert trained(store, tmp_path).champion
    assert not trained(store, tmp_path).champion
    assert (registry.aliases().champion, registry.aliases().challenger) == (1, 2)
    assert trained(store, tmp_path, promote=True).champion
    assert (registry.aliases().champion, registry.aliases().history) == (3, (1,))


def test_the_same_log_in_two_homes_gives_the_same_fingerprint_and_another_seed_another(tmp_path: Path) -> None:
    prints = []
    for home, events in (("a", world()), ("b", world()[::-1])):
        with closing(open_store(tmp_path / home, strong=STRONG)) as store:
            store.events.append(batch(sorted(events, key=lambda event: event.identity)))
            prints += [trained(store, tmp_path / home).fingerprint]
    assert prints[0] == prints[1]
    other = SMALL.model_copy(update={"training": SMALL.training.model_copy(update={"seed": 8})})
    assert trained(store_of(world()), tmp_path / "c", other).fingerprint != prints[0]


def test_a_retrained_model_is_served_without_a_restart(tmp_path: Path) -> None:
    with closing(open_store(tmp_path, strong=STRONG)) as store:
        store.events.append(batch(world(rounds=3)))
        trained(store, tmp_path)
        with client_of(tmp_path, "disk") as client:
            assert client.get("/readyz").json()["model"] == "main/1"
            trained(store, tmp_path, promote=True)
            assert client.portal is not None
            client.portal.call(site_of(client).live.catch_up)
            assert client.get("/readyz").json() == {"status": "ready", "model": "main/2", "degraded": []}


# What training computed by replay is what serving answers.


PERSON = [
    Event("crm:me", "1", 1 * DAY, "balance", kind=Kind.FEATURE),
    Event("web:me", "2", 1 * DAY + 9 * HOUR, "pay-bill", kind=Kind.FEATURE, channel="mobile"),
    Event("web:me", "3", 2 * DAY, "news", "view", kind=Kind.CONTENT),
    Event("crm:me", "4", 2 * DAY + HOUR, "receipt", kind=Kind.FEATURE),
    Event("id:other", "5", 3 * DAY, "balance", kind=Kind.FEATURE),
    Event("crm:me", "6", 3 * DAY + HOUR, "news", "dismiss", kind=Kind.CONTENT),
    Event("web:me", "7", 4 * DAY, "pay-bill", kind=Kind.FEATURE),
    Event("web:me", "8", 5 * DAY, "pay-bill", "return", kind=Kind.FEATURE),
    Event("crm:me", "9", 6 * DAY, "guide", "view", kind=Kind.CONTENT, channel="mobile"),
    Event("web:me", "10", 7 * DAY, "receipt", kind=Kind.FEATURE, channel="mobile"),
]
LINKS = [("web:me", "crm:me"), ("id:other", "crm:me")]
PAGE = (SlotRequest("home.features", k=9), SlotRequest("home.content", k=9))


def served(store: Store, models: Path, query: Query, customer: str) -> dict[str, float]:
    """The score of every item, as an answer gives it."""
    recommender = Recommender(store, load_model(Registry(models)), SMALL)
    answer = recommender.recommend(Request(customer, PAGE, query.context))
    return {item.item: item.score for slot in answer.slots for item in slot.items}


def replayed(kind: KindModel, query: Query) -> dict[str, float]:
    """The score of every item, as the judges compute it."""
    scores: FloatArray = kind.ranker.probabilities(model_ranking(kind)(query))
    return dict(zip(query.items.ids, scores.tolist(), strict=True))


@pytest.fixture(params=[True, False], ids=["clock", "no clock"])
def everything(request: pytest.FixtureRequest) -> list[Event]:
    """The world and one person of three identities; without a clock all of it at one moment."""
    events = [*world(), *PERSON]
    return events if request.param else [replace(event, time=DAY) for event in events]


def asked(events: Sequence[Event], kind: Kind) -> Iterator[tuple[Query, Store]]:
    """Each question about a step of the person, beside a store that holds exactly what it may know."""
    log = extract(store_of(events, LINKS))
    (subject,) = (one for one in subjects_of(store_of(events, LINKS), log) if one.kind is kind)
    (person,) = np.flatnonzero(np.diff(log.starts) == len(PERSON))
    mine = np.arange(*log.starts[person : person + 2])
    held = subject.uses & np.isin(np.arange(log.events.size), mine)
    by_key = {batch([event]).records["key"][0]: event for event in PERSON}
    history = [by_key[key] for key in log.events["key"][mine].tolist()]
    where = np.flatnonzero(held)
    for at, one in zip(where.tolist(), replace(questions_of(subject, held), hide=False).steps(where), strict=True):
        known = (
            history[: at - mine[0]]
            if subject.clocked
            else [e for e, out in zip(history, held[mine], strict=True) if not out]
        )
        store = store_of(known, LINKS)
        store.items.put(store_of(events).items.changes(0)[1])
        yield one.query, store


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_judged_is_what_is_served(tmp_path: Path, everything: list[Event], kind: Kind) -> None:
    trained(store_of(everything, LINKS), tmp_path)
    compare(tmp_path, everything, kind)


def test_uses_that_count_by_type_and_age_count_so_when_served(tmp_path: Path) -> None:
    events = [*world(20, kinds=[Kind.CONTENT]), *PERSON]
    trained(store_of(events, LINKS), tmp_path, FADING)
    assert load_model(Registry(tmp_path / "models")).kinds[Kind.CONTENT].counting is not None
    compare(tmp_path, events, Kind.CONTENT)


def test_what_was_learned_of_the_settings_is_told_and_kept_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(_subject: Subject, settings: Training, _progress: Report) -> Training:
        return changed(settled(settings), {"half_life": 3.0})

    monkeypatch.setattr(pipeline, "chosen", learn)
    outcome = trained(store_of(world(20, kinds=[Kind.CONTENT])), tmp_path)
    assert outcome.document()["learned"] == {"content": {"half_life": 3.0}}
    assert "content: learned on the log: half_life = 3.0." in outcome.summary()
    manifest = Registry(tmp_path / "models").manifest()
    assert manifest.learned == {Kind.CONTENT: {"half_life": 3.0}}
    assert manifest.configuration["half_life"] == "learned"
    assert manifest.arrays["content.counting.half_life"].shape == ()


def compare(home: Path, events: list[Event], kind: Kind) -> None:
    """What a home's model says to each question, as the judges compute it and as an answer gives it."""
    model = load_model(Registry(home / "models"))
    compared = 0
    for query, store in asked(events, kind):
        expected = replayed(model.kinds[kind], query)
        for customer in ("crm:me", "web:me", "id:other"):
            found = served(store, home / "models", query, customer)
            assert {item: found[item] for item in expected} == pytest.approx(expected, abs=1e-6)
        compared += 1
    assert compared == sum(e.kind is kind and e.type not in ("return", "dismiss") for e in PERSON)


# The judges, on a log whose figures can be counted.


def figures(rows: Sequence[Mapping[str, object]]) -> dict[str, tuple[object, ...]]:
    return {str(row["name"]): (row["hit@1"], row["hit@3"], row["mrr"], row["n"]) for row in rows}


def test_the_judges_figures_are_those_counted_by_hand() -> None:
    """a a b b | a b: before the fifth step a and b were used twice, b last; before the sixth a leads by one."""
    steps = [Event("crm:1", str(n), n * DAY, item) for n, item in enumerate("aabbab")]
    other = [Event("crm:2", str(n), n * DAY, "c") for n in range(3)]
    store = store_of([*steps, *other])
    log = extract(store)
    (subject,) = subjects_of(store, log)
    held = (log.events["time"] >= 4 * DAY) & subject.uses
    nothing = np.full(3, -np.inf, np.float32)
    rankings = {
        "used": most_used,
        "recent": most_recent,
        "popular": popularity_of(subject.earlier(~held)),
        "silent": lambda _: nothing,
        "undecided": lambda _: np.zeros(3, np.float32),
    }
    assert figures(judge(subject, held, rankings, 7)) == {
        "used": (0, 1, 0.5, 2),  # tied at two, and a tie goes to the others; then second of two
        "recent": (0, 1, 0.5, 2),  # b was last, then a was
        "popular": (0, 1, pytest.approx(1 / 3), 2),  # c three times, a and b twice each, tied: third
        "silent": (0, 0, 0, 2),
        "undecided": (0, 1, pytest.approx(1 / 3), 2),
    }


def width(ranks: IntArray, who: IntArray) -> float:
    found = row_of("", ranks, who)
    return float(str(found["mrr_high"])) - float(str(found["mrr_low"]))


def test_an_interval_is_over_customers_and_over_blocks_of_time_where_they_are_few() -> None:
    assert width(np.array([1, 0] * 40), np.repeat(np.arange(40), 2)) == 0
    assert width(np.array([1, 0] * 40), np.repeat(np.arange(4), 20)) == 0
    assert width(np.repeat([1, 0], 40), np.zeros(80, np.int64)) > 0.1


def test_no_judge_knows_the_answer_before_it_is_given() -> None:
    events = world(customers=3, rounds=4)
    store = store_of(events)
    log = extract(store)
    for subject in subjects_of(store, log):
        where = np.flatnonzero(subject.uses)
        for at, one in zip(where.tolist(), questions_of(subject, subject.uses).steps(where), strict=True):
            assert one.query.context.now == log.events["time"][at]
            assert np.all(one.query.history.time < one.query.context.now)
            assert one.query.items.codes[one.wanted] == log.events["item"][at]


@pytest.mark.parametrize("clock", [True, False])
def test_nothing_of_the_time_that_is_judged_is_fitted_on_no_return_either(clock: bool) -> None:
    events = world(customers=3, rounds=4, clock=clock)
    back = [replace(events[-1], identity=f"crm:{n}", event_id="back", type="return") for n in range(3)]
    store = store_of([*events, *back])
    for subject in subjects_of(store, extract(store)):
        held = held_back(subject, 0.3, 7)
        kept, first = before(subject, held).log.events, subject.log.events["time"][held].min()
        assert not np.isin(subject.log.events["key"][held], kept["key"]).any()
        assert (kept["time"].max() < first) if clock else kept.size == subject.log.events.size - held.sum()


def test_what_is_held_back_is_the_newest_tenth_of_each_kind(tmp_path: Path) -> None:
    outcome = evaluated(store_of(world()), tmp_path)
    assert [row(outcome, kind)["steps"] for kind in Kind] == [36, 72]
    assert [row(outcome, kind)["n"] for kind in Kind] == [12, 72]
    assert outcome.version is None


# The champion, and what an evaluation tells beside the table.


def named(outcome: Outcome, kind: Kind, name: str) -> list[dict[str, object]]:
    return [dict(row) for row in outcome.judgements[kind] if row["name"] == name]


def test_the_champions_settings_are_fitted_on_the_same_and_asked_the_same(tmp_path: Path) -> None:
    store = store_of(world(customers=6, rounds=12))
    assert not named(trained(store, tmp_path), Kind.FEATURE, "champion")
    stated = Registry(tmp_path / "models").manifest().configuration
    same = row(evaluated(store, tmp_path), Kind.FEATURE, "champion")
    assert (same["behind"], same["behind_low"], same["behind_high"]) == (0, 0, 0)
    assert same["configuration"] == stated
    other = Settings(training=SMALL.training.model_copy(update={"seed": 8}))
    outcome = evaluate(store, Registry(tmp_path / "models"), other, progress=lambda *_: None)
    rival = row(outcome, Kind.FEATURE, "champion")
    assert (rival["configuration"], rival["n"]) == (stated, row(outcome, Kind.FEATURE)["n"])


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"factors": "many"}, "cannot be read"), ({"sources": ["some.module:Class"]}, "murmeli.toml does not name")],
    ids=["settings nobody knows", "a model of its own"],
)
def test_a_champion_that_cannot_be_fitted_is_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object], why: str
) -> None:
    store, registry = store_of(world(customers=4, rounds=6)), Registry(tmp_path / "models")
    trained(store, tmp_path)
    manifest = registry.manifest()
    stated = manifest.model_copy(update={"configuration": manifest.configuration | changed})
    monkeypatch.setattr(Registry, "manifest", lambda *_: stated)
    outcome = evaluate(store, registry, SMALL, progress=lambda *_: None)
    assert not named(outcome, Kind.FEATURE, "champion")
    assert any(why in note for note in outcome.notes)


def test_a_learning_curve_is_of_the_newest_shares_of_what_came_before(tmp_path: Path) -> None:
    store = store_of(world(kinds=[Kind.FEATURE]))
    outcome = evaluate(store, Registry(tmp_path), SMALL, curve=True, progress=lambda *_: None)
    curve = {row["share"]: row["uses"] for row in outcome.curves["feature"] if "share" in row}
    before_test = 12 * 20 * len(ROUND) - 72
    assert curve == {share: pytest.approx(share * before_test, abs=12) for share in (1, 0.5, 0.25, 0.125)}
    assert evaluate(store, Registry(tmp_path), SMALL, curve=False, progress=lambda *_: None).curves == {}


def test_the_overview_counts_and_names_no_customer(tmp_path: Path) -> None:
    outcome = evaluated(store_of(world(customers=3, rounds=8)), tmp_path)
    data: dict[str, Any] = dict(outcome.data)
    assert sum(data["over_time"]) == outcome.log.events == 36 * 3
    assert data["channels"] == [["web", pytest.approx(2 / 3)], ["mobile", pytest.approx(1 / 3)]]
    assert data["uses_per_customer"] == [36, 36, 36]
    assert data["kinds"]["feature"]["items"] == len(ROUND)
    assert "crm:" not in str(outcome.document())
