"""From the registry to a model that can answer."""

from recommender.errors import NotFoundError
from recommender.model import Model, model_from, untrained
from recommender.registry import MAIN, Registry


def load_model(registry: Registry, version: int | str = "champion", name: str = MAIN) -> Model:
    """A published version, after every check of it. NotFoundError, ArtefactError."""
    number = registry.resolve(name, version)
    arrays, manifest = registry.load(name, number)
    return model_from(arrays, manifest, f"{name}/{number}")


def champion(registry: Registry, name: str = MAIN) -> Model:
    """The champion; where nothing was ever promoted, the model that needs no training."""
    if registry.aliases(name).champion is None:
        return untrained()
    return load_model(registry, "champion", name)
