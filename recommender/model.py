"""A trained model in memory: for each kind its items, its sources and its ranker; no customer is in it.

On disk it is named arrays and a manifest that lists each kind's sources (bundle.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from recommender.bundle import Array, KindEntry, Manifest
from recommender.counting import Counting
from recommender.errors import ArtefactError
from recommender.growth import Growth
from recommender.history import Context, History, Items, Query
from recommender.layer import Layer
from recommender.ranker import ROWS, Ranker
from recommender.sharpness import SURE
from recommender.sources import SOURCES
from recommender.sources.base import Arrays, Source, from_arrays, to_arrays
from recommender.sources.habit import Habit
from recommender.sources.popularity import Popularity
from recommender.texts import PackedTexts
from recommender.types import FloatArray, IntArray, Kind

_BY_HAND = {"habit.uses-32": 1.0, "habit.uses-512": 1.0, "habit.time-of-day": 0.5, "popularity.popularity": 1.0}
"""Weights where none were learned: mostly what is used often, somewhat more what is used lately and at this hour."""


@dataclass(frozen=True, slots=True, eq=False)
class KindModel:
    """What ranks one kind. codes: shape (n,), of the items it was trained on, ascending; ids: theirs, n.

    counting: how much a use counts to its sources; None where all count alike, as in models from before.
    """

    codes: IntArray
    ids: Sequence[str]
    sources: tuple[Source, ...]
    ranker: Ranker
    counting: Counting | None = None
    memo: dict[str, object] = field(default_factory=dict, init=False)
    """What was worked out once for all questions; it goes when the model does."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One ranker per kind. label: what answers call it, such as `main/7`; manifest: None until it is published."""

    kinds: Mapping[Kind, KindModel]
    """One for each Kind, also where nothing of it was in the log."""
    label: str = "untrained"
    manifest: Manifest | None = None

    @property
    def trained(self) -> bool:
        """Whether any kind has learned anything."""
        return any(kind.codes.size for kind in self.kinds.values())


def column_names(sources: Sequence[Source]) -> tuple[str, ...]:
    """The ranker's columns: `<source>.<column>`, source by source."""
    return tuple(f"{source.name}.{column}" for source in sources for column in source.columns)


def model_arrays(model: Model) -> Arrays:
    """Every array of a model, by `<kind>.<owner>.<field>`; owners: its sources, `ranker`, `items` and `counting`."""
    arrays: Arrays = {}
    for kind, part in model.kinds.items():
        ids = PackedTexts.of(part.ids)
        owners = {source.name: to_arrays(source) for source in part.sources}
        owners["items"] = {"codes": part.codes, "ids_bytes": ids.data, "ids_starts": ids.starts}
        owners["ranker"] = {"weights": part.ranker.weights} | _parts_of("layer", part.ranker.layer)
        owners["ranker"] |= _parts_of("growth", part.ranker.growth)
        owners["ranker"] |= {} if part.ranker.sharpness is None else {"sharpness": part.ranker.sharpness}
        owners["ranker"] |= {} if part.ranker.reach is None else {"reach": part.ranker.reach}
        owners["counting"] = {f.name: getattr(part.counting, f.name) for f in fields(Counting) if part.counting}
        arrays |= {f"{kind}.{owner}.{field}": own[field] for owner, own in owners.items() for field in own}
    return arrays


def model_kinds(model: Model) -> dict[Kind, KindEntry]:
    """What the manifest says of each kind."""
    return {
        kind: KindEntry(sources=tuple(source.name for source in part.sources), columns=part.ranker.columns)
        for kind, part in model.kinds.items()
    }


