"""A model on disk: a folder with one `.npy` per named array and a `manifest.json` that vouches for each.

Nothing here can run code: an array is mapped from its bytes after its size,
hash, dtype and shape were found to be the manifest's, and a folder that holds
anything else (a pickle, a symlink, a forgotten copy) is refused as a whole.
"""

import json
import math
import mmap
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from recommender.errors import ArtefactError
from recommender.types import Kind

Array = npt.NDArray[np.generic]

SCHEMA = 1
MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 16 * 2**20
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,95}")
_DTYPES = frozenset(["|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"])
_CHUNK = 2**20


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class ArrayEntry(_Entry):
    """One `.npy` file. dtype: as numpy writes it, such as `<f4`; bytes, sha256: of the file as a whole."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int = Field(gt=0)
    sha256: str


class KindEntry(_Entry):
    """Which sources rank a kind, and the names of the ranker's columns, in the sources' order."""

    sources: tuple[str, ...]
    columns: tuple[str, ...]


class LogRange(_Entry):
    """What a model was trained on. first, last: milliseconds UTC, zeros where the log was empty."""

    first: int = 0
    last: int = 0
    events: int = 0
    customers: int = 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest(_Entry):
    """What a model is and where it comes from.

    learned: by kind, the settings that training found where the configuration left them open.
    arrays, fingerprint: filled in by `write_bundle`. The fingerprint leaves out `created`, `metrics`, `learned` (the
    arrays say it) and `code_version`: runs of the same log, configuration and seed have the same one.
    """

    schema_version: int = SCHEMA
    created: str = Field(default_factory=_now)
    code_version: str
    seed: int
    configuration: dict[str, JsonValue]
    log: LogRange
    kinds: dict[Kind, KindEntry]
    learned: dict[Kind, dict[str, JsonValue]] = {}
    metrics: dict[str, JsonValue] = {}
    arrays: dict[str, ArrayEntry] = {}
    fingerprint: str = ""


def write_bundle(folder: Path, arrays: Mapping[str, Array], manifest: Manifest) -> Manifest:
    """Write a new folder, the manifest last, all of it durable; returns the manifest as written.

    Raises ArtefactError where an array could not be read back, such as one that holds NaN.
    """
    os.mkdir(folder)
    entries = {name: _write_array(folder, name, arrays[name]) for name in sorted(arrays)}
    manifest = manifest.model_copy(update={"schema_version": SCHEMA, "arrays": entries})
    manifest = manifest.model_copy(update={"fingerprint": _fingerprint(manifest)})
    content = json.loads(manifest.model_dump_json())
    text = json.dumps({**content, "checksum": _checksum(content)}, indent=1, sort_keys=True, ensure_ascii=False)
    with open(folder / MANIFEST, "xb") as file:
        _durably(file, text.encode())
    sync_folder(folder)
    return manifest


def read_bundle(folder: Path) -> tuple[dict[str, Array], Manifest]:
    """The arrays, read-only and mapped into memory, and the manifest, after every check.

    Raises ArtefactError that says what is wrong with the folder.
    """
    manifest = read_manifest(folder)
    return {name: _read_array(folder, name, entry) for name, entry in manifest.arrays.items()}, manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone, in a millisecond: the files are there and have their sizes; hashes are not compared."""
    with _refusing(folder):
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise ValueError("it is not a folder of its own")
        present = {entry.name: entry for entry in os.scandir(folder)}
        if MANIFEST not in present:
            raise ValueError(f"it has no {MANIFEST}: it was not written to its end")
        with _open_plain(folder / MANIFEST) as file:
            manifest = _parse(file.read(_LARGEST_MANIFEST))
        for name, array in manifest.arrays.items():
            _check_listed(name, array, present.pop(f"{name}.npy", None))
        foreign = sorted(set(present) - {MANIFEST})
        if foreign:
            raise ValueError(f"it holds {foreign[0]!r}, which is no part of a model; take that file away")
    return manifest


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_array(folder: Path, name: str, array: Array) -> ArrayEntry:
    array = np.asarray(array, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    with _refusing(folder):
        _check_name(name)
        _check_values(name, array)
    head = BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    body = array.reshape(-1).view(np.uint8).data
    digest = sha256(head.getvalue())
    digest.update(body)
    with open(folder / f"{name}.npy", "xb") as file:
        _durably(file, head.getvalue(), body)
    size = len(head.getvalue()) + array.nbytes
    return ArrayEntry(dtype=array.dtype.str, shape=array.shape, bytes=size, sha256=digest.hexdigest())


def _durably(file: BinaryIO, *parts: bytes | memoryview) -> None:
    for part in parts:
        file.write(part)
    file.flush()
    os.fsync(file.fileno())


def _read_array(folder: Path, name: str, entry: ArrayEntry) -> Array:
    with _refusing(folder), _open_plain(folder / f"{name}.npy") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(data) != entry.bytes or sha256(data).hexdigest() != entry.sha256:
            raise ValueError(f"the array {name!r} is not the one that was published")
        if np.lib.format.read_magic(data) != (1, 0):
            raise ValueError(f"the array {name!r} is of another npy version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(data)
        if (dtype.str, shape, fortran) != (entry.dtype, entry.shape, False) or dtype.str not in _DTYPES:
            raise ValueError(f"the array {name!r} is {dtype.str} {shape}, where {entry.dtype} {entry.shape} is listed")
        if data.tell() + math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"the array {name!r} has more or fewer values than its shape")
        array = np.frombuffer(data, dtype, math.prod(shape), data.tell()).reshape(shape)
        _check_values(name, array)
    return array


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the array name {name[:96]!r} is not made of a-z, 0-9, '.', '_' and '-'")


def _check_values(name: str, array: Array) -> None:
    if array.dtype.str not in _DTYPES:
        raise ValueError(f"the array {name!r} is {array.dtype.str}, where booleans, integers or floats are wanted")
    if array.dtype.kind == "f":
        flat = array.reshape(-1)
        for at in range(0, flat.size, _CHUNK):
            if not np.isfinite(flat[at : at + _CHUNK]).all():
                raise ValueError(f"the array {name!r} holds NaN or infinity")


def _check_listed(name: str, array: ArrayEntry, found: "os.DirEntry[str] | None") -> None:
    _check_name(name)
    if found is None:
        raise ValueError(f"the array {name!r} is missing")
    if not found.is_file(follow_symlinks=False):
        raise ValueError(f"{found.name!r} is not a plain file")
    size = found.stat(follow_symlinks=False).st_size
    if size != array.bytes:
        raise ValueError(f"the array {name!r} has {size} bytes, where {array.bytes} were published")


def _parse(data: bytes) -> Manifest:
    content = json.loads(data)
    if not isinstance(content, dict) or not isinstance(content.get("schema_version"), int):
        raise ValueError(f"{MANIFEST} is no manifest")
    if not 1 <= content["schema_version"] <= SCHEMA:
        raise ValueError(f"its schema is {content['schema_version']}, up to {SCHEMA} can be read; upgrade Murmeli")
    if content.pop("checksum", None) != _checksum(content):
        raise ValueError(f"{MANIFEST} was changed after it was published")
    manifest = Manifest.model_validate(content)
    if manifest.fingerprint != _fingerprint(manifest):
        raise ValueError(f"the fingerprint in {MANIFEST} is of another model")
    return manifest


def _checksum(content: object) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _fingerprint(manifest: Manifest) -> str:
    made_of = manifest.model_dump_json(include={"seed", "configuration", "log", "kinds"})
    arrays = {name: entry.sha256 for name, entry in manifest.arrays.items()}
    return _checksum([json.loads(made_of), arrays])


@contextmanager
def _open_plain(path: Path) -> Iterator[BinaryIO]:
    """A regular file, not one behind a link or a pipe that would never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"{path.name!r} is not a plain file")
        yield file


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Say of any fault which model has it and what to do."""
    try:
        yield
    except (OSError, ValueError, RecursionError, OverflowError) as error:
        raise ArtefactError(
            f"The model {folder.parent.name}/{folder.name} is refused: {_reason(error)}. "
            "Promote another version, or train again."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, RecursionError)):
        return f"{MANIFEST} is not valid JSON"
    if isinstance(error, OSError):
        return f"{Path(error.filename or '').name!r} cannot be read: {error.strerror}"
    return str(error)
