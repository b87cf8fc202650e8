"""Tiny models: some that only say which they are, and one that answers."""

import numpy as np
from pydantic import JsonValue

from recommender.bundle import LogRange, Manifest
from recommender.gate import BASELINES
from recommender.model import KindModel, Model, column_names, model_kinds, untrained
from recommender.ranker import ROWS, Ranker
from recommender.registry import Registry
from recommender.sources.attributes import Attributes
from recommender.sources.factors import Factors
from recommender.sources.habit import Habit
from recommender.sources.neighbours import Neighbours
from recommender.sources.popularity import Popularity
from recommender.sources.transitions import Transitions
from recommender.types import Kind, codes64

MANIFEST = Manifest(code_version="0.1.0", seed=7, configuration={}, log=LogRange(), kinds={})


def publish(registry: Registry, value: int, name: str = "main") -> int:
    """A model that says who it is, in two arrays that must never come from two versions."""
    return registry.publish(name, {"who": np.array([value]), "again": np.full(50, value)}, MANIFEST)


def who(registry: Registry, version: int | str = "champion") -> int:
    """What the model of a version says it is."""
    arrays, _ = registry.load("main", version)
    assert set(arrays["again"].tolist()) == set(arrays["who"].tolist())
    return int(arrays["who"][0])


def three(registry: Registry) -> Registry:
    """Three versions, said to be 10, 20 and 30; 2 is the champion after 1, 3 the challenger."""
    for value in (10, 20, 30):
        publish(registry, value)
    registry.promote("main", 1)
    registry.promote("main", 2)
    return registry


BANK = ("maksa", "saldo", "kortit", "käyttövara", "lainat")


def bank() -> Model:
    """Five features of a bank and every source. Whoever used one is shown the next in order of code, also by others."""
    ids = sorted(BANK, key=lambda id_: int(codes64([id_])[0]))
    step = np.arange(5)
    sources = (
        Habit(),
        Transitions(key=step, starts=np.arange(6), item=(step + 1) % 5, lift=np.ones(5, np.float32)),
        Popularity(np.log(np.array([1, 2, 3, 4, 5], np.float32) / 15), np.array(-5, np.float32)),
        Neighbours(starts=np.arange(6), item=(step + 1) % 5, weight=np.ones(5, np.float32)),
        Factors(np.eye(5, 2, dtype=np.float32), 2 * np.eye(2, dtype=np.float32), np.array(10, np.float32)),
        Attributes(np.zeros(0, np.int64), np.zeros(0, np.float32), np.array(1, np.float32)),
    )
    columns = column_names(sources)
    weights = np.zeros((ROWS, len(columns)), np.float32)
    weights[0] = 1
    features = KindModel(codes64(ids), ids, sources, Ranker(columns, weights))
    return Model({**untrained().kinds, Kind.FEATURE: features})


def manifest_of(model: Model, behind: float = 0.1) -> Manifest:
    """A manifest as training would write it. behind: by how much each baseline is behind the model."""
    log = LogRange(first=1, last=2, events=3, customers=4)
    return Manifest(
        code_version="0.1.0",
        seed=7,
        configuration={},
        log=log,
        kinds=model_kinds(model),
        metrics={kind.value: figures(behind) for kind in model.kinds},
    )


def figures(behind: float) -> list[JsonValue]:
    """A backtest of 100 uses in which each baseline is so far behind."""
    difference = {"behind": behind, "behind_low": behind - 0.01, "behind_high": behind + 0.01, "behind_se": 0.005}
    baselines: list[JsonValue] = [{"name": name, "n": 100, "mrr": 0.5 - behind, **difference} for name in BASELINES]
    return [{"name": "murmeli", "n": 100, "mrr": 0.5}, *baselines]
