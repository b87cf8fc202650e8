"""A bundle is loaded when it is exactly what was published, and refused with a reason otherwise."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recommender import bundle
from recommender.bundle import Array, LogRange, Manifest, read_bundle, read_manifest, write_bundle
from recommender.errors import ArtefactError

ARRAYS: dict[str, Array] = {
    "feature.popularity.log_share": np.linspace(-3, 0, 40, dtype=np.float32),
    "feature.factors.factors": np.arange(24, dtype=np.float32).reshape(6, 4),
    "feature.items.codes": np.arange(6) - 3,
    "feature.items.ids_bytes": np.frombuffer(b"abcdef", np.uint8),
    "feature.popularity.new": np.array(-4, np.float32),
    "feature.flags": np.array([True, False]),
    "feature.neighbours.item": np.zeros(0, np.int64),
}


def manifest(**more: object) -> Manifest:
    filled = {
        "code_version": "0.1.0",
        "seed": 7,
        "configuration": {"factors": 4},
        "kinds": {},
        "log": LogRange(events=9),
    }
    return Manifest.model_validate({**filled, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "main" / "1"
    path.parent.mkdir()
    write_bundle(path, ARRAYS, manifest())
    return path


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Forge a manifest: change it, and make its seals right again."""
    content = json.loads((folder / "manifest.json").read_text())
    del content["checksum"]
    change(content)
    arrays = {name: entry.get("sha256") for name, entry in content["arrays"].items()}
    made_of = {name: content.get(name) for name in ("seed", "configuration", "log", "kinds")}
    content["fingerprint"] = bundle._checksum([made_of, arrays])
    content["checksum"] = bundle._checksum(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def replace_array(folder: Path, name: str, data: bytes, **entry: object) -> None:
    """Put other bytes in an array's place and let the manifest vouch for them."""
    (folder / f"{name}.npy").write_bytes(data)
    vouched = {"bytes": len(data), "sha256": sha256(data).hexdigest(), **entry}
    reseal(folder, lambda content: content["arrays"][name].update(vouched))


def refused(folder: Path, why: str) -> None:
    with pytest.raises(ArtefactError, match=why) as caught:
        read_bundle(folder)
    assert "main/1" in str(caught.value)
    assert "Promote another version" in str(caught.value)


def test_what_was_written_is_read_read_only_and_mapped(folder: Path) -> None:
    arrays, read = read_bundle(folder)
    assert set(arrays) == set(ARRAYS)
    for name, array in arrays.items():
        assert (array.dtype, array.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
        assert np.array_equal(array, ARRAYS[name])
        assert not array.flags.writeable
        assert not array.flags.owndata
    assert read == read_manifest(folder)
    assert read.arrays["feature.factors.factors"].shape == (6, 4)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,95}", fullmatch=True),
        hnp.arrays(
            st.sampled_from([np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float16, np.float64]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            elements={"allow_nan": False, "allow_infinity": False},
        ),
        max_size=3,
    )
)
def test_any_arrays_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Array]) -> None:
    path = tmp_path_factory.mktemp("any") / "1"
    write_bundle(path, arrays, manifest())
    back, _ = read_bundle(path)
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in back.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }


def test_transposed_and_big_endian_arrays_are_written_in_the_one_layout(tmp_path: Path) -> None:
    odd = np.arange(6, dtype=">i4").reshape(2, 3).T
    write_bundle(tmp_path / "1", {"odd": odd}, manifest())
    back = read_bundle(tmp_path / "1")[0]["odd"]
    assert back.dtype == np.dtype("<i4")
    assert back.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_same_run_has_the_same_fingerprint_whenever_it_was(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "1", ARRAYS, manifest(created="2026-01-01T00:00:00+00:00"))
    second = write_bundle(tmp_path / "2", dict(reversed(ARRAYS.items())), manifest(metrics={"mrr": 0.5}))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    "other",
    [{"seed": 8}, {"configuration": {"factors": 5}}, {"log": LogRange(events=10)}],
    ids=lambda other: next(iter(other)),
)
def test_another_run_has_another_fingerprint(tmp_path: Path, other: dict[str, Any]) -> None:
    first = write_bundle(tmp_path / "1", ARRAYS, manifest())
    assert write_bundle(tmp_path / "2", ARRAYS, manifest(**other)).fingerprint != first.fingerprint


