"""The search for better settings, on worlds where it is known what is better."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import UsageError
from recommender.settings import FILE, Settings, Training, commented, load_settings
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, Kind
from tests.contracts.worlds import Event
from tests.integration.test_pipeline import store_of
from training.dataset import extract
from training.evaluation import before
from training.fit.kind import held_back
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.pipeline import TEST, subjects_of
from training.search import quality, slice_of
from training.tuning import FILE as FILE_OF_TRIALS
from training.tuning import Tuned, tune, write_training

QUICK = Settings(training=Training(factors=4, iterations=2, threads=1))


def shelf(*, clock: bool = True) -> list[Event]:
    """Two groups of readers, each working through its own shelf of 12, all of them through one bestseller."""
    rng = np.random.default_rng(3)
    events = []
    for customer in range(120):
        order = ["bestseller", *(f"{'ab'[customer % 2]}{n}" for n in rng.permutation(12)[:8])]
        for number, item in enumerate(order):
            time = DAY * (1 + number) + customer * 60_000 if clock else DAY
            events.append(Event(f"crm:{customer}", f"{number}", time, item, "view", kind=Kind.CONTENT))
    return events


def search(store: MemoryStore, home: Path, trials: int = 3, settings: Settings = QUICK) -> Tuned:
    return tune(store, home, settings, trials=trials, minutes=None, progress=lambda *_: None)


def test_a_search_that_was_stopped_goes_on_and_the_same_search_finds_the_same(tmp_path: Path) -> None:
    store = store_of(shelf())
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = search(store, tmp_path / "one")
    assert [row["trials"] for row in first.rows] == [3, 3, 3]
    assert search(store, tmp_path / "two").rows == first.rows
    assert search(store, tmp_path / "one").rows == first.rows
    assert [row["trials"] for row in search(store, tmp_path / "one", trials=4).rows] == [4, 4, 4]


def test_a_search_leaves_settings_that_are_bad_and_says_what_is_better(tmp_path: Path) -> None:
    """Factors drawn to zero so hard that they say next to nothing."""
    bad = Settings(training=QUICK.training.model_copy(update={"alpha": 1.0, "regularisation": 3e5}))
    found = search(store_of(shelf()), tmp_path, trials=8, settings=bad)
    row = found.rows[1]
    assert row["source"] == "factors"
    assert float(str(row["gain_low"])) > 0
    assert found.better == row["settings"]
    assert "alpha = " in found.advice(written=False)


@pytest.mark.parametrize("clock", [True, False], ids=["clock", "no clock"])
def test_pages_ask_for_what_was_not_used_before_and_not_for_what_a_model_is_judged_by(clock: bool) -> None:
    store = store_of(shelf(clock=clock))
    subject = next(s for s in subjects_of(store, extract(store)) if s.kind is Kind.CONTENT)
    part = slice_of(before(subject, held_back(subject, TEST, 7)), 7)
    assert part.asked
    assert not part.repeats
    if clock:
        latest = max(int(question.query.context.now) for question in part.asked)
        assert latest < np.quantile(subject.log.events["time"], 0.9)
    source = fit_neighbours(part.weights, NeighbourSettings(per_item=8), threads=1)
    found = quality(source, part)
    assert found.shape == (len(part.asked),)
    assert 0.2 < float(found.mean()) <= 1
    assert (quality(source, replace(part, asked=part.asked[:1])) == found[:1]).all()


def test_a_search_that_was_killed_goes_on_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = store_of(shelf())
    rows = search(store, tmp_path).rows
    kept = (tmp_path / FILE_OF_TRIALS).read_bytes()
    (tmp_path / FILE_OF_TRIALS).write_bytes(kept + b'{"op_code": 4, "wor')
    assert search(store, tmp_path).rows == rows
    (tmp_path / FILE_OF_TRIALS).write_bytes(kept[:100] + b"\n" + kept[101:])
    with pytest.raises(UsageError, match="Move it away"):
        search(store, tmp_path)


def test_too_few_pages_are_not_searched_and_it_says_so(tmp_path: Path) -> None:
    for store, why in ((store_of([]), "nothing to search by"), (store_of(shelf()[:40]), "fewer than")):
        found = search(store, tmp_path)
        assert found.rows == []
        assert why in found.notes[0]
        assert "stay with today's" in found.advice(written=False)


def test_better_settings_are_written_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text("# ours\n[training]\nfactors = 8 # small\n", encoding="utf-8")
    write_training(path, {"alpha": 2.5})
    assert path.read_text(encoding="utf-8") == "# ours\n[training]\nfactors = 8 # small\nalpha = 2.5\n"
    assert load_settings(tmp_path).training == Training(factors=8, alpha=2.5)


def test_weights_of_event_types_are_written_beside_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / FILE
    write_training(path, {"type_weights.view": 0.1, "half_life": 9.0})
    write_training(path, {"type_weights.click": 0.5, "graph_waves": 40})
    expected = Training(type_weights={"view": 0.1, "click": 0.5}, half_life=9, graph_waves=40)
    assert load_settings(tmp_path).training == expected


def test_a_home_without_settings_gets_the_commented_file(tmp_path: Path) -> None:
    write_training(tmp_path / FILE, {"alpha": 2.5})
    assert (tmp_path / FILE).read_text(encoding="utf-8").startswith(commented())
    assert load_settings(tmp_path) == Settings(training=Training(alpha=2.5))


def test_a_file_that_would_not_be_valid_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("zone = 'UTC'\n", encoding="utf-8")
    with pytest.raises(UsageError, match="Nothing was changed"):
        write_training(tmp_path / FILE, {"alpha": -1.0})
    assert tomllib.loads((tmp_path / FILE).read_text(encoding="utf-8")) == {"zone": "UTC"}
