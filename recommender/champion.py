"""From the registry to a model that can answer: the champion, or what stands in for it."""

from dataclasses import dataclass

from recommender.errors import ArtefactError, NotFoundError
from recommender.model import Model, model_from, untrained
from recommender.registry import MAIN, Registry


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The model that answers. refused: why the champion, and others before it, must not; empty where all is well."""

    model: Model
    refused: tuple[str, ...] = ()


def load_model(registry: Registry, version: int | str = "champion", name: str = MAIN) -> Model:
    """A published version, after every check of it. NotFoundError, ArtefactError."""
    number = registry.resolve(name, version)
    arrays, manifest = registry.load(name, number)
    return model_from(arrays, manifest, f"{name}/{number}", registry.sources)


def choose(registry: Registry, name: str = MAIN) -> Chosen:
    """The champion; else the newest earlier one that is whole; else the model that needs no training."""
    try:
        aliases = registry.aliases(name)
    except ArtefactError as error:
        return Chosen(untrained(), (str(error),))
    refused: list[str] = []
    for number in filter(None, (aliases.champion, *reversed(aliases.history))):
        try:
            return Chosen(load_model(registry, number, name), tuple(refused))
        except ArtefactError as error:
            refused.append(str(error))
        except NotFoundError:
            refused.append(f"The model {name}/{number} is gone. Restore its folder, or promote another version.")
    return Chosen(untrained(), tuple(refused))


def promote(registry: Registry, version: int | str, name: str = MAIN) -> int:
    """Make a version the champion once it has shown that it can answer; returns its number."""
    load_model(registry, version, name)
    return registry.promote(name, version)


def rollback(registry: Registry, name: str = MAIN) -> int:
    """Make the champion before this one the champion again, likewise. UsageError where there is none."""
    for before in registry.aliases(name).history[-1:]:
        load_model(registry, before, name)
    return registry.rollback(name)