def model_from(
    arrays: Mapping[str, Array], manifest: Manifest, label: str, sources: Mapping[str, type[Source]] = SOURCES
) -> Model:
    """The model that `model_arrays` and `model_kinds` took apart; ArtefactError where the parts do not fit.

    sources: what it may be made of, by name.
    """
    try:
        kinds = {kind: _kind_from(f"{kind}.", entry, arrays, sources) for kind, entry in manifest.kinds.items()}
    except (LookupError, TypeError, ValueError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ArtefactError(f"The model {label} does not fit together: {why}. Train again.") from error
    return Model({**untrained().kinds, **kinds}, label, manifest)


def untrained() -> Model:
    """What answers before the first training: the customer's own habits, and nothing of anybody else."""
    unknown = Popularity(np.zeros(0, np.float32), np.zeros((), np.float32))
    return Model({kind: by_habit(np.zeros(0, np.int64), (), unknown) for kind in Kind})


def by_habit(codes: IntArray, ids: Sequence[str], popularity: Popularity) -> KindModel:
    """Habit, then popularity, blended by hand: where there is too little evidence to learn a blend."""
    sources = (Habit(), popularity)
    return KindModel(codes, ids, sources, Ranker(column_names(sources), weights_by_hand(sources)))


def by_popularity(part: KindModel) -> KindModel:
    """The last resort: the same items by popularity alone, whoever asks; all alike where the model knows of none."""
    none = Popularity(np.zeros(part.codes.size, np.float32), np.zeros((), np.float32))
    popularity = next((source for source in part.sources if isinstance(source, Popularity)), none)
    weights = np.ones((1, 1), np.float32)
    return KindModel(part.codes, part.ids, (popularity,), Ranker(column_names([popularity]), weights))


def weights_by_hand(sources: Sequence[Source]) -> FloatArray:
    """Shape (1, columns): the weights of these sources' columns where none were learned."""
    return np.array([[_BY_HAND.get(column, 0) for column in column_names(sources)]], np.float32)


def _kind_from(
    prefix: str, entry: KindEntry, arrays: Mapping[str, Array], known: Mapping[str, type[Source]]
) -> KindModel:
    items = _owned(f"{prefix}items.", arrays)
    ids = PackedTexts(items["ids_bytes"], items["ids_starts"])
    ids.check()
    codes = np.asarray(items["codes"], np.int64)
    if codes.shape != (len(ids),) or bool((codes[1:] <= codes[:-1]).any()):
        raise ValueError("the items' codes are not ascending, one per id")
    unknown = sorted(set(entry.sources) - known.keys())
    if unknown:
        raise ValueError(f"no source is called {unknown[0]!r}; murmeli.toml names a site's own under training.sources")
    owned = {name: _owned(f"{prefix}{name}.", arrays) for name in entry.sources}
    for own in owned.values():
        if {"item", "starts"} <= own.keys():
            _check_rows(own, codes.size)
    sources = tuple(from_arrays(known[name], own) for name, own in owned.items())
    learned = _owned(f"{prefix}ranker.", arrays)
    counting = _counting(_owned(f"{prefix}counting.", arrays))
    part = KindModel(codes, ids, sources, _ranker(entry.columns, learned, column_names(sources)), counting)
    _try_out(part)
    return part


def _counting(learned: Arrays) -> Counting | None:
    """How much a use counts; None where that was not learned."""
    if not learned:
        return None
    counting = Counting(
        np.asarray(learned["types"], np.int64),
        np.asarray(learned["weight"], np.float32),
        np.asarray(learned["half_life"], np.float32),
    )
    counting.check()
    return counting


def _ranker(trained: tuple[str, ...], learned: Arrays, columns: tuple[str, ...]) -> Ranker:
    """The trained weights in today's columns and rows; what came since counts nothing, so old models answer as ever."""
    gone = sorted(set(trained) - set(columns))
    if gone:
        raise ValueError(f"no source has the column {gone[0]!r}")
    weights = np.asarray(learned["weights"], np.float32)
    rows = weights.shape[0] if weights.ndim == 2 else 0
    if not 1 <= rows <= ROWS or weights.shape[1] != len(trained):
        raise ValueError("the ranker's weights are not one row per situation and one column per name")
    layer, sharpness, growth = _layer(learned, len(trained)), _sharpness(learned), _growth(learned, len(trained))
    reach = _reach(learned, len(trained))
    if trained == columns and rows in (1, ROWS) and (layer is None or layer.bias.shape[0] == ROWS):
        return Ranker(columns, weights, layer, sharpness, growth, reach)
    at = np.array([columns.index(name) for name in trained], np.int64)
    moved = _moved(weights.T, at, len(columns)).T
    if layer is not None:
        bias = _moved(layer.bias, np.arange(layer.bias.shape[0]), ROWS)
        layer = replace(layer, into=_moved(layer.into, at, len(columns)), bias=bias)
    if growth is not None:
        growth = replace(growth, slope=_moved(growth.slope[:, None], at, len(columns))[:, 0])
    if reach is not None:
        reach = 1 + _moved(reach[:, None] - 1, at, len(columns))[:, 0]
    moved = moved if rows == 1 else _moved(moved, np.arange(rows), ROWS)
    return Ranker(columns, moved, layer, sharpness, growth, reach)


def _moved(table: FloatArray, at: IntArray, size: int) -> FloatArray:
    """Shape (size, n): each row where it belongs now, zeros elsewhere."""
    moved = np.zeros((size, table.shape[1]), np.float32)
    moved[at] = table
    return moved


def _sharpness(learned: Arrays) -> FloatArray | None:
    """How sharp the ranker's scores are; None where that was not learned."""
    if "sharpness" not in learned:
        return None
    sharpness = np.asarray(learned["sharpness"], np.float32)
    if sharpness.shape != SURE.shape or not bool(((sharpness > 0) & np.isfinite(sharpness)).all()):
        raise ValueError("the ranker's sharpness is not one positive factor for each probability")
    return sharpness


def _reach(learned: Arrays, columns: int) -> FloatArray | None:
    """How far what is said of late items reaches; None where that was not learned."""
    if "reach" not in learned:
        return None
    reach = np.asarray(learned["reach"], np.float32)
    if reach.shape != (columns,) or not bool(((reach >= 0) & np.isfinite(reach)).all()):
        raise ValueError("the ranker's reach is not one factor of 0 or more for each column")
    return reach


def _parts_of(name: str, part: Layer | Growth | None) -> Arrays:
    return {f"{name}_{f.name}": getattr(part, f.name) for f in fields(part)} if part is not None else {}


def _growth(learned: Arrays, columns: int) -> Growth | None:
    """How the ranker's weights move with the length of the history; None where they do not."""
    if "growth_slope" not in learned:
        return None
    growth = Growth(*(np.asarray(learned[f"growth_{f.name}"], np.float32) for f in fields(Growth)))
    if growth.slope.shape != (columns,) or growth.reach.shape != (2,) or growth.reach[0] > growth.reach[1]:
        raise ValueError("the ranker's growth is not one slope per column, from a least to a greatest length")
    return growth


def _layer(learned: Arrays, columns: int) -> Layer | None:
    """The ranker's hidden layer; None where it has none."""
    if "layer_into" not in learned:
        return None
    layer = Layer(*(np.asarray(learned[f"layer_{f.name}"], np.float32) for f in fields(Layer)))
    tables = (layer.into, layer.bias, layer.item, layer.last)
    fits = layer.out.ndim == 1 and all(table.ndim == 2 and table.shape[1] == layer.out.size for table in tables)
    if (
        not fits
        or layer.into.shape[0] != columns
        or layer.bias.shape[0] > ROWS
        or not len(layer.item) * len(layer.last)
    ):
        raise ValueError("the ranker's layer is not one row per column and per situation, and one column per unit")
    return layer


def _check_rows(table: Arrays, known: int) -> None:
    """A table's rows lie in its columns, and name known items: compiled code follows them without a look."""
    item, starts = table["item"], np.asarray(table["starts"], np.int64)
    rows = table.get("key", np.zeros(known)).size
    if starts.shape != (rows + 1,) or starts[0] != 0 or starts[-1] != item.size or bool((np.diff(starts) < 0).any()):
        raise ValueError("a table's rows do not fit its columns")
    values = [table[name] for name in ("lift", *(("weight",) if "key" not in table else ())) if name in table]
    if any(value.shape != item.shape for value in values):
        raise ValueError("a table's values are not one for each of its items")
    if item.size and not (item.min() >= 0 and item.max() < known):
        raise ValueError("a table names items that are not there")


def _try_out(part: KindModel) -> None:
    """Raise where the parts cannot answer: for nobody, and for one who used the first item and then the last."""
    size, none = part.codes.size, np.zeros(0, np.int64)
    items = Items(part.codes, size, part.ids, np.zeros(size + 1, np.int64), none, counting=part.counting)
    for item in (none, np.array([0, size - 1]) if size else none):
        then = np.zeros_like(item)
        query = Query(items, History(item, then, then, then, none, none), Context(now=0))
        score = part.ranker.blend(query, [source.score([query])[0] for source in part.sources])
        if score.shape != (size,) or not np.isfinite(score).all():
            raise ValueError("it does not score every item")


def _owned(prefix: str, arrays: Mapping[str, Array]) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
