"""`murmeli models`: what was trained, what is in use, and what should be."""

from typing import Annotated

import typer

from recommender import champion
from recommender.champion import choose
from recommender.errors import MurmeliError, RefusedError
from recommender.plugins import registry_at
from recommender.registry import MAIN, Aliases, Registry
from recommender.settings import load_settings
from training.report import difference_tables, judgement_tables, manifest_table, version_rows, version_table
from training.terminal import HERE, Home, Json, opened, progress, show

models_app = typer.Typer(no_args_is_help=True, help="List, inspect, promote and roll back trained models.")


@models_app.command("list")
def models_list(home: Home = HERE, as_json: Json = False) -> None:
    """Every version, its state, and what points at it.

    Example: `murmeli models list`
    """
    registry = registry_at(home, load_settings(home))
    try:
        aliases = registry.aliases()
    except MurmeliError:  # one of the problems below
        aliases = Aliases()
    rows, wrong = version_rows(registry.versions(), aliases), problems_of(registry)
    shown = version_table(rows) if rows else "No model yet: `murmeli train` makes one."
    show({"models": rows, "wrong": wrong}, as_json, shown, *wrong)


def problems_of(registry: Registry) -> list[str]:
    """What is wrong with the models folder, in words; the champion is read and checked whole."""
    refused = [version.reason for version in registry.versions() if version.reason]
    strays = [f"models/{stray.path}: {stray.reason}" for stray in registry.foreign()]
    strays += [f"models/{MAIN}/{stray.path}: {stray.reason}" for stray in registry.strays()]
    return list(dict.fromkeys([*refused, *strays, *choose(registry).refused]))


Version = Annotated[str, typer.Argument(help="A number, main/NUMBER, champion or challenger.", show_default=False)]


def number_of(version: str) -> str:
    """What the registry calls a version that a person wrote."""
    return version.removeprefix(f"{MAIN}/")


@models_app.command("show")
def models_show(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """One version's manifest: what it was made of, how good it was, and who forced it upon the gate, if anybody did.

    Example: `murmeli models show champion --json`
    """
    registry = registry_at(home, load_settings(home))
    number = registry.resolve(MAIN, number_of(version))
    manifest = registry.manifest(MAIN, number).model_dump(mode="json")
    forced = [one for one in registry.aliases().forced if one.version == number]
    told = [f"Forced at {one.at} ({one.who}): {one.reason}" for one in forced]
    tables = manifest_table(f"{MAIN}/{number}", manifest), *judgement_tables(manifest["metrics"])
    show(manifest | {"forced": [one.model_dump() for one in forced]}, as_json, *tables, *told)


@models_app.command("promote")
def models_promote(
    version: Version,
    home: Home = HERE,
    force: Annotated[
        str | None, typer.Option("--force", help="Promote it whatever the gate says; why is recorded.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion, if the gate lets it; a running server follows.

    The gate refuses, with exit code 3 and its reasons, a version that is worse than the champion or than a baseline.

    Example: `murmeli models promote 3`
    """
    try:
        with opened(home, reading=True) as (settings, store):
            number = champion.promote(registry_at(home, settings), number_of(version), store=store, force=force)
    except RefusedError as refusal:
        if as_json:
            show({"refused": refusal.reasons}, as_json)
        raise
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion.")


@models_app.command("diff")
def models_diff(
    a: Version,
    b: Version,
    home: Home = HERE,
    customers: Annotated[int, typer.Option(min=1, help="At most so many customers are asked for.")] = 500,
    k: Annotated[int, typer.Option(min=1, max=1000, help="So many first items are compared.")] = 10,
    seed: int = 7,
    as_json: Json = False,
) -> None:
    """What would change for customers if B answered instead of A: whose lists, by how much, and which items move.

    Example: `murmeli models diff champion challenger --k 6`
    """
    from training.difference import difference

    with opened(home, reading=True) as (settings, store), progress(as_json) as report:
        registry = registry_at(home, settings)
        models = [champion.load_model(registry, number_of(version)) for version in (a, b)]
        kinds = difference(store, *models, customers=customers, k=k, seed=seed, progress=report)
    document = {"a": models[0].label, "b": models[1].label, "kinds": kinds}
    nothing = [] if kinds else ["Nobody in the store used anything yet: there is nothing to compare."]
    show(document, as_json, *difference_tables(document), *nothing)


@models_app.command("rollback")
def models_rollback(home: Home = HERE, as_json: Json = False) -> None:
    """Back to the champion before this one.

    Example: `murmeli models rollback`
    """
    number = champion.rollback(registry_at(home, load_settings(home)))
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion again.")
