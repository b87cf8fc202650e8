"""A site's own models: classes that `murmeli.toml` names as `module:Class`, found beside it or among what is installed.

Only what the site's own settings name is ever imported; a model artefact cannot name code. What an estimator
returned as vectors or as a matrix is served by Murmeli's own source of that form, so that serving imports nothing of
the site's; a class that scores items itself is imported by training and serving alike.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from recommender.errors import UsageError
from recommender.registry import MODELS, Registry
from recommender.settings import Settings
from recommender.sources import SOURCES
from recommender.sources.base import Source
from recommender.sources.neighbours import Neighbours
from recommender.sources.vectors import Vectors

Sources = Mapping[str, type[Source]]

COPIES = "models-copies"
"""The folder in a home for copies of models that lie elsewhere."""

FORMS: tuple[type[Source], ...] = (Vectors, Neighbours)
"""What serves arrays that an estimator returned: `vectors-<name>` and `neighbours-<name>`."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def registry_at(home: Path, settings: Settings) -> Registry:
    """The models of a home, with the sources that they may be made of."""
    reach(home)
    sources = known_sources(settings.training.sources)
    if "://" not in settings.models:
        return Registry(home / (settings.models or MODELS), sources)
    from recommender.remote_registry import RemoteRegistry

    return RemoteRegistry(settings.models, home / COPIES, sources)


def reach(home: Path) -> None:
    """Let modules that lie beside `murmeli.toml` be imported; what is installed comes first."""
    folder = str(home.resolve())
    if folder not in sys.path:
        sys.path.append(folder)


def known_sources(specs: Sequence[str]) -> dict[str, type[Source]]:
    """Every source by the name that a manifest has for it: Murmeli's, and those that these classes are or make."""
    known = dict(SOURCES)
    for spec in specs:
        made = load_class(spec)
        name = name_of(made)
        if name in SOURCES:
            raise UsageError(f"{spec}: a source of Murmeli's own is called {name!r} already. Name it otherwise.")
        own = {name: made} if scores(made) else {f"{form.name}-{name}": _named(form, name) for form in FORMS}
        if own.keys() & known.keys():
            raise UsageError(f"training.sources names two classes {name!r}. Give one of them another `name`.")
        known |= own
    return known


def load_class(spec: str) -> type:
    """The class that a `module:Class` names. UsageError where there is none, or it has no `fit`."""
    module, _, name = spec.partition(":")
    try:
        found = getattr(import_module(module), name)
    except ImportError as error:
        raise UsageError(
            f"training.sources: {spec!r} cannot be imported ({error}). "
            f"Put {module}.py beside murmeli.toml, or install it."
        ) from error
    except AttributeError as error:
        raise UsageError(f"training.sources: the module {module} has no class {name}.") from error
    if not isinstance(found, type) or not callable(getattr(found, "fit", None)):
        raise UsageError(f"training.sources: {spec} must be a class with `fit`; docs/data-science.md shows one.")
    return found


def name_of(made: type) -> str:
    """What a class is called in tables and manifests: its `name`, else the class's own in small letters."""
    name = str(getattr(made, "name", made.__name__.lower()))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{made.__name__}: a source's name is a letter, then at most 39 of a-z, 0-9, '-' and '_'.")
    return name


def scores(made: type) -> bool:
    """Whether a class is a source itself, with arrays of its own, instead of one that makes arrays."""
    return hasattr(made, "score")


def _named(form: type[Source], name: str) -> type[Source]:
    return type(form.__name__, (form,), {"name": f"{form.name}-{name}", "__slots__": ()})
