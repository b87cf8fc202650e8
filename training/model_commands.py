"""`murmeli models`: what was trained, what is in use, and what should be."""

from typing import Annotated

import typer

from recommender import champion
from recommender.champion import choose
from recommender.errors import MurmeliError
from recommender.plugins import registry_at
from recommender.registry import MAIN, Aliases, Registry
from recommender.settings import load_settings
from training.report import judgement_tables, manifest_table, version_rows, version_table
from training.terminal import HERE, Home, Json, show

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
    """One version's manifest: what it was made of, and how good it was.

    Example: `murmeli models show champion --json`
    """
    manifest = registry_at(home, load_settings(home)).manifest(MAIN, number_of(version)).model_dump(mode="json")
    tables = manifest_table(f"{MAIN}/{number_of(version)}", manifest), *judgement_tables(manifest["metrics"])
    show(manifest, as_json, *tables)


@models_app.command("promote")
def models_promote(version: Version, home: Home = HERE, as_json: Json = False) -> None:
    """Make a version the champion, after checking every byte of it; a running server follows.

    Example: `murmeli models promote 3`
    """
    number = champion.promote(registry_at(home, load_settings(home)), number_of(version))
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion.")


@models_app.command("rollback")
def models_rollback(home: Home = HERE, as_json: Json = False) -> None:
    """Back to the champion before this one.

    Example: `murmeli models rollback`
    """
    number = champion.rollback(registry_at(home, load_settings(home)))
    show({"champion": number}, as_json, f"{MAIN}/{number} is the champion again.")
