"""A model is arrays: taken apart, published, loaded and put together, it answers as before, and for ever."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.bundle import Array, KindEntry, Manifest, read_bundle
from recommender.counting import Counting
from recommender.errors import ArtefactError
from recommender.history import Context, History, Items, Query
from recommender.layer import Layer
from recommender.model import Model, model_arrays, model_from, model_kinds, untrained
from recommender.ranker import ROWS
from recommender.registry import Registry
from recommender.texts import PackedTexts
from recommender.types import USE, FloatArray, Kind
from tests.contracts.models import BANK, bank, manifest_of

GOLDEN = Path(__file__).parents[1] / "golden"


def scores(model: Model, *used: int, late: int = 0) -> FloatArray:
    """What the model's ranker says of each feature to one who used some, a minute apart; late: of newer items."""
    part = model.kinds[Kind.FEATURE]
    size = part.codes.size + late
    codes = np.concatenate([part.codes, np.arange(late)])
    none = np.zeros(0, np.int64)
    items = Items(codes, part.codes.size, [*part.ids, *"x" * late], np.zeros(size + 1, np.int64), none)
    item = np.array(used, np.int64)
    time = 60_000 * np.arange(item.size)
    query = Query(items, History(item, time, np.zeros_like(item), np.zeros_like(item), none, none), Context(60_000 * 9))
    return part.ranker.blend(query, [source.score([query])[0] for source in part.sources])


def reload(model: Model, folder: Path) -> Model:
    registry = Registry(folder)
    version = registry.publish("main", model_arrays(model), manifest_of(model))
    return model_from(*registry.load("main", version), f"main/{version}")


def test_what_is_published_answers_like_what_was_trained(tmp_path: Path) -> None:
    model = bank()
    loaded = reload(model, tmp_path)
    for used in ((), (0,), (0, 1, 0, 4)):
        assert scores(loaded, *used).tolist() == scores(model, *used).tolist()
        assert scores(loaded, *used, late=2).tolist() == scores(model, *used, late=2).tolist()
    assert (loaded.label, loaded.trained) == ("main/1", True)
    assert list(loaded.kinds[Kind.FEATURE].ids) == list(model.kinds[Kind.FEATURE].ids)


def test_publishing_what_was_loaded_gives_the_same_fingerprint(tmp_path: Path) -> None:
    first = reload(bank(), tmp_path)
    second = reload(first, tmp_path)
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest.fingerprint == second.manifest.fingerprint


def test_array_names_say_kind_owner_and_field() -> None:
    names = set(model_arrays(bank()))
    assert {"feature.popularity.log_share", "feature.ranker.weights", "feature.items.ids_bytes"} <= names
    assert {name.split(".")[0] for name in names} == {"feature", "content"}


def test_a_model_s_arrays_are_those_of_the_disk_not_copies(tmp_path: Path) -> None:
    part = reload(bank(), tmp_path).kinds[Kind.FEATURE]
    assert not part.codes.flags.owndata
    assert not part.ranker.weights.flags.owndata


def counting() -> Model:
    """The bank, its first event type half as much worth, and all fading."""
    part = bank().kinds[Kind.FEATURE]
    how = Counting(np.array([USE]), np.array([0.5], np.float32), np.array(9, np.float32))
    return Model({**bank().kinds, Kind.FEATURE: replace(part, counting=how)})


def test_how_uses_count_is_published_and_none_of_it_where_all_count_alike(tmp_path: Path) -> None:
    found = reload(counting(), tmp_path).kinds[Kind.FEATURE].counting
    assert found is not None
    assert (found.types.tolist(), found.weight.tolist(), float(found.half_life)) == ([USE], [0.5], 9)
    assert [name for name in model_arrays(bank()) if ".counting." in name] == []
    assert model_from(model_arrays(bank()), manifest_of(bank()), "main/1").kinds[Kind.FEATURE].counting is None


@pytest.mark.parametrize(
    ("field", "value"), [("weight", np.ones(2)), ("half_life", np.array(-1.0)), ("types", np.ones((1, 1)))]
)
def test_a_way_to_count_that_does_not_fit_is_refused(field: str, value: npt.NDArray[np.float64]) -> None:
    arrays = model_arrays(counting()) | {f"feature.counting.{field}": value}
    with pytest.raises(ArtefactError, match="event types"):
        model_from(arrays, manifest_of(counting()), "main/1")


def layered() -> Model:
    """The bank with a layer."""
    model, draw = bank(), np.random.default_rng(1)
    part = model.kinds[Kind.FEATURE]
    shapes = ((len(part.ranker.columns), 3), (ROWS, 3), (6, 3), (6, 3), (3,))
    layer = Layer(*(draw.normal(0, 0.1, shape).astype(np.float32) for shape in shapes))
    return Model({**model.kinds, Kind.FEATURE: replace(part, ranker=replace(part.ranker, layer=layer))})


