"""What models at a URL keep to beyond the contract: machines that share them, and copies that are damaged."""

from pathlib import Path

import pytest

from recommender.errors import NotFoundError, StoreError, UsageError
from recommender.plugins import COPIES, registry_at
from recommender.registry import Registry
from recommender.remote_registry import RemoteRegistry
from recommender.settings import Settings
from tests.contracts.models import publish, three, who


@pytest.fixture
def two(tmp_path: Path) -> tuple[Registry, Registry]:
    url = (tmp_path / "shared").as_uri()
    one, other = (RemoteRegistry(url, tmp_path / name) for name in ("one", "other"))
    return three(one), other


def test_what_one_machine_publishes_and_promotes_the_others_load(two: tuple[Registry, Registry]) -> None:
    one, other = two
    before = other.stamp()
    assert who(other) == 20
    assert publish(one, 40) == 4
    one.promote("main", 4)
    assert other.stamp() != before
    assert who(other) == 40
    assert other.rollback() == 2
    assert who(one) == 20


def test_a_copy_that_is_damaged_is_fetched_anew(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    _, other = two
    assert who(other) == 20
    (tmp_path / "other" / "main" / "2" / "who.npy").write_bytes(b"")
    assert who(other) == 20


def test_a_copy_of_a_version_that_was_taken_away_is_not_served(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    _, other = two
    assert who(other, 3) == 30
    for path in (tmp_path / "shared" / "main" / "3").iterdir():
        path.unlink()
    (tmp_path / "shared" / "main" / "3").rmdir()
    with pytest.raises(NotFoundError, match="no such version"):
        who(other, 3)


def test_what_cannot_be_reached_is_said_without_details_of_the_way(
    two: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("secret")

    one, _ = two
    monkeypatch.setattr(one._files, "cat_file", refuse)  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match=r"cannot be reached \(PermissionError\)") as raised:
        one.aliases()
    assert "secret" not in str(raised.value)


def test_the_settings_say_where_models_lie(tmp_path: Path) -> None:
    publish(registry_at(tmp_path, Settings()), 1)
    publish(registry_at(tmp_path, Settings(models="elsewhere")), 2)
    publish(registry_at(tmp_path, Settings(models=(tmp_path / "shared").as_uri())), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"models", "elsewhere", "shared", COPIES}
    with pytest.raises(UsageError, match="`models` cannot be used"):
        registry_at(tmp_path, Settings(models="nowhere://x"))
