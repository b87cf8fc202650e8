from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recommender import champion
from recommender.errors import ArtefactError, RefusedError, UsageError
from recommender.gate import BASELINES
from recommender.model import Model, model_arrays
from recommender.registry import MAIN, Aliases, Registry
from tests.contracts.models import bank, manifest_of


def publish(registry: Registry, model: Model, *, whole: bool = True, behind: float = 0.1) -> int:
    """Publish a model; where it is not whole, its bytes are right and its parts do not fit.

    behind: by how much the baselines were behind it.
    """
    arrays = model_arrays(model)
    if not whole:
        arrays["feature.items.codes"] = arrays["feature.items.codes"][:-1]
    return registry.publish(MAIN, arrays, manifest_of(model, behind))


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


def test_what_the_gate_refuses_becomes_no_champion_not_even_the_first(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for before in (None, 2):
        with pytest.raises(RefusedError, match="The gate refuses main/") as refusal:
            champion.promote(registry, publish(registry, bank(), behind=-0.1))
        assert [reason.split(":")[1] for reason in refusal.value.reasons] == [
            f" worse than {name}" for name in BASELINES
        ]
        assert registry.aliases().champion == before
        if before is None:
            champion.promote(registry, publish(registry, bank()))


def test_a_forced_promotion_is_recorded_with_what_the_gate_said(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    number = publish(registry, bank(), behind=-0.1)
    for nothing in ("", " \t"):
        with pytest.raises(UsageError, match="needs a reason"):
            champion.promote(registry, number, force=nothing)
    assert champion.promote(registry, number, force=" The boss wants it. ", who="http") == number
    (record,) = registry.aliases().forced
    assert (record.version, record.who, record.reason) == (1, "http", "The boss wants it.")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(record.at)) < timedelta(hours=1)
    assert len(record.objections) == len(BASELINES)
    champion.promote(registry, publish(registry, bank()))
    champion.rollback(registry)
    assert (registry.aliases().champion, registry.aliases().forced) == (1, (record,))


def test_no_force_makes_a_champion_of_a_damaged_model(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    number = publish(registry, bank(), whole=False)
    with pytest.raises(ArtefactError, match="does not fit together"):
        champion.promote(registry, number, force="now")


def test_a_champion_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    champion.promote(registry, publish(registry, bank()))
    number = publish(registry, bank())
    (tmp_path / MAIN / "1" / "manifest.json").write_text("{")
    assert champion.promote(registry, number) == 2


def test_what_was_the_champion_once_answers_again_whatever_the_gate_would_say(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.promote(MAIN, publish(registry, bank(), behind=-0.1))
    champion.promote(registry, publish(registry, bank()))
    assert champion.rollback(registry) == 1


def test_aliases_that_an_earlier_version_wrote_are_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    publish(registry, bank())
    (tmp_path / MAIN / "aliases.json").write_text('{"champion": 1, "challenger": null, "history": [3]}')
    assert registry.aliases() == Aliases(champion=1, history=(3,))
