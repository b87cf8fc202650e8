"""The site's secret: one, of its owner alone, and each purpose has hashes of its own."""

import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recommender.errors import StoreError
from recommender.secrets import FILE, VARIABLE, Secret


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_secret_is_made_once_for_its_owner_alone_and_found_again(tmp_path: Path) -> None:
    home = tmp_path / "shop"
    first = Secret(home).hash("erased", "crm:1")
    assert Secret(home).hash("erased", "crm:1") == first
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [FILE]
    assert Secret(tmp_path / "other").hash("erased", "crm:1") != first


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    Secret(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_hash_for_one_purpose_says_nothing_to_another(tmp_path: Path) -> None:
    secret = Secret(tmp_path)
    hashes = {secret.hash(*pair) for pair in (("key", "a"), ("erased", "a"), ("key", "b"), ("ke", "ya"))}
    assert len(hashes) == 4
    assert {len(one) for one in hashes} == {32}


@pytest.mark.parametrize("length", [16, 43, 64, 65, 200])
def test_a_hash_is_an_hmac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setenv(VARIABLE, "s" * length)
    for text in ("", "crm:1", "ä" * 300):
        told = hmac.digest(b"s" * length, f"erased\0{text}".encode(), "sha256")
        assert Secret(tmp_path).hash("erased", text) == told


def test_processes_that_start_at_once_share_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Secret(tmp_path).hash("key", "a"), range(8)))
    assert len(found) == 1


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "x" * 32)
    one = Secret(tmp_path / "a").hash("key", "a")
    assert one == Secret(tmp_path / "b").hash("key", "a")
    assert not (tmp_path / "a").exists()
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(StoreError, match="has 5 characters"):
        Secret(tmp_path).hash("key", "a")


def test_a_home_that_cannot_hold_it_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=VARIABLE):
        Secret(tmp_path / "file" / "home").hash("key", "a")
