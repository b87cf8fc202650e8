"""Call every route with every role, with own and others' ids: only what is allowed is answered, refusals tell nothing.

python -m benchmarks.drills.roles [--revocations 5] [--json]

Every operation of /openapi.json is called with no key, a wrong one, and one of each role; a front end also with a token
for another customer than the one it asks about. About something that is not there the refusal must be the same.
Then a key is revoked while it is used, over and over.
"""

import argparse
import base64
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.drills.service import Client, Service, print_account
from benchmarks.measure import ROOT
from recommender.settings import FILE
from recommender.stores import open_store
from recommender.types import Role
from serving.roles import OPEN, ROLES

LATEST = 1.0
"""Seconds after which a revoked key must be refused."""
OWN, OTHER = "crm:own", "crm:other"
TABLE = {call.replace(":path", ""): roles for call, roles in ROLES.items()}
"""With the templates as /openapi.json writes them."""


@dataclass
class Report:
    """What the drill found. seconds_to_revoke: the longest that a revoked key was still taken."""

    calls: int = 0
    allowed: int = 0
    refused: int = 0
    seconds_to_revoke: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Everybody could do what they may, and nothing else."""
        return not self.faults

    def check(self, holds: bool, what: str) -> None:
        """Remember what was not so."""
        if not holds:
            self.faults.append(what)


def murmeli(home: Path, *words: str) -> dict[str, Any]:
    """What a command of the command line answers."""
    command = [sys.executable, "-m", "murmeli", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def token(customer: str, secret: str) -> str:
    """A customer token, as a company's back end signs it."""
    claims = {"sub": customer, "exp": int(time.time()) + 600}
    parts = (orjson.dumps({"alg": "HS256", "typ": "JWT"}), orjson.dumps(claims))
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).rstrip(b"=")
    return f"{text.decode()}.{signature.decode()}"


def operations(client: Client) -> list[tuple[str, str]]:
    """Every method and template."""
    paths = client.ask("GET", "/openapi.json")["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def call(method: str, path: str, customer: str, item: str) -> tuple[str, str, object]:
    """The method, the address and the body of a call about a customer and an item."""
    for name, value in {"customer": customer, "item": item, "placement": "home.features"}.items():
        path = path.replace(f"{{{name}:path}}", value).replace(f"{{{name}}}", value)
    path = path.replace("{name}", "main").replace("{version}", "1")
    if method == "GET":
        return method, f"{path}?customer={customer}&item={item}&placement=home.features", None
    bodies: dict[str, object] = {
        "/v1/events": {"event_id": f"e-{customer}", "customer": customer, "type": "use", "item": item},
        "/v1/recommend": {"customer": customer, "slots": [{"placement": "home.features"}]},
        "/v1/rank": {"customer": customer, "candidates": [item]},
        "/v1/items": [{"id": item, "kind": "feature"}],
        "/v1/identities/link": {"a": customer, "b": "web:1"},
        "/v1/identities/unlink": {"identity": "web:1"},
        f"/v1/customers/{customer}/consent": {"personalise": True},
    }
    return method, path, bodies.get(path)


def drill(home: Path, revocations: int) -> Report:
    """All calls, and so many revocations."""
    report = Report()
    (home / FILE).write_text("[serving]\ncustomer_rate = 1000\n", encoding="utf-8")
    made = {role: murmeli(home, "keys", "create", "--role", role.value) for role in Role}
    with Service(home) as service, closing(service.client()) as admin:
        admin.ask("POST", "/v1/events", call("POST", "/v1/events", OWN, "known")[2])
        every = [pair for pair in operations(admin) if pair[1] not in OPEN]
        report.check({" ".join(pair) for pair in every} == TABLE.keys(), "the table and /openapi.json differ")
        strangers = ("", "mk_00000000_0", made[Role.ADMIN]["key"][:-1], made[Role.ADMIN]["prefix"])
        for key in strangers:
            with closing(Client(service.port, key)) as client:
                _refused(report, client, every, 401, "no key")
        for role, one in made.items():
            with closing(Client(service.port, one["key"])) as client:
                _try_role(report, client, role, every, one)
        for _ in range(revocations):
            _revoke(report, home, service)
    return report


def _try_role(report: Report, client: Client, role: Role, every: list[tuple[str, str]], made: dict[str, Any]) -> None:
    may = [pair for pair in every if role is Role.ADMIN or role in TABLE[" ".join(pair)]]
    if role is Role.FRONTEND:
        _refused(report, client, every, 401, "frontend without a token")
        client.add("x-customer-token", token(OWN, made["signing_secret"]))
        about = [pair for pair in may if pair[1] != "/v1/similar"]
        _refused(report, client, about, 403, "frontend about another", OTHER)
        client.add("x-customer-token", token(OWN, made["key"]))
        _refused(report, client, every, 401, "frontend with a forged token")
        client.add("x-customer-token", token(OWN, made["signing_secret"]))
    _refused(report, client, [pair for pair in every if pair not in may], 403, role.value)
    for method, path in may:
        status, _ = client.answer(*call(method, path, OWN, "known"))
        report.calls += 1
        report.allowed += 1
        report.check(status not in (401, 403) and status < 500, f"{role.value}: {method} {path}: {status}")


def _refused(
    report: Report, client: Client, pairs: list[tuple[str, str]], wanted: int, who: str, customer: str = OWN
) -> None:
    for method, path in pairs:
        answers = [client.answer(*call(method, path, customer, item)) for item in ("known", "unknown")]
        answers.append(client.answer(*call(method, path, f"{customer}-unknown", "known")))
        report.calls += len(answers)
        report.refused += len(answers)
        report.check({status for status, _ in answers} == {wanted}, f"{who}: {method} {path}: {answers[0][0]}")
        report.check(all(answer == answers[0] for answer in answers), f"{who}: {method} {path}: refusals differ")


def _revoke(report: Report, home: Path, service: Service) -> None:
    made = murmeli(home, "keys", "create", "--role", "data")
    with closing(Client(service.port, made["key"])) as client:
        while client.answer("GET", "/v1/models")[0] != 200:
            time.sleep(0.01)
        with closing(open_store(home, strong=())) as store:
            store.keys.revoke(made["prefix"], time.time_ns() // 1_000_000)
        revoked = time.monotonic()
        while client.answer("GET", "/v1/models")[0] == 200:
            time.sleep(0.01)
        seconds = time.monotonic() - revoked
    report.seconds_to_revoke = max(report.seconds_to_revoke, seconds)
    report.check(seconds < LATEST, f"a revoked key was taken for {seconds:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--revocations", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = drill(Path(home), given.revocations)
    print_account(vars(report) | {"ok": report.ok}, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
