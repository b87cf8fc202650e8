"""Fill the disk under a server: writes must be refused, answers go on, and all be well once there is room again.

    python -m benchmarks.drills.disk_full [--way tmpfs|limit] [--json]

tmpfs: the home lies on a file system of its own that is really full; it needs
the right to mount. limit: the server's files may not grow (RLIMIT_FSIZE), which
anybody may try. By default the first where it can be had.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.drills.service import Client, Service, print_account

MEGABYTES = 24
BALLAST = 6
"""Megabytes that are given back."""
BATCH = 200
MOST_BATCHES = 2_000
PATIENCE = 20.0
PAGE = {"customer": "crm:1", "slots": [{"placement": "home.features"}]}

Turn = Callable[[Service], None]


@contextmanager
def on_tmpfs() -> Iterator[tuple[Path, Turn, Turn]]:
    """A home on a small file system; what fills it: nothing but the events; what makes room."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "murmeli-drill", folder]
        subprocess.run(mount, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
        try:
            ballast = Path(folder) / "ballast"
            ballast.write_bytes(bytes(BALLAST * 2**20))
            home = Path(folder) / "home"
            home.mkdir()
            yield home, lambda _: None, lambda _: ballast.unlink()
        finally:
            subprocess.run(["umount", "-l", folder], check=False)  # noqa: S603, S607 - our own words


@contextmanager
def by_limit() -> Iterator[tuple[Path, Turn, Turn]]:
    """A home anywhere; files of the server may not grow beyond a size, then again beyond any."""

    def limit(service: Service, size: int) -> None:
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder), lambda s: limit(s, BALLAST * 2**20), lambda s: limit(s, resource.RLIM_INFINITY)


WAYS = {"tmpfs": on_tmpfs, "limit": by_limit}


def may_mount() -> bool:
    """Whether this user may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "murmeli-drill", folder]
        if os.geteuid() or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:  # noqa: S603
            return False
        subprocess.run(["umount", folder], check=True)  # noqa: S603, S607 - our own words
        return True


def drill(way: str) -> dict[str, Any]:
    """Fill, look around, make room, look again; the account of it."""
    account: dict[str, Any] = {"way": way, "wrong": []}
    wrong: list[str] = account["wrong"]
    with WAYS[way]() as (home, fill, make_room), Service(home) as service, closing(service.client()) as client:
        fill(service)
        sent, refused = _fill(client)
        account |= {"events_until_full": sent, "refused_with": refused}
        if refused not in (503, 507):
            wrong.append(f"a full disk was answered {refused}")
        _look(client, sent, wrong, "while the disk is full")
        if "store" not in client.ask("GET", "/readyz")["degraded"]:
            wrong.append("nobody was told that it is full")
        make_room(service)
        started = time.monotonic()
        while client.answer("POST", "/v1/events", _batch(sent))[0] != 200 and time.monotonic() - started < PATIENCE:
            time.sleep(0.05)
        account["seconds_to_recover"] = time.monotonic() - started
        _look(client, sent + BATCH, wrong, "after there is room")
        while set(client.ask("GET", "/readyz")["degraded"]) - {"model"} and time.monotonic() - started < PATIENCE:
            time.sleep(0.05)
        wrong += [f"still degraded: {part}" for part in client.ask("GET", "/readyz")["degraded"] if part != "model"]
    return account | {"ok": not wrong}


def _fill(client: Client) -> tuple[int, int]:
    """Send events until they are refused: how many were accepted, and the status of the first refusal."""
    for number in range(MOST_BATCHES):
        status, receipt = client.answer("POST", "/v1/events", _batch(number * BATCH))
        if status != 200:
            return number * BATCH, status
        if receipt["accepted"] != BATCH:
            break
    return 0, 200


def _batch(first: int) -> list[dict[str, str]]:
    return [
        {"event_id": f"e{n}", "customer": "crm:1", "type": "use", "item": f"feature-{n % 50}", "session": "s" * 200}
        for n in range(first, first + BATCH)
    ]


def _look(client: Client, events: int, wrong: list[str], when: str) -> None:
    """Every acknowledged event is known, and a page is full."""
    known = client.ask("GET", "/v1/customers/crm:1")["events"]
    if known != events:
        wrong.append(f"{when}: {events} events were acknowledged, {known} are known")
    status, page = client.answer("POST", "/v1/recommend", PAGE)
    if status != 200 or len(page["slots"][0]["items"]) != 6:
        wrong.append(f"{when}: a page was answered {status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    account = drill(given.way or ("tmpfs" if may_mount() else "limit"))
    print_account(account, given.json)
    sys.exit(not account["ok"])


if __name__ == "__main__":
    main()
