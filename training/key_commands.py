"""`murmeli keys ...`: who may call the server."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from recommender.errors import UsageError
from recommender.keys import new_key, signing_secret_of
from recommender.secrets import Secret
from recommender.types import Role
from training.report import table_of
from training.terminal import HERE, Home, Json, opened, show

keys_app = typer.Typer(no_args_is_help=True, help="The API keys: who may call the server, and what each may do.")


@keys_app.command("create")
def create(
    role: Annotated[Role, typer.Option(help="What its holder may do.", show_default=False)],
    name: Annotated[str, typer.Option(help="What it is for; for you alone.")] = "",
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once. With role frontend, also what your back end signs customer tokens with.

    Example: `murmeli keys create --role backend --name shop`
    """
    secret = Secret(home)
    with opened(home) as (_, store):
        key, text = new_key(store.keys, secret, role, name)
    document = {"key": text, "prefix": key.prefix, "role": role.value, "name": name}
    told = [f"A key of role {role.value}, shown this once:\n{text}"]
    if role is Role.FRONTEND:
        document["signing_secret"] = signing_secret_of(key.prefix, secret)
        told.append(f"Sign customer tokens with this, in your back end alone:\n{document['signing_secret']}")
    show(document, as_json, *told)


@keys_app.command("list")
def list_(home: Home = HERE, as_json: Json = False) -> None:
    """The keys there are and were; of each its beginning, never the whole.

    Example: `murmeli keys list`
    """
    with opened(home, reading=True) as (_, store):
        keys = store.keys.all()
    rows = [
        {
            "prefix": key.prefix,
            "role": key.role.value,
            "name": key.name,
            "created": _day(key.created),
            "revoked": None if key.revoked is None else _day(key.revoked),
        }
        for key in keys
    ]
    show({"keys": rows}, as_json, table_of("", rows) if rows else "No keys yet: murmeli keys create --role backend")


@keys_app.command("revoke")
def revoke(
    prefix: Annotated[str, typer.Argument(help="The beginning of the key, as `keys list` shows it.")],
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Make a key invalid: within a second no server takes it any more. It cannot be undone.

    Example: `murmeli keys revoke mk_1f4b9c02d7e3`
    """
    with opened(home) as (_, store):
        done = store.keys.revoke(prefix, time.time_ns() // 1_000_000)
    if not done:
        raise UsageError(f"No valid key begins with {prefix}. `murmeli keys list` shows those there are.")
    show({"revoked": prefix}, as_json, f"{prefix} is revoked.")


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
