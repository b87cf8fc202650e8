"""Damage a model on disk in every way we know and make it the champion: it must be refused, and the old one serve on.

    python -m benchmarks.drills.artefacts [--json]

Each damaged version is put in use twice: over HTTP, which must answer 409 with
a reason, and behind the server's back, by writing `aliases.json`, which must
show as `champion` in `degraded` while the old model goes on answering.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import orjson

from benchmarks.drills.fresh import given_home
from benchmarks.drills.service import Client, Service, print_account
from recommender import bundle
from recommender.registry import ALIASES, MAIN, Registry

PATIENCE = 10.0
"""Seconds in which the server must have seen what changed."""
PAGE = {"customer": "crm:nobody", "slots": [{"placement": "home.features"}]}

Damage = Callable[[Path], None]


def _largest(folder: Path) -> Path:
    return max(folder.glob("*.npy"), key=lambda path: path.stat().st_size)


def torn(folder: Path) -> None:
    """Publishing ended before the manifest."""
    (folder / bundle.MANIFEST).unlink()


def torn_manifest(folder: Path) -> None:
    """The manifest ends in the middle."""
    path = folder / bundle.MANIFEST
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated(folder: Path) -> None:
    """The last byte of an array is gone."""
    os.truncate(_largest(folder), _largest(folder).stat().st_size - 1)


def bit_flipped(folder: Path) -> None:
    """One bit of an array is another."""
    data = bytearray(_largest(folder).read_bytes())
    data[-3] ^= 4
    _largest(folder).write_bytes(data)


def missing(folder: Path) -> None:
    """An array is gone."""
    _largest(folder).unlink()


def foreign(folder: Path) -> None:
    """Something lies there that is no part of a model, and would run code if it were unpickled."""
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")


def behind_a_link(folder: Path) -> None:
    """An array is a link to another place."""
    path = _largest(folder)
    path.rename(folder.parent / "elsewhere.npy")
    path.symlink_to(folder.parent / "elsewhere.npy")


def not_a_number(folder: Path) -> None:
    """An array is full of NaN, and its manifest vouches for it."""

    def spoil(_: str, array: bundle.Array) -> bundle.Array:
        return np.full_like(array, np.nan) if array.dtype.kind == "f" and array.size else array

    _published_anew(folder, spoil)


def of_other_shape(folder: Path) -> None:
    """The arrays do not fit together, and their manifest vouches for them."""
    _published_anew(folder, lambda name, array: array[:-1] if name.endswith("items.codes") and array.size else array)


DAMAGE: tuple[Damage, ...] = (
    torn,
    torn_manifest,
    truncated,
    bit_flipped,
    missing,
    foreign,
    behind_a_link,
    not_a_number,
    of_other_shape,
)


def _published_anew(folder: Path, change: Callable[[str, bundle.Array], bundle.Array]) -> None:
    """The same bundle with other arrays and a manifest in order, as a faulty publisher would write it."""
    arrays, manifest = bundle.read_bundle(folder)
    changed = {name: change(name, np.array(array)) for name, array in arrays.items()}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with patch.object(bundle, "_check_values"):
        bundle.write_bundle(folder, changed, manifest)


def drill(home: Path) -> dict[str, Any]:
    """All damages against a server of this home; the account of it."""
    registry, wrong, reasons = Registry(home / "models"), [], {}
    with Service(home) as service, closing(service.client()) as client:
        before = client.ask("GET", "/readyz")["model"]
        for damage in DAMAGE:
            number = registry.publish(MAIN, *registry.load(MAIN, 1))
            damage(home / "models" / MAIN / str(number))
            status, problem = client.answer("POST", f"/v1/models/{MAIN}/{number}/promote", {"force": "a drill"})
            if status != 409 or not problem.get("detail"):
                wrong.append(f"{damage.__name__}: promoting it was answered {status}")
            reasons[damage.__name__] = problem.get("detail")
            wrong += [f"{damage.__name__}: {what}" for what in _behind_its_back(client, home, number, before)]
        if client.ask("GET", "/readyz")["degraded"]:
            wrong.append("degraded at the end")
    return {"damages": len(DAMAGE), "reasons": reasons, "wrong": wrong, "ok": not wrong}


def _behind_its_back(client: Client, home: Path, number: int, before: str) -> list[str]:
    """What is wrong where the alias points at a damaged version; it points at the old one again afterwards."""
    path = home / "models" / MAIN / ALIASES
    aliases = path.read_bytes()
    _replace(path, orjson.dumps(orjson.loads(aliases) | {"champion": number}))
    wrong = [] if _becomes(client, lambda degraded: "champion" in degraded) else ["nobody noticed"]
    page = client.ask("POST", "/v1/recommend", PAGE)
    if page["model"] != before or not page["slots"][0]["items"] or page["degraded"] != ["champion"]:
        wrong.append(f"{page['model']} answered, degraded by {page['degraded']}")
    _replace(path, aliases)
    return wrong if _becomes(client, lambda degraded: not degraded) else [*wrong, "it did not recover"]


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(".new-aliases-drill")
    new.write_bytes(content)
    new.replace(path)


def _becomes(client: Client, wanted: Callable[[list[str]], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if wanted(client.ask("GET", "/readyz")["degraded"]):
            return True
        time.sleep(0.05)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--home", type=Path, help="a home with a model; its models stay in it. Else one that goes away."
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with given_home(given.home) as home:
        account = drill(home)
    print_account(account, given.json)
    sys.exit(not account["ok"])


if __name__ == "__main__":
    main()
