"""Wherever a disk fails or a process dies, the registry shows the old state or the new one."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from recommender.errors import ArtefactError, MurmeliError, StoreError, StoreFullError
from recommender.registry import Registry
from tests.contracts.disk import KilledError, failing
from tests.contracts.models import publish, three, who

State: TypeAlias = tuple[int | None, int | None, tuple[int, ...]]

OLD: State = (2, 3, (1,))
ACTS: dict[str, tuple[Callable[[Registry], int], State]] = {
    "publish": (lambda registry: publish(registry, 40), (2, 4, (1,))),
    "promote": (lambda registry: registry.promote("main", 3), (3, None, (1, 2))),
    "rollback": (lambda registry: registry.rollback(), (1, 3, ())),
}


def state_of(registry: Registry) -> State:
    """What is in use, after a look at everything that is there."""
    aliases = registry.aliases()
    assert who(registry) == 10 * (aliases.champion or 0)
    for version in registry.versions():
        assert version.ok
        assert who(registry, version.number) == 10 * version.number
    assert all(stray.path.startswith(".new-") for stray in registry.strays())
    return aliases.champion, aliases.challenger, aliases.history


def attempt(work: Callable[[Registry], int], registry: Registry, fail_at: int, error: int | None) -> bool:
    """Whether there was such a step to fail at."""
    with failing(fail_at, error) as disk:
        try:
            work(registry)
        except MurmeliError as refusal:
            if error == errno.ENOSPC and not isinstance(refusal, StoreFullError | ArtefactError):
                raise
        except KilledError:
            pass
        return len(disk.calls) >= fail_at


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, None], ids=["broken disk", "full disk", "killed"])
@pytest.mark.parametrize("act", ACTS)
def test_after_a_failure_at_any_step_the_old_or_the_new_is_there(tmp_path: Path, act: str, error: int | None) -> None:
    work, new = ACTS[act]
    three(Registry(tmp_path / "whole"))
    seen, fail_at, more = set(), 0, True
    while more:
        fail_at += 1
        shutil.copytree(tmp_path / "whole", tmp_path / str(fail_at))
        registry = Registry(tmp_path / str(fail_at))
        more = attempt(work, registry, fail_at, error)
        seen.add(state_of(registry))
        latest = max(version.number for version in registry.versions())
        assert publish(registry, 10 * (latest + 1)) == latest + 1, "and work goes on"
    assert seen == {OLD, new}
    assert fail_at > 5


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_publish_leaves_nothing_half_written(tmp_path: Path, error: int) -> None:
    registry = three(Registry(tmp_path))
    with failing(9, error), pytest.raises(StoreError, match=r"Check the folder|Make room"):
        publish(registry, 40)
    assert registry.strays() == []


def test_what_is_renamed_into_place_was_made_durable_before_and_its_name_after(tmp_path: Path) -> None:
    registry = three(Registry(tmp_path))
    with failing(10**9, None) as disk:
        publish(registry, 40)
    moves = [at for at, (call, _) in enumerate(disk.calls) if call in ("rename", "replace")]
    assert len(moves) == 2
    for at, next_move in zip(moves, [*moves[1:], len(disk.calls)], strict=True):
        source = disk.calls[at][1]
        written = {path for call, path in disk.calls[:at] if call == "write" and path.startswith(source)}
        synced = {path for call, path in disk.calls[:at] if call == "fsync"}
        assert {source, *written} <= synced
        assert ("fsync", str(Path(source).parent)) in disk.calls[at:next_move]
