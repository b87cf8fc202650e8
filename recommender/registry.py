"""Where published models lie: `<name>/<version>/` holds an immutable bundle, `<name>/aliases.json` the ones in use.

A version appears by one rename and an alias moves by one rename, so a reader,
also after a crash, meets the old state or the new one. Several processes may
publish and promote at once; a lock on the name's folder puts them in a line.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from recommender.bundle import Array, Manifest, read_bundle, read_manifest, sync_folder, write_bundle
from recommender.errors import ArtefactError, NotFoundError, StoreError, StoreFullError, UsageError
from recommender.sources import SOURCES
from recommender.sources.base import Source

MODELS = "models"
"""The registry's folder in a home."""

MAIN = "main"
ALIASES = "aliases.json"
HALF_WRITTEN = ".new-"
"""How the name begins of what is not yet what it is to be."""
STALE = 24 * 3600
"""Seconds after which a folder that a publisher left half-written is swept."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_LOCK = ".lock"
_REMEMBERED = 100


class Forced(BaseModel):
    """A promotion that somebody wanted whatever the gate says. at: when, ISO 8601; who: `cli` or `http`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: PositiveInt
    at: str
    who: str
    reason: str
    objections: tuple[str, ...] = ()
    """What the gate said."""


class Aliases(BaseModel):
    """Which versions are in use. history: the champions before this one; forced: promotions; both oldest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    champion: PositiveInt | None = None
    challenger: PositiveInt | None = None
    history: tuple[PositiveInt, ...] = ()
    forced: tuple[Forced, ...] = ()

    def promoted(self, version: int, forced: Forced | None = None) -> "Aliases":
        """With this champion; the one before is remembered, and so is who forced it and why."""
        if version == self.champion:
            return self
        before = self.history if self.champion is None else (*self.history, self.champion)
        challenger = None if self.challenger == version else self.challenger
        all_forced = self.forced if forced is None else (*self.forced, forced)
        return Aliases(
            champion=version,
            challenger=challenger,
            history=before[-_REMEMBERED:],
            forced=all_forced[-_REMEMBERED:],
        )


@dataclass(frozen=True, slots=True)
class Version:
    """One published version. reason: what is wrong with it, None where nothing is; manifest: None where it is."""

    number: int
    manifest: Manifest | None
    reason: str | None

    @property
    def ok(self) -> bool:
        """Whether it can be loaded, as far as can be seen without reading its arrays."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Stray:
    """Something in a model's folder that is no version."""

    path: str
    reason: str


