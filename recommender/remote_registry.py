"""Models that lie elsewhere: at a URL that fsspec knows, with a folder of this machine for copies.

What is asked for is copied once, since versions never change, and then
checked and mapped like any other. The aliases are read anew each time; they
move by one upload, which is one step in an object store, and by a rename where
it is a file system. There is no lock across machines: let one of them train
and promote at a time.
"""

import json
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from recommender.bundle import MANIFEST, Array, Manifest
from recommender.errors import ArtefactError, StoreError, UsageError
from recommender.registry import ALIASES, HALF_WRITTEN, MAIN, NAME, Aliases, Registry, Version
from recommender.sources import SOURCES
from recommender.sources.base import Source


class RemoteRegistry(Registry):
    """The models under a URL. copies: a folder for what was fetched; it may be taken away at any time."""

    def __init__(self, url: str, copies: Path, sources: Mapping[str, type[Source]] = SOURCES) -> None:
        super().__init__(copies, sources)
        self._copies = copies
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"`models` cannot be used: {error}") from error

    def names(self) -> list[str]:
        return [name for name in self._entries() if NAME.fullmatch(name) and self._is_folder(name)]

    def aliases(self, name: str = MAIN) -> Aliases:
        home = self._home(name)
        with _reaching():
            try:
                content = self._files.cat_file(f"{self._root}/{name}/{ALIASES}")
            except FileNotFoundError:
                return Aliases()
        home.mkdir(parents=True, exist_ok=True)
        new = home / f"{HALF_WRITTEN}{secrets.token_hex(4)}"
        new.write_bytes(content)
        new.replace(home / ALIASES)
        return super().aliases(name)

    def load(self, name: str = MAIN, version: int | str = "champion") -> tuple[dict[str, Array], Manifest]:
        number = self.resolve(name, version)
        try:
            return super().load(name, number)
        except ArtefactError:  # it may be the copy that is damaged
            shutil.rmtree(self._home(name) / str(number), ignore_errors=True)
            return super().load(name, number)

    def stamp(self, name: str = MAIN) -> tuple[int, int, int]:
        with _reaching():
            try:
                self._files.invalidate_cache()
                found = self._files.info(f"{self._root}/{self._home(name).name}/{ALIASES}")
            except FileNotFoundError:
                return (0, 0, 0)
        told = sorted((key, str(value)) for key, value in found.items())
        return (zlib.crc32(repr(told).encode()), 0, int(found.get("size") or 0))

    def _entries(self, name: str = "") -> list[str]:
        with _reaching():
            self._files.invalidate_cache()
            try:
                found = self._files.ls(f"{self._root}/{name}".rstrip("/"), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def _is_folder(self, name: str) -> bool:
        with _reaching():
            return bool(self._files.isdir(f"{self._root}/{name}"))

    def _has(self, name: str, number: int) -> bool:
        """Fetched where it is there."""
        copy, there = self._home(name) / str(number), f"{self._root}/{name}/{number}"
        with _reaching():
            if not self._files.exists(there):
                return False
            if not copy.exists():
                new = copy.with_name(f"{HALF_WRITTEN}{secrets.token_hex(4)}")
                self._files.get(f"{there}/", f"{new}/", recursive=True)
                new.rename(copy)
        return True

    def versions(self, name: str = MAIN) -> list[Version]:
        for number in self._numbers(name):
            self._has(name, number)
        return super().versions(name)

    def _place(self, name: str, new: Path, number: int) -> None:
        """The manifest comes last, so that a version that has one is whole."""
        there = f"{self._root}/{name}/{number}"
        with _reaching():
            self._files.makedirs(there, exist_ok=True)
            for path in sorted(new.iterdir(), key=lambda path: path.name == MANIFEST):
                self._files.put_file(str(path), f"{there}/{path.name}")
        super()._place(name, new, number)

    def _point(self, name: str, aliases: Aliases) -> None:
        content, path = json.dumps(aliases.model_dump()).encode(), f"{self._root}/{name}/{ALIASES}"
        with _reaching():
            if isinstance(self._files, LocalFileSystem):
                new = f"{path}{HALF_WRITTEN}{secrets.token_hex(4)}"
                self._files.pipe_file(new, content)
                Path(new).replace(path)
            else:
                self._files.pipe_file(path, content)


@contextmanager
def _reaching() -> Iterator[None]:
    """What goes wrong on the way, in our words: whatever a backend raises."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise StoreError(
            f"The models cannot be reached ({type(error).__name__}). Check `models` and its rights."
        ) from error
