from pathlib import Path

import pytest

from recommender.keys import digest_of, first_key, misfits, new_key, prefix_of, signing_secret_of
from recommender.secrets import VARIABLE, Secret
from recommender.stores.base import Key
from recommender.stores.memory import MemoryStore
from recommender.types import Role


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_of_a_key_its_name_and_a_digest_are_kept_and_nothing_else(tmp_path: Path) -> None:
    keys, secret = MemoryStore(()).keys, Secret(tmp_path)
    key, text = new_key(keys, secret, Role.DATA, "nightly")
    assert keys.all() == [key]
    assert prefix_of(text) == key.prefix
    assert len(text) > len(key.prefix) + 32
    assert key.digest == digest_of(text, secret) != digest_of(text, Secret(tmp_path / "other"))
    assert text.removeprefix(key.prefix + "_") not in repr(key)
    assert new_key(keys, secret, Role.DATA)[1] != text


def test_each_key_and_each_site_has_a_signing_secret_of_its_own(tmp_path: Path) -> None:
    sites = Secret(tmp_path / "one"), Secret(tmp_path / "other")
    found = {signing_secret_of(prefix, site) for prefix in ("mk_1", "mk_2") for site in sites}
    assert len(found) == 4
    assert all(len(one) == 64 for one in found)
    assert signing_secret_of("mk_1", sites[0]) != digest_of("mk_1", sites[0]).hex()


def test_a_site_gets_a_first_key_where_none_is_valid(tmp_path: Path) -> None:
    keys, secret = MemoryStore(()).keys, Secret(tmp_path)
    text = first_key(keys, secret)
    (key,) = keys.all()
    assert text is not None
    assert (key.role, key.digest) == (Role.ADMIN, digest_of(text, secret))
    assert first_key(keys, secret) is None
    keys.revoke(key.prefix, 1)
    assert first_key(keys, secret) is not None


def test_keys_of_another_secret_are_told_unless_they_are_revoked(tmp_path: Path) -> None:
    keys, secret = MemoryStore(()).keys, Secret(tmp_path)
    mine, other = new_key(keys, secret, Role.DATA)[0], new_key(keys, Secret(tmp_path / "other"), Role.DATA)[0]
    (told,) = misfits(keys, secret)
    assert told.startswith("1 of 2 keys")
    assert mine.prefix not in told
    keys.revoke(other.prefix, 1)
    assert misfits(keys, secret) == []


def test_keys_of_before_say_nothing_of_their_secret(tmp_path: Path) -> None:
    keys = MemoryStore(()).keys
    keys.add(Key("mk_1f4b9c02", b"digest", Role.DATA, "", 0))
    assert misfits(keys, Secret(tmp_path)) == []
