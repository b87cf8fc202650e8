"""Tiny models that say which they are, for tests of the registry."""

from pathlib import Path

import numpy as np

from recommender.bundle import LogRange, Manifest
from recommender.registry import Registry

MANIFEST = Manifest(code_version="0.1.0", seed=7, configuration={}, log=LogRange(), kinds={})


def publish(registry: Registry, value: int, name: str = "main") -> int:
    """A model that says who it is, in two arrays that must never come from two versions."""
    return registry.publish(name, {"who": np.array([value]), "again": np.full(50, value)}, MANIFEST)


def who(registry: Registry, version: int | str = "champion") -> int:
    """What the model of a version says it is."""
    arrays, _ = registry.load("main", version)
    assert set(arrays["again"].tolist()) == set(arrays["who"].tolist())
    return int(arrays["who"][0])


def three(folder: Path) -> Registry:
    """Three versions, said to be 10, 20 and 30; 2 is the champion after 1, 3 the challenger."""
    registry = Registry(folder)
    for value in (10, 20, 30):
        publish(registry, value)
    registry.promote("main", 1)
    registry.promote("main", 2)
    return registry
