"""A site's own models go the way of the built-in ones: fitted, blended, judged, published as data, served."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recommender.champion import choose, load_model
from recommender.errors import UsageError
from recommender.history import Context
from recommender.page import Request, SlotRequest
from recommender.plugins import known_sources, registry_at
from recommender.recommender import Recommender
from recommender.registry import MODELS, Registry
from recommender.settings import Settings, Training, load_settings
from recommender.sources import SOURCES
from recommender.types import DAY, Kind
from tests.integration.test_pipeline import store_of, world
from training.dataset import extract
from training.fit.own import fit_own, interactions
from training.pipeline import subjects_of, train

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in divide:RuntimeWarning")
"""Customers who are all alike have no variance to explain."""

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "own_models.py"
TOML = """
[training]
factors = 4
iterations = 2
threads = 1
sources = ["own_models:Tastes", "own_models:Season"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with the example of the documentation beside its settings."""
    pytest.importorskip("sklearn", reason="the example wraps scikit-learn; pip install scikit-learn")
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "murmeli.toml").write_text(TOML)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def written(home: Path, name: str, body: str) -> tuple[str, ...]:
    (home / f"{name}.py").write_text(f"import numpy as np\nfrom scipy import sparse\n\n\nclass Mine:\n{body}\n")
    return (f"{name}:Mine",)


def test_the_example_of_the_documentation_is_trained_judged_and_served(home: Path) -> None:
    settings = load_settings(home)
    store = store_of(world(customers=24))
    outcome = train(store, registry_at(home, settings), settings, promote=True, progress=lambda *_: None)
    model = load_model(registry_at(home, settings))
    for kind in Kind:
        names = [source.name for source in model.kinds[kind].sources]
        assert {"vectors-tastes", "season"} <= set(names)
        assert {"vectors-tastes.vectors", "season.month"} <= set(model.kinds[kind].ranker.columns)
        assert outcome.judgements[kind]
    answer = Recommender(store, model, settings).recommend(
        Request("crm:1", (SlotRequest("home.features"), SlotRequest("home.content")), Context(300 * DAY))
    )
    assert all(slot.items for slot in answer.slots)


def test_a_site_that_no_longer_names_a_source_is_told_so_and_something_else_answers(home: Path) -> None:
    settings = load_settings(home)
    train(store_of(world()), registry_at(home, settings), settings, promote=True, progress=lambda *_: None)
    chosen = choose(Registry(home / MODELS))
    assert not chosen.model.trained
    assert "training.sources" in chosen.refused[0]


def test_training_with_own_models_twice_gives_the_same_model(home: Path) -> None:
    settings = load_settings(home)
    prints = [
        train(store_of(world()), registry_at(home, settings), settings, promote=False, progress=lambda *_: None)
        for _ in range(2)
    ]
    assert prints[0].fingerprint == prints[1].fingerprint != ""


def test_an_estimator_is_given_the_whole_log_of_a_kind() -> None:
    store = store_of(world(customers=3, rounds=4, kinds=[Kind.FEATURE]))
    subject = subjects_of(store, extract(store))[0]
    given = interactions(subject.log, subject.items, Training(seed=3, threads=1))
    assert given.user_items.shape == (3, 3)
    assert given.user_items.toarray() == pytest.approx(1 + np.log(np.full((3, 3), 4.0)))
    assert np.bincount(given.customer).tolist() == [12, 12, 12]
    assert (np.diff(given.time[given.customer == 1]) > 0).all()
    assert (given.seed, given.threads, list(given.ids)) == (3, 1, list(subject.items.ids))


def test_an_item_item_matrix_is_served_as_neighbours(home: Path) -> None:
    spec = written(home, "matrix", "    def fit(self, log):\n        return sparse.eye_array(len(log.ids)).tocsc()")
    registry_at(home, Settings(training=Training(sources=spec)))
    store = store_of(world(kinds=[Kind.FEATURE]))
    subject = subjects_of(store, extract(store))[0]
    (source,) = fit_own(subject.log, subject.items, Training(sources=spec))
    assert (source.name, source.columns) == ("neighbours-mine", ("neighbours",))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    def fit(self, log):\n        return np.ones((2, 2, 2))", r"shape \(2, 2, 2\)"),
        ("    def fit(self, log):\n        return np.full((len(log.ids), 2), np.nan)", "not finite"),
        ("    def fit(self, log):\n        return None", "NoneType"),
        ("    score = 1\n    def fit(log):\n        return 7", "must return a Mine"),
    ],
    ids=["shape", "nan", "nothing", "another class"],
)
def test_what_cannot_be_served_is_refused_with_what_was_wanted(home: Path, body: str, told: str) -> None:
    spec = written(home, f"wrong_{abs(hash(told))}", body)
    registry_at(home, Settings(training=Training(sources=spec)))
    store = store_of(world(kinds=[Kind.FEATURE]))
    subject = subjects_of(store, extract(store))[0]
    with pytest.raises(UsageError, match=told):
        fit_own(subject.log, subject.items, Training(sources=spec))


@pytest.mark.parametrize(
    ("spec", "body", "told"),
    [
        ("nowhere_to_be_found:Model", "", "beside murmeli.toml"),
        ("empty:Missing", "    pass", "no class Missing"),
        ("nofit:Mine", "    pass", "a class with `fit`"),
        ("taken:Mine", "    name = 'habit'\n    def fit(self, log): ...", "called 'habit' already"),
        ("shouting:Mine", "    name = 'A B'\n    def fit(self, log): ...", "a letter, then"),
    ],
)
def test_a_class_that_cannot_be_used_is_named_with_the_remedy(home: Path, spec: str, body: str, told: str) -> None:
    written(home, spec.partition(":")[0], body) if body else None
    with pytest.raises(UsageError, match=told):
        registry_at(home, Settings(training=Training(sources=(spec,))))


def test_two_classes_of_one_name_are_refused(home: Path) -> None:
    for module in ("one", "two"):
        written(home, module, "    def fit(self, log): ...")
    with pytest.raises(UsageError, match="two classes"):
        registry_at(home, Settings(training=Training(sources=("one:Mine", "two:Mine"))))


def test_what_is_installed_comes_before_what_lies_in_the_home(home: Path) -> None:
    written(home, "json", "    def fit(self, log): ...")
    with pytest.raises(UsageError, match="the module json has no class Mine"):
        registry_at(home, Settings(training=Training(sources=("json:Mine",))))
    assert sys.path[-1] == str(home.resolve())


def test_nothing_is_known_that_nobody_named() -> None:
    assert known_sources(()) == SOURCES
