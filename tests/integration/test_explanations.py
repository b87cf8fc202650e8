"""Explanations are true: what is told is what is found when the named cause is taken away."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.explanations import CLAIMS, check
from recommender import explain
from recommender.causes import cause_of
from recommender.champion import load_model
from recommender.model import Model
from recommender.page import Cause
from recommender.profile import Profile
from recommender.ranking import Ranking
from recommender.registry import Registry
from recommender.settings import Settings
from recommender.stores.memory import MemoryStore
from tests.integration.test_pipeline import SMALL, store_of, trained, world

ANSWERS = 100


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryStore, Model]:
    home: Path = tmp_path_factory.mktemp("explained")
    store = store_of(world())
    trained(store, home)
    return store, load_model(Registry(home / "models"))


def test_the_explanations_of_a_hundred_random_answers_are_true(known: tuple[MemoryStore, Model]) -> None:
    found = check(*known, SMALL, ANSWERS)
    assert {claim: told - true for claim, (told, true) in found.items()} == dict.fromkeys(CLAIMS, 0)
    assert min(told for told, _ in found.values()) > ANSWERS / 3


def test_an_untrue_explanation_is_found_out(known: tuple[MemoryStore, Model], monkeypatch: pytest.MonkeyPatch) -> None:
    def lie(ranking: Ranking, profile: Profile, at: int) -> tuple[int, Cause] | None:
        found = cause_of(ranking, profile, at)
        if found is None or found[1].own is None:
            return None
        row, cause = found
        own = cause.own and replace(cause.own, uses=cause.own.uses + 1)
        return row, replace(cause, score=cause.score * 0.99, own=own)

    monkeypatch.setattr(explain, "cause_of", lie)
    found = check(*known, Settings(), 10)
    assert [found[claim][1] for claim in ("source", "events")] == [0, 0]