def test_other_values_have_another_fingerprint(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "1", ARRAYS, manifest())
    changed = {**ARRAYS, "feature.flags": np.array([True, True])}
    assert write_bundle(tmp_path / "2", changed, manifest()).fingerprint != first.fingerprint


def test_figures_that_could_not_be_measured_are_null(tmp_path: Path) -> None:
    write_bundle(tmp_path / "1", {}, manifest(metrics={"mrr": float("nan"), "n": 0}))
    assert read_manifest(tmp_path / "1").metrics == {"mrr": None, "n": 0}


@pytest.mark.parametrize("file", ["manifest.json", *(f"{name}.npy" for name in ARRAYS)])
def test_no_flipped_bit_goes_unseen(folder: Path, file: str) -> None:
    path = folder / file
    data = path.read_bytes()
    for bit in np.random.default_rng(7).integers(0, 8 * len(data), 60):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        refused(folder, "refused")


@pytest.mark.parametrize("file", ["manifest.json", *(f"{name}.npy" for name in ARRAYS)])
def test_torn_and_lengthened_files_are_refused(folder: Path, file: str) -> None:
    path = folder / file
    data = path.read_bytes()
    half = len(data) // 2
    for torn in (b"", data[:1], data[:half], data[:-1], data[:half] + bytes(len(data) - half), data + data):
        path.write_bytes(torn)
        refused(folder, "refused")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "feature.flags.npy").unlink()
    refused(folder, "'feature.flags' is missing")


def test_a_folder_without_a_manifest_was_not_finished(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    refused(folder, "not written to its end")


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    shutil.rmtree(folder)
    refused(folder, "No such file")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"schema_version":"1"}', "[" * 100_000, "\xff"])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    refused(folder, "manifest")


def test_the_manifest_of_another_model_is_refused(folder: Path) -> None:
    other = folder.parent / "2"
    write_bundle(other, {**ARRAYS, "feature.flags": np.array([True, True])}, manifest())
    shutil.copy(other / "manifest.json", folder)
    refused(folder, "'feature.flags' is not the one that was published")


def test_a_newer_schema_asks_for_an_upgrade(folder: Path) -> None:
    reseal(folder, lambda content: content.update(schema_version=2))
    refused(folder, "schema is 2, up to 1 can be read; upgrade Murmeli")


def test_an_edited_manifest_is_refused(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["metrics"] = {"mrr": 0.99}
    (folder / "manifest.json").write_text(json.dumps(content))
    refused(folder, "changed after it was published")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.pop("seed"), "seed: Field required"),
        (lambda c: c.update(surprise=1), "surprise"),
        (lambda c: c["arrays"]["feature.flags"].update(shape=["x"]), "arrays.feature.flags.shape"),
        (lambda c: c["arrays"]["feature.flags"].update(bytes=0), "bytes"),
        (lambda c: c["arrays"].update({"../1/feature.flags": c["arrays"].pop("feature.flags")}), "array name"),
        (lambda c: c["arrays"].update({"a" * 97: c["arrays"].pop("feature.flags")}), "array name"),
        (lambda c: c["arrays"]["feature.factors.factors"].update(shape=[4, 6]), r"\(6, 4\), where <f4 \(4, 6\)"),
        (lambda c: c["arrays"]["feature.flags"].update(dtype="|u1"), r"\|b1 \(2,\), where \|u1"),
    ],
)
def test_a_forged_manifest_is_refused(folder: Path, change: Callable[[dict[str, Any]], object], why: str) -> None:
    reseal(folder, change)
    refused(folder, why)


