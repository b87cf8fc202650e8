"""The registry: versions that never change, and aliases that say which are in use."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import ArtefactError, NotFoundError, StoreError, UsageError
from recommender.registry import STALE, Aliases, Registry
from recommender.remote_registry import RemoteRegistry
from tests.contracts.models import MANIFEST, publish, three, who

ROOT = Path(__file__).parents[2]


PLACES = ("folder", "file", "memory")

IN_A_FOLDER = pytest.mark.parametrize("empty", ["folder"], indirect=True)
"""What is damaged by hand, or tried by processes, is damaged in a folder."""


@pytest.fixture(params=PLACES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    if request.param == "folder":
        return Registry(tmp_path / "models")
    url = (tmp_path / "models").as_uri() if request.param == "file" else f"memory://{tmp_path.name}-{id(tmp_path)}"
    return RemoteRegistry(url, tmp_path / "copies")


@pytest.fixture
def registry(empty: Registry) -> Registry:
    return three(empty)


@pytest.fixture
def home(registry: Registry, tmp_path: Path) -> Path:
    assert registry.names() == ["main"]
    return tmp_path / "models" / "main"


def test_an_empty_place_has_nothing_and_says_so(empty: Registry, tmp_path: Path) -> None:
    registry = empty
    assert (registry.names(), registry.versions(), registry.strays(), registry.sweep()) == ([], [], [], [])
    assert registry.aliases() == Aliases()
    assert registry.stamp() == (0, 0, 0)
    with pytest.raises(NotFoundError, match=r"no champion.*murmeli train"):
        registry.load()
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.rollback()
    assert not (tmp_path / "models").exists(), "looking makes no folder"


def test_versions_count_up_and_the_newest_is_the_challenger(registry: Registry) -> None:
    assert [(version.number, version.ok) for version in registry.versions()] == [(1, True), (2, True), (3, True)]
    assert registry.aliases() == Aliases(champion=2, challenger=3, history=(1,))
    assert [who(registry, version) for version in (1, "2", "champion", "challenger")] == [10, 20, 20, 30]


def test_a_manifest_can_be_read_alone(registry: Registry) -> None:
    assert registry.manifest("main", 3) == registry.load("main", "challenger")[1]
    assert registry.manifest().fingerprint == registry.versions()[1].manifest.fingerprint  # type: ignore[union-attr]


def test_models_of_other_names_count_for_themselves(registry: Registry) -> None:
    assert publish(registry, 40, name="mail") == 1
    assert registry.names() == ["mail", "main"]
    assert registry.aliases("mail") == Aliases(challenger=1)


def test_a_promoted_challenger_is_no_challenger_any_more(registry: Registry) -> None:
    assert registry.promote("main", "challenger") == 3
    assert registry.aliases() == Aliases(champion=3, challenger=None, history=(1, 2))


def test_promoting_the_champion_changes_nothing(registry: Registry) -> None:
    before = registry.aliases()
    registry.promote("main", 2)
    assert registry.aliases() == before


def test_rolling_back_walks_back_through_the_champions(registry: Registry) -> None:
    registry.promote("main", 3)
    assert [registry.rollback(), registry.rollback()] == [2, 1]
    assert registry.aliases().history == ()
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.rollback()
    assert who(registry) == 10


def test_the_stamp_changes_when_an_alias_moves_and_only_then(registry: Registry) -> None:
    stamps = [registry.stamp(), registry.stamp()]
    registry.promote("main", 3)
    stamps.append(registry.stamp())
    registry.rollback()
    stamps.append(registry.stamp())
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


@pytest.mark.parametrize("version", [4, 0, -1, "", "latest", "../1", "1/..", "01", "9" * 30, "history"])
def test_a_version_that_is_not_there_is_not_found_and_not_echoed(registry: Registry, version: int | str) -> None:
    for ask in (registry.load, registry.promote):
        with pytest.raises(NotFoundError, match=r"no such version. `murmeli models list`"):
            ask("main", version)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Main", ".hidden", "a" * 65])
def test_a_name_that_is_no_folder_name_of_ours_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(UsageError, match="model's name"):
        registry.load(name)


@IN_A_FOLDER
def test_a_damaged_version_is_listed_with_its_reason_and_cannot_be_promoted(registry: Registry, home: Path) -> None:
    (home / "3" / "who.npy").unlink()
    assert [version.reason is None for version in registry.versions()] == [True, True, False]
    assert "'who' is missing" in str(registry.versions()[2].reason)
    with pytest.raises(ArtefactError, match="main/3 is refused"):
        registry.promote("main", 3)
    assert who(registry) == 20


@IN_A_FOLDER
def test_a_flipped_bit_is_found_when_the_version_is_promoted_loaded_or_rolled_back_to(
    registry: Registry, home: Path
) -> None:
    for version in (1, 3):
        data = bytearray((home / str(version) / "who.npy").read_bytes())
        data[-1] ^= 1
        (home / str(version) / "who.npy").write_bytes(data)
    for act in (lambda: registry.promote("main", 3), lambda: registry.load("main", 3), registry.rollback):
        with pytest.raises(ArtefactError, match="not the one that was published"):
            act()
    assert registry.aliases().champion == 2


@IN_A_FOLDER
def test_a_damaged_champion_is_refused_with_the_reason(registry: Registry, home: Path) -> None:
    (home / "2" / "manifest.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"main/2 is refused.*not valid JSON.*Promote another version"):
        registry.load()


@IN_A_FOLDER
def test_a_champion_that_was_taken_away_is_not_found(registry: Registry, home: Path) -> None:
    shutil.rmtree(home / "2")
    with pytest.raises(NotFoundError, match="no such version"):
        registry.load()
    assert registry.promote("main", 1) == 1


@IN_A_FOLDER
def test_the_number_of_a_version_that_was_taken_away_is_not_given_again(registry: Registry, home: Path) -> None:
    shutil.rmtree(home / "3")
    assert publish(registry, 40) == 4


@IN_A_FOLDER
@pytest.mark.parametrize("text", ["", "{", "[]", '{"champion": "x"}', '{"champion": -1}', '{"winner": 1}', "\x00"])
def test_damaged_aliases_are_refused_with_a_remedy(registry: Registry, home: Path, text: str) -> None:
    (home / "aliases.json").write_text(text)
    for act in (registry.load, registry.rollback, lambda: registry.promote("main", 1)):
        with pytest.raises(ArtefactError, match="Remove it, then promote a version"):
            act()
    (home / "aliases.json").unlink()
    registry.promote("main", 1)
    assert who(registry) == 10


@IN_A_FOLDER
def test_foreign_files_and_half_written_folders_are_told_and_not_served(registry: Registry, home: Path) -> None:
    (home / "model.pkl").write_bytes(pickle.dumps([1]))
    (home / ".new-1-abc").mkdir()
    (home / "007").mkdir()
    strays = {stray.path: stray.reason for stray in registry.strays()}
    assert set(strays) == {"model.pkl", ".new-1-abc", "007"}
    assert "half-written" in strays[".new-1-abc"]
    assert "take it away" in strays["model.pkl"]
    assert len(registry.versions()) == 3
    assert who(registry) == 20


@IN_A_FOLDER
def test_an_empty_folder_in_a_version_s_place_is_no_version_and_is_not_written_over(
    registry: Registry, home: Path
) -> None:
    (home / "4").mkdir()
    assert not registry.versions()[3].ok
    assert publish(registry, 50) == 5


@IN_A_FOLDER
def test_only_what_nobody_touched_for_a_day_is_swept(registry: Registry, home: Path) -> None:
    for name, age in ((".new-1-old", STALE + 60), (".new-2-young", STALE // 2)):
        (home / name).mkdir()
        (home / name / "who.npy").write_bytes(b"half")
        then = os.stat(home).st_mtime - age
        os.utime(home / name, (then, then))
    publish(registry, 40)
    assert [stray.path for stray in registry.strays()] == [".new-2-young"]


@IN_A_FOLDER
def test_a_model_that_cannot_be_written_leaves_nothing_behind(registry: Registry, home: Path) -> None:
    with pytest.raises(ArtefactError, match="holds NaN"):
        registry.publish("main", {"good": np.ones(3), "wrong": np.array([np.nan])}, MANIFEST)
    assert registry.strays() == []
    assert sorted(path.name for path in home.iterdir()) == [".lock", "1", "2", "3", "aliases.json"]


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="owner and rights"):
        publish(Registry(tmp_path / "models"), 10)


def test_publishers_at_once_get_different_versions(empty: Registry) -> None:
    registry = empty
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda value: publish(registry, value), range(24)))
    assert sorted(versions) == list(range(1, 25))
    assert {who(registry, version) for version in versions} == set(range(24))
    assert [who(registry, version) for version in versions] == list(range(24))


PUBLISHER = """
import sys
from pathlib import Path
from recommender.registry import Registry
from tests.contracts.models import publish
print([publish(Registry(Path(sys.argv[1])), value) for value in range(5)])
"""


def test_processes_that_publish_at_once_get_different_versions(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PUBLISHER, str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]  # noqa: S603  our own words
    parts = [json.loads(process.communicate()[0]) for process in both]
    assert sorted(chain.from_iterable(parts)) == list(range(1, 11))
    assert all(version.ok for version in Registry(tmp_path).versions())


def test_no_promotion_is_lost_among_many(registry: Registry) -> None:
    turns = [1, 2, 3] * 8
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: registry.promote("main", version), turns))
    aliases = registry.aliases()
    assert all(before != after for before, after in pairwise([*aliases.history, aliases.champion]))
    assert who(registry) in (10, 20, 30)