def test_a_layer_is_published_and_answers_as_before(tmp_path: Path) -> None:
    loaded = reload(layered(), tmp_path)
    assert scores(loaded, 0, 1, 0, 4).tolist() == scores(layered(), 0, 1, 0, 4).tolist()
    assert scores(loaded, 0, 1, 0, 4).tolist() != scores(bank(), 0, 1, 0, 4).tolist()


def test_a_layer_from_before_a_column_and_a_situation_counts_nothing_for_them() -> None:
    model, arrays = layered(), model_arrays(layered())
    gone = model.kinds[Kind.FEATURE].ranker.columns[3]
    entry = manifest_of(model).kinds[Kind.FEATURE]
    older = entry.model_copy(update={"columns": tuple(name for name in entry.columns if name != gone)})
    kinds = {**manifest_of(model).kinds, Kind.FEATURE: older}
    manifest = manifest_of(model).model_copy(update={"kinds": kinds})
    for name, axis in (("weights", 1), ("layer_into", 0)):
        arrays[f"feature.ranker.{name}"] = np.delete(arrays[f"feature.ranker.{name}"], 3, axis)
    for name in ("weights", "layer_bias"):
        arrays[f"feature.ranker.{name}"] = arrays[f"feature.ranker.{name}"][:-1]
    ranker = model_from(arrays, manifest, "main/1").kinds[Kind.FEATURE].ranker
    assert ranker.layer is not None
    assert ranker.layer.into.shape == (len(ranker.columns), 3)
    assert not ranker.layer.into[3].any()
    assert ranker.layer.bias.shape[0] == ROWS
    assert not ranker.layer.bias[-1].any()


@pytest.mark.parametrize("name", ["layer_into", "layer_bias", "layer_item", "layer_last", "layer_out"])
def test_a_layer_whose_parts_do_not_fit_is_refused(name: str) -> None:
    arrays = model_arrays(layered())
    arrays[f"feature.ranker.{name}"] = arrays[f"feature.ranker.{name}"][..., :-1]
    with pytest.raises(ArtefactError, match="layer"):
        model_from(arrays, manifest_of(layered()), "main/1")


def test_a_model_from_before_a_situation_was_told_apart_counts_nothing_for_it() -> None:
    arrays = model_arrays(bank())
    arrays["feature.ranker.weights"] = arrays["feature.ranker.weights"][:-1]
    weights = model_from(arrays, manifest_of(bank()), "main/1").kinds[Kind.FEATURE].ranker.weights
    assert weights.shape == bank().kinds[Kind.FEATURE].ranker.weights.shape
    assert not weights[-1].any()


def test_the_untrained_model_knows_every_kind_and_says_that_it_learned_nothing(tmp_path: Path) -> None:
    assert set(untrained().kinds) == set(Kind)
    assert not untrained().trained
    assert not reload(untrained(), tmp_path).trained


def test_a_kind_that_the_log_had_nothing_of_is_ranked_by_habit(tmp_path: Path) -> None:
    model = bank()
    only = Model({Kind.FEATURE: model.kinds[Kind.FEATURE]})
    assert set(reload(only, tmp_path).kinds) == set(Kind)


def test_a_column_that_came_after_the_training_counts_nothing() -> None:
    model = bank()
    part = model.kinds[Kind.FEATURE]
    kept = [i for i, name in enumerate(part.ranker.columns) if name != "habit.hour"]
    fewer = replace(
        part.ranker, columns=tuple(part.ranker.columns[i] for i in kept), weights=part.ranker.weights[:, kept]
    )
    arrays = {**model_arrays(model), "feature.ranker.weights": fewer.weights}
    entry = KindEntry(sources=tuple(s.name for s in part.sources), columns=fewer.columns)
    loaded = model_from(arrays, manifest_of(model).model_copy(update={"kinds": {Kind.FEATURE: entry}}), "main/1")
    ranker = loaded.kinds[Kind.FEATURE].ranker
    assert ranker.columns == part.ranker.columns
    assert ranker.weights[0].tolist() == [float(name != "habit.hour") for name in ranker.columns]


Break = Callable[[dict[str, Array], dict[str, tuple[str, ...]]], object]