def test_swapped_files_are_refused(folder: Path) -> None:
    swapped = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((3, 2), np.float32)}
    shutil.rmtree(folder)
    write_bundle(folder, swapped, manifest())
    (folder / "a.npy").rename(folder / "c")
    (folder / "b.npy").rename(folder / "a.npy")
    (folder / "c").rename(folder / "b.npy")
    refused(folder, "'a' is not the one that was published")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_even_when_vouched_for(folder: Path, value: float) -> None:
    good = (folder / "feature.popularity.log_share.npy").read_bytes()
    replace_array(folder, "feature.popularity.log_share", good[:-4] + np.float32(value).tobytes())
    refused(folder, "NaN or infinity")


def test_a_model_that_holds_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="'bad' holds NaN"):
        write_bundle(tmp_path / "1", {"bad": np.array([1.0, np.nan])}, manifest())


@pytest.mark.parametrize(
    "array",
    [np.array([{}]), np.array(["text"]), np.array([1j]), np.zeros(2, "M8[s]"), np.zeros(2, [("a", "i4")])],
    ids=lambda array: array.dtype.str,
)
def test_only_booleans_integers_and_floats_are_written(tmp_path: Path, array: Array) -> None:
    with pytest.raises(ArtefactError, match="booleans, integers or floats"):
        write_bundle(tmp_path / "1", {"bad": array}, manifest())


@pytest.mark.parametrize("name", ["", "../escape", "A", "a/b", ".hidden", "a" * 97, "a b", "ä", "a\n"])
def test_a_name_that_is_no_file_name_of_ours_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtefactError, match="array name"):
        write_bundle(tmp_path / "1", {name: np.zeros(1)}, manifest())
    assert list(tmp_path.rglob("*.npy")) == []


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_the_folder_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "it-ran"
    (folder / "model.pkl").write_bytes(pickle.dumps(Canary(canary)))
    refused(folder, "'model.pkl', which is no part of a model; take that file away")
    assert not canary.exists()


@pytest.mark.parametrize("dtype", ["|O", "|b1"])
def test_a_pickle_in_an_array_is_refused_and_never_run(folder: Path, tmp_path: Path, dtype: str) -> None:
    canary = tmp_path / "it-ran"
    path = tmp_path / "object.npy"
    np.save(path, np.array([Canary(canary)], object), allow_pickle=True)
    replace_array(folder, "feature.flags", path.read_bytes(), dtype=dtype, shape=[1])
    refused(folder, "feature.flags")
    assert not canary.exists()
    np.load(path, allow_pickle=True)
    assert canary.exists(), "the canary itself must work"


@pytest.mark.parametrize("data", [b"\x93NUMPY\x07\x00aaaa", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff{"])
def test_other_formats_are_refused_even_when_vouched_for(folder: Path, data: bytes) -> None:
    replace_array(folder, "feature.flags", data)
    refused(folder, "refused")


def test_fewer_values_than_the_shape_are_refused_even_when_vouched_for(folder: Path) -> None:
    good = (folder / "feature.factors.factors.npy").read_bytes()
    for data in (good[:-4], good + b"\0\0\0\0"):
        replace_array(folder, "feature.factors.factors", data)
        refused(folder, "more or fewer values")


@pytest.mark.parametrize("file", ["manifest.json", "feature.flags.npy"])
def test_a_symlink_is_refused(folder: Path, tmp_path: Path, file: str) -> None:
    (folder / file).rename(tmp_path / "elsewhere")
    (folder / file).symlink_to(tmp_path / "elsewhere")
    refused(folder, f"{file}|Too many levels")


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    refused(folder, "not a folder of its own")


@pytest.mark.parametrize("file", ["manifest.json", "feature.flags.npy"])
def test_a_pipe_is_refused_and_not_waited_for(folder: Path, file: str) -> None:
    (folder / file).unlink()
    os.mkfifo(folder / file)
    refused(folder, "not a plain file")


def test_an_existing_folder_is_never_written_into(folder: Path) -> None:
    with pytest.raises(FileExistsError):
        write_bundle(folder, ARRAYS, manifest())
    read_bundle(folder)