class Registry:
    """The models in one folder. A version is asked for by its number or by `champion` or `challenger`."""

    def __init__(self, folder: Path, sources: Mapping[str, type[Source]] = SOURCES) -> None:
        self._folder = folder
        self.sources = sources
        """What models may be made of, by name."""

    def names(self) -> list[str]:
        """The models that have a folder here."""
        if not self._folder.is_dir():
            return []
        return sorted(e.name for e in os.scandir(self._folder) if e.is_dir() and NAME.fullmatch(e.name))

    def publish(self, name: str, arrays: Mapping[str, Array], manifest: Manifest) -> int:
        """Make the next version, and the challenger, of these; returns its number. Nothing is served by this."""
        home = self._home(name)
        with _writing():
            home.mkdir(parents=True, exist_ok=True)
            self.sweep(name)
            new = home / f"{HALF_WRITTEN}{os.getpid()}-{secrets.token_hex(4)}"
            try:
                write_bundle(new, arrays, manifest)
                with _locked(home):
                    aliases = self.aliases(name)
                    version = 1 + max([0, *self._numbers(name), *_mentioned(aliases)])
                    self._place(name, new, version)
                    self._point(name, aliases.model_copy(update={"challenger": version}))
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return version

    def load(self, name: str = MAIN, version: int | str = "champion") -> tuple[dict[str, Array], Manifest]:
        """The arrays, mapped, and the manifest of a version, after every check; ArtefactError where one fails."""
        return read_bundle(self._home(name) / str(self.resolve(name, version)))

    def manifest(self, name: str = MAIN, version: int | str = "champion") -> Manifest:
        """The manifest of a version, without a look into its arrays."""
        return read_manifest(self._home(name) / str(self.resolve(name, version)))

    def resolve(self, name: str = MAIN, version: int | str = "champion") -> int:
        """The number behind an alias or a number. NotFoundError where there is none."""
        number = getattr(self.aliases(name), version) if version in ("champion", "challenger") else version
        if number is None:
            raise NotFoundError(f"This model has no {version}. `murmeli train` makes one.")
        if not _NUMBER.fullmatch(str(number)) or not self._has(name, int(number)):
            raise NotFoundError("This model has no such version. `murmeli models list` shows those it has.")
        return int(number)

    def versions(self, name: str = MAIN) -> list[Version]:
        """All versions, ascending; sizes and manifests are checked here, the arrays' bytes when one is loaded."""
        home = self._home(name)
        return [_version(home, number) for number in sorted(self._numbers(name))]

    def strays(self, name: str = MAIN) -> list[Stray]:
        """What lies between the versions and should not: half-written folders, foreign files."""
        numbers = {str(number) for number in self._numbers(name)}
        found = sorted(set(self._entries(name)) - numbers - {ALIASES, _LOCK})
        return [Stray(entry, _why_stray(entry)) for entry in found]

    def foreign(self) -> list[Stray]:
        """What lies beside the models' folders and should not; notes to the reader (README, hidden files) may."""
        names = set(self.names())
        entries = [e for e in sorted(self._entries()) if e not in names and not e.startswith((".", "README"))]
        return [Stray(entry, _why_stray(entry)) for entry in entries]

    def sweep(self, name: str = MAIN) -> list[str]:
        """Remove half-written folders that nobody touched for a day; returns their names."""
        home = self._home(name)
        left = [home / entry for entry in _listing(home) if entry.startswith(HALF_WRITTEN)]
        stale = [path for path in left if _age(path) > STALE]
        for path in stale:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        return [path.name for path in stale]

    def aliases(self, name: str = MAIN) -> Aliases:
        """Which versions are in use; none where nothing was published. ArtefactError where the file is damaged."""
        try:
            return Aliases.model_validate_json((self._home(name) / ALIASES).read_bytes())
        except FileNotFoundError:
            return Aliases()
        except OSError as error:
            raise ArtefactError(f"{name}/{ALIASES} cannot be read: {error.strerror}. Check its rights.") from error
        except ValidationError as error:
            raise ArtefactError(f"{name}/{ALIASES} is damaged. Remove it, then promote a version.") from error

    def promote(self, name: str, version: int | str, forced: Forced | None = None) -> int:
        """Make a version the champion, after every check of its bytes; returns its number. The gate is not asked here.

        The one before is remembered, and so is `forced`.
        """
        number = self.resolve(name, version)
        home = self._home(name)
        read_bundle(home / str(number))
        with _writing(), _locked(home):
            self._point(name, self.aliases(name).promoted(number, forced))
        return number

    def rollback(self, name: str = MAIN) -> int:
        """Make the champion before this one the champion again; returns its number. UsageError where there is none."""
        home = self._home(name)
        _earlier(self.aliases(name))  # before the lock, which would make a file where nothing is
        with _writing(), _locked(home):
            aliases = self.aliases(name)
            number = self.resolve(name, _earlier(aliases))
            read_bundle(home / str(number))
            self._point(name, aliases.model_copy(update={"champion": number, "history": aliases.history[:-1]}))
        return number

    def stamp(self, name: str = MAIN) -> tuple[int, int, int]:
        """Differs once an alias moved; one `stat`, so that a server may ask every second."""
        try:
            found = os.stat(self._home(name) / ALIASES)
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def _entries(self, name: str = "") -> list[str]:
        """What lies in a model's folder; in the registry's where no name is given."""
        return _listing(self._home(name) if name else self._folder)

    def _numbers(self, name: str) -> list[int]:
        self._home(name)
        return [int(entry) for entry in self._entries(name) if _NUMBER.fullmatch(entry)]

    def _has(self, name: str, number: int) -> bool:
        """Whether there is such a version, whole or not; from here on it can be read."""
        return os.path.lexists(self._home(name) / str(number))

    def _place(self, name: str, new: Path, number: int) -> None:
        """A whole folder becomes a version."""
        os.rename(new, self._home(name) / str(number))
        sync_folder(self._home(name))

    def _point(self, name: str, aliases: Aliases) -> None:
        """The aliases point elsewhere."""
        home = self._home(name)
        new = home / f"{HALF_WRITTEN}aliases-{secrets.token_hex(4)}"
        try:
            with open(new, "x", encoding="utf-8") as file:
                json.dump(aliases.model_dump(), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, home / ALIASES)
        finally:
            new.unlink(missing_ok=True)
        sync_folder(home)

    def _home(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise UsageError("A model's name is made of a-z, 0-9, '-' and '_', at most 64 of them.")
        return self._folder / name


def _listing(home: Path) -> list[str]:
    return os.listdir(home) if home.is_dir() else []


def _version(home: Path, number: int) -> Version:
    try:
        return Version(number, read_manifest(home / str(number)), None)
    except ArtefactError as error:
        return Version(number, None, str(error))


def _earlier(aliases: Aliases) -> int:
    if not aliases.history:
        raise UsageError("There is no earlier champion. `murmeli models list` shows what can be promoted.")
    return aliases.history[-1]


def _mentioned(aliases: Aliases) -> list[int]:
    return [number for number in (aliases.champion, aliases.challenger, *aliases.history) if number is not None]


def _why_stray(entry: str) -> str:
    if entry.startswith(HALF_WRITTEN):
        return "half-written: a publisher is at work or was stopped; swept after a day"
    return "no version of a model; take it away"


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One process at a time, in one folder; the system lets go where a process dies."""
    with open(home / _LOCK, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StoreFullError if full else StoreError
        remedy = "Make room on the disk." if full else "Check the folder's owner and rights."
        raise kind(f"The models folder cannot be written: {error.strerror}. {remedy}") from error
