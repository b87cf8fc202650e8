"""From the registry to a model that can answer: the champion, or what stands in for it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from recommender import gate, probe
from recommender.errors import ArtefactError, NotFoundError, RefusedError, UsageError
from recommender.model import Model, model_from, untrained
from recommender.registry import MAIN, Forced, Registry
from recommender.stores.base import Store


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


def promote(
    registry: Registry,
    version: int | str,
    name: str = MAIN,
    *,
    store: Store | None = None,
    force: str | None = None,
    who: str = "cli",
) -> int:
    """Make a version the champion once it has shown that it can answer and the gate lets it; returns its number.

    store: what customers did, for a probe of the models; None: the manifests alone are compared.
    force: why it is to be the champion whatever the gate says; recorded with `who`. Raises RefusedError with the
    gate's reasons, UsageError where `force` says nothing, ArtefactError where the model is damaged, forced or not.
    """
    if force is not None and not force.strip():
        raise UsageError("A forced promotion needs a reason in words; it is recorded.")
    number = registry.resolve(name, version)
    model = load_model(registry, number, name)
    against = _objections(registry, model, name, store)
    if against and force is None:
        raise RefusedError(model.label, against)
    forced = None
    if force is not None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        forced = Forced(version=number, at=now, who=who, reason=force.strip(), objections=tuple(against))
    return registry.promote(name, number, forced)


def _objections(registry: Registry, challenger: Model, name: str, store: Store | None) -> list[str]:
    """What speaks against a model; a champion that is damaged or gone is no obstacle."""
    assert challenger.manifest is not None, "it was published"  # noqa: S101 - for the type checker
    number = registry.aliases(name).champion
    if number is not None and challenger.label == f"{name}/{number}":
        return []
    try:
        before = None if number is None else load_model(registry, number, name)
    except (ArtefactError, NotFoundError):
        before = None
    found = gate.objections(challenger.manifest, before.manifest if before else None)
    return found if store is None else found + probe.objections(store, challenger, before)


def rollback(registry: Registry, name: str = MAIN) -> int:
    """Make the champion before this one the champion again; the gate is not asked, for it did answer before.

    UsageError where there is none, ArtefactError where it cannot answer any more.
    """
    for before in registry.aliases(name).history[-1:]:
        load_model(registry, before, name)
    return registry.rollback(name)
