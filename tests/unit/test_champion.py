from pathlib import Path

import pytest

from recommender import champion
from recommender.errors import ArtefactError, UsageError
from recommender.model import Model, model_arrays
from recommender.registry import MAIN, Registry
from tests.contracts.models import bank, manifest_of


def publish(registry: Registry, model: Model, *, whole: bool = True) -> int:
    """Publish a model; where it is not whole, its bytes are right and its parts do not fit."""
    arrays = model_arrays(model)
    if not whole:
        arrays["feature.items.codes"] = arrays["feature.items.codes"][:-1]
    return registry.publish(MAIN, arrays, manifest_of(model))


def test_only_a_model_that_can_answer_becomes_the_champion(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    champion.promote(registry, publish(registry, bank()))
    broken = publish(registry, bank(), whole=False)
    with pytest.raises(ArtefactError, match="does not fit together"):
        champion.promote(registry, broken)
    assert registry.aliases().champion == 1


def test_only_a_model_that_can_answer_is_rolled_back_to(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(MAIN, publish(registry, bank(), whole=False))
    champion.promote(registry, publish(registry, bank()))
    with pytest.raises(ArtefactError, match="does not fit together"):
        champion.rollback(registry)
    assert registry.aliases().champion == 2


def test_the_champion_before_answers_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for _ in range(2):
        champion.promote(registry, publish(registry, bank()))
    assert champion.rollback(registry) == 1
    assert champion.choose(registry).model.label == "main/1"
    with pytest.raises(UsageError):
        champion.rollback(registry)