@pytest.mark.parametrize(
    ("break_", "why"),
    [
        (lambda a, _: a.pop("feature.items.codes"), "'codes' is missing"),
        (lambda a, _: a.pop("feature.popularity.new"), "new"),
        (lambda a, _: a.update({"feature.popularity.extra": np.zeros(1)}), "extra"),
        (lambda a, _: a.update({"feature.items.codes": a["feature.items.codes"][::-1]}), "not ascending"),
        (lambda a, _: a.update({"feature.items.codes": a["feature.items.codes"][:-1]}), "not ascending, one per id"),
        (lambda a, _: a.update({"feature.items.ids_bytes": a["feature.items.ids_bytes"][:-1]}), "do not fit"),
        (lambda a, _: a.update({"feature.items.ids_bytes": a["feature.items.ids_bytes"] | 0x80}), "utf-8"),
        (
            lambda a, _: a.update({"feature.ranker.weights": np.tile(a["feature.ranker.weights"], (2, 1))}),
            "one row per situation",
        ),
        (lambda a, _: a.update({"feature.ranker.weights": a["feature.ranker.weights"][:, 1:]}), "one column per name"),
        (
            lambda a, _: a.update({"feature.ranker.weights": np.float32(2e38) * a["feature.ranker.weights"]}),
            "score every",
        ),
        (lambda a, _: a.update({"feature.popularity.log_share": np.zeros(9, np.float32)}), "fit together"),
        (lambda a, _: a.update({"feature.factors.factors": np.zeros((5, 3), np.float32)}), "fit together"),
        (
            lambda a, _: a.update({"feature.factors.factors": np.zeros((9, *a["feature.factors.factors"].shape[1:]))}),
            "fit together",
        ),
        (lambda a, _: a.update({"feature.neighbours.weight": np.zeros(4, np.float32)}), "one for each of its items"),
        (lambda a, _: a.update({"feature.transitions.lift": np.zeros(4, np.float32)}), "one for each of its items"),
        (lambda a, _: a.update({"feature.neighbours.item": np.full(5, 5)}), "items that are not there"),
        (lambda a, _: a.update({"feature.transitions.item": np.full(5, -1)}), "items that are not there"),
        (lambda a, _: a.update({"feature.neighbours.starts": np.array([0, 4, 2, 3, 4, 5])}), "rows do not fit"),
        (lambda a, _: a.update({"feature.neighbours.starts": np.arange(5)}), "rows do not fit"),
        (lambda a, _: a.update({"feature.transitions.key": np.arange(4)}), "rows do not fit"),
        (lambda _, e: e.update(sources=("fortune-teller",)), "no source is called 'fortune-teller'"),
        (lambda _, e: e.update(columns=("habit.gone", *e["columns"][1:])), "no source has the column 'habit.gone'"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_parts_that_do_not_fit_are_refused(break_: Break, why: str) -> None:
    model = bank()
    arrays = model_arrays(model)
    entry: dict[str, tuple[str, ...]] = model_kinds(model)[Kind.FEATURE].model_dump()
    break_(arrays, entry)
    manifest = manifest_of(model).model_copy(update={"kinds": {Kind.FEATURE: KindEntry.model_validate(entry)}})
    with pytest.raises(ArtefactError, match=r"main/1 does not fit together.*Train again") as caught:
        model_from(arrays, manifest, "main/1")
    assert why in str(caught.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_packed_texts_are_the_texts(texts: list[str]) -> None:
    packed = PackedTexts.of(texts)
    packed.check()
    assert list(packed) == texts
    assert packed[1:-1] == texts[1:-1]
    assert [packed[i] for i in range(-len(texts), 0)] == texts
    assert PackedTexts.of(packed) is packed
    for beyond in (len(texts), -len(texts) - 1):
        with pytest.raises(IndexError):
            packed[beyond]


def test_an_id_that_begins_within_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="within a character"):
        PackedTexts(np.frombuffer("ä".encode(), np.uint8), np.array([0, 1, 2])).check()


def golden() -> tuple[dict[str, Array], Manifest]:
    return read_bundle(GOLDEN / "model-1")


def test_the_model_of_schema_1_loads_forever_and_answers_as_it_did() -> None:
    """Written by the first Murmeli from `bank()`; its answers for two customers were written beside it."""
    model = model_from(*golden(), "golden/1")
    assert sorted(model.kinds[Kind.FEATURE].ids) == sorted(BANK)
    for used, line in zip(((), (0, 1, 0)), (GOLDEN / "model-1.scores").read_text().splitlines(), strict=True):
        assert scores(model, *used) == pytest.approx([float(score) for score in line.split()], rel=1e-4)


def test_the_golden_model_is_refused_once_a_bit_of_it_flips(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "model-1", tmp_path / "1")
    damaged = bytearray((tmp_path / "1" / "feature.factors.factors.npy").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "1" / "feature.factors.factors.npy").write_bytes(damaged)
    with pytest.raises(ArtefactError, match="not the one that was published"):
        read_bundle(tmp_path / "1")
