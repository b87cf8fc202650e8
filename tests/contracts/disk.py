"""A disk that fails on the n-th call, for good or just once, to see what is left behind."""

import builtins
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
R = TypeVar("R")

CALLS = ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir", "listdir")


class KilledError(BaseException):
    """The process is no more: nothing that would clean up runs either."""


class Disk:
    """Counts the calls that touch the disk and lets one fail. error: None where the process is killed there.

    calls: (what, path), in order.
    """

    def __init__(self, fail_at: int, error: int | None) -> None:
        self.fail_at, self.error = fail_at, error
        self.calls: list[tuple[str, str]] = []

    def step(self, call: str, target: object) -> None:
        if isinstance(target, int):
            target = os.readlink(f"/proc/self/fd/{target}")
        self.calls.append((call, str(target)))
        if self.error is None and len(self.calls) >= self.fail_at:
            raise KilledError
        if self.error is not None and len(self.calls) == self.fail_at:
            raise OSError(self.error, os.strerror(self.error), str(target))

    def counted(self, call: str, real: Callable[P, R]) -> Callable[P, R]:
        def step(*args: P.args, **more: P.kwargs) -> R:
            self.step(call, args[0])
            return real(*args, **more)

        return step


class TearingFile:
    """A new file of which a failing write leaves half."""

    def __init__(self, file: IO[bytes], disk: Disk, path: object) -> None:
        self._file, self._disk, self._path = file, disk, path
        self.fileno, self.flush = file.fileno, file.flush

    def write(self, data: bytes) -> int:
        try:
            self._disk.step("write", self._path)
        except BaseException:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def __enter__(self) -> "TearingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def failing(fail_at: int, error: int | None) -> Iterator[Disk]:
    """Within this, the n-th call fails, 1 for the first."""
    disk = Disk(fail_at, error)
    real_open = builtins.open

    def opened(path: Path | int, mode: str = "r", encoding: str | None = None) -> IO[bytes] | TearingFile:
        disk.step("open", path)
        file: IO[bytes] = real_open(path, mode, encoding=encoding)
        return TearingFile(file, disk, path) if "x" in mode else file

    def flock(file: IO[bytes], how: int) -> None:
        disk.step("flock", file.fileno())
        real_flock(file, how)

    real_flock = fcntl.flock
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.counted(name, getattr(os, name)))
        patch.setattr(fcntl, "flock", flock)
        patch.setattr(builtins, "open", opened)
        yield disk
