"""Erase people while their events go on coming in and the servers are killed: is anybody served or exported afterwards?

    python -m benchmarks.drills.erasure [--times 20] [--seed 7] [--postgres URL] [--json]

Two servers share a store: SQLite in a home, or PostgreSQL. Several clients make
people of two linked identities, with events, a statement and pages, and erase
them through one server, while others send late events of the same people and
ask for their pages through the other. A timer with a seed kills both (SIGKILL).
After each restart everybody is looked at:

    back     who was acknowledged as erased is exported, remembered, or gets another page than a stranger
    let_in   an event of somebody erased is accepted
    half     whose erasure was not acknowledged has lost a part of what they had and not all of it
    kept     in the end, when all are erased: rows or files that still name one of them

An erasure that was not acknowledged is sent again.
"""

import argparse
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.drills.kill import BROKEN
from benchmarks.drills.postgres import schema
from benchmarks.drills.service import Client, Service, print_account

CLIENTS = 3
LATE = 2
"""Clients that send late events."""
LONGEST = 2.0
"""Seconds after which the servers are killed at the latest, counted from when both were ready."""
EVENTS = 30
ITEMS = 25
LOOKED_AT = 20
"""Of those erased in earlier rounds, how many are looked at again after each restart."""
PLACEMENT = "home.features"
TABLES = {"identities": "name", "answers": "convert_from(body, 'UTF8')", "events": "event_id"}


@dataclass
class Person:
    """Somebody with two identities. had: events acknowledged; erased: whether that was acknowledged."""

    web: str
    crm: str
    had: int = 0
    linked: bool = False
    erased: bool = False


@dataclass
class Drill:
    """One run. wrong: by promise, how often it was broken."""

    run: str
    seed: int
    persons: list[Person] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    checks: int = 0
    late: int = 0
    unseen: int = 0

    def check(self, promise: str, holds: bool, what: str) -> None:
        """Count a check, and remember what was wrong with the first few that fail."""
        self.checks += 1
        if not holds:
            self.wrong[promise] += 1
            if len(self.examples) < 5:
                self.examples.append(f"{promise}: {what}"[:300])

    def erase_until_killed(self, number: int, client: Client) -> None:
        """New people, each erased as soon as there is something to erase."""
        chance = random.Random(f"{self.seed}/{number}/{len(self.persons)}")  # noqa: S311 - a drill, no secret
        try:
            while True:
                name = f"{self.run}-{number}-{secrets.token_hex(4)}"
                person = Person(f"web:{name}", f"crm:{name}")
                self.persons.append(person)
                self._live(person, client, chance)
                self.erase(person, client)
                self.gone(person, client)
        except BROKEN:
            client.close()

    def _live(self, person: Person, client: Client, chance: random.Random) -> None:
        for identity in (person.web, person.crm):
            events = [_event(identity, f"e{n}", chance) for n in range(chance.randint(1, EVENTS))]
            person.had += client.ask("POST", "/v1/events", events)["accepted"]
        client.ask("POST", "/v1/identities/link", {"a": person.web, "b": person.crm})
        person.linked = True
        client.ask("PUT", f"/v1/customers/{person.crm}/consent", {"personalise": True})
        _page(client, person.web)

    def erase(self, person: Person, client: Client) -> None:
        """Ask for it; `erased` says that it was acknowledged."""
        for identity in (person.crm,) if person.linked else (person.crm, person.web):
            client.ask("DELETE", f"/v1/customers/{identity}")
        person.erased = True

    def late_until_killed(self, number: int, client: Client) -> None:
        """Events and pages of people who are being erased, or were."""
        chance = random.Random(f"{self.seed}/late/{number}/{len(self.persons)}")  # noqa: S311 - as above
        try:
            while True:
                for person in self.persons[-CLIENTS:]:
                    erased = person.erased
                    identity = chance.choice((person.web, person.crm))
                    receipt = client.ask("POST", "/v1/events", [_event(identity, secrets.token_hex(6), chance)])
                    self.late += 1
                    self.check("let_in", not (erased and receipt["accepted"]), f"{identity}: a late event")
                    _page(client, identity)
                time.sleep(0.001)
        except BROKEN:
            client.close()

    def gone(self, person: Person, client: Client) -> None:
        """Nothing is left of somebody who was erased, and nothing comes in."""
        stranger = _page(client, "web:stranger")
        for identity in (person.web, person.crm):
            told = exported(client, identity)
            self.check("back", told == [{"record": "end", "records": 0}], f"{identity}: {told[:2]}")
            kept = client.ask("GET", f"/v1/customers/{identity}")
            self.check("back", kept["events"] == 0 and kept["identities"] == [identity], f"{identity}: remembered")
            self.check("back", _page(client, identity) == stranger, f"{identity}: a page of their own")
            receipt = client.ask("POST", "/v1/events", [_event(identity, "e0", random.Random(0))])  # noqa: S311 - as above
            self.check("let_in", receipt["rejected"] and receipt["rejected"][0]["code"] == "erased", identity)

    def look_at_all(self, client: Client, chance: random.Random) -> None:
        """After a restart: those whose erasure was not acknowledged, and some of the others."""
        done = [person for person in self.persons if person.erased]
        for person in done[-CLIENTS:] + chance.sample(done, min(len(done), LOOKED_AT)):
            self.gone(person, client)
        for person in [person for person in self.persons if not person.erased]:
            self.unseen += 1
            left = sum(
                sum(record["record"] == "event" for record in exported(client, identity))
                for identity in ((person.crm,) if person.linked else (person.web, person.crm))
            )
            self.check("half", not left or left >= person.had, f"{person.crm}: {left} of {person.had} events")
            self.erase(person, client)
            self.gone(person, client)


def _event(customer: str, id_: str, chance: random.Random) -> dict[str, Any]:
    return {"event_id": id_, "customer": customer, "type": "use", "item": f"item-{chance.randrange(ITEMS)}"}


def _page(client: Client, customer: str) -> list[str]:
    answer = client.ask("GET", f"/v1/recommend/{PLACEMENT}", query={"customer": customer})
    return [item["item"] for item in answer["slots"][0]["items"]]


def exported(client: Client, identity: str) -> list[dict[str, Any]]:
    """All that the site keeps of somebody."""
    return [orjson.loads(line) for line in client.text(f"/v1/customers/{identity}/export").splitlines()]


@contextmanager
def servers(home: Path, database: str | None) -> Iterator[tuple[Service, Service]]:
    """Two servers of one store."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(Service(home, database)) for _ in range(2))
        yield one, other


def drill(home: Path, times: int, seed: int, database: str | None = None) -> dict[str, Any]:
    """Kill the servers so many times; then erase whoever is left, and look for traces."""
    found = Drill(f"person-{secrets.token_hex(4)}", seed)
    chance = random.Random(seed)  # noqa: S311 - as above
    _catalogue(home, database)
    for _ in range(times):
        with servers(home, database) as (one, other):
            with closing(other.client()) as client:
                found.look_at_all(client, chance)
            _run(found, one, other, chance.uniform(0.05, LONGEST))
    with servers(home, database) as (one, other), closing(one.client()) as client:
        found.look_at_all(client, chance)
        with closing(other.client()) as second:
            exported(second, "crm:nobody")  # its ledger is written now
        traces = _in_database(database, found.run) if database else []
        traces += _in_files(home, found.run)
    found.check("kept", not traces, ", ".join(traces))
    wrong = {promise: found.wrong[promise] for promise in ("back", "let_in", "half", "kept")}
    account = {"kills": times, "people": len(found.persons), "unacknowledged": found.unseen, "late": found.late}
    return {**account, "checks": found.checks, **wrong, "examples": found.examples, "ok": not found.examples}


def _catalogue(home: Path, database: str | None) -> None:
    with Service(home, database) as service, closing(service.client()) as client:
        client.ask("PUT", "/v1/items", [{"id": f"item-{n}", "kind": "feature"} for n in range(ITEMS)])


def _run(found: Drill, one: Service, other: Service, after: float) -> None:
    def kill() -> None:
        one.kill()
        other.kill()

    timer = threading.Timer(after, kill)
    with ThreadPoolExecutor(CLIENTS + LATE) as pool:
        work: list[tuple[Callable[[int, Client], None], Service]] = [(found.erase_until_killed, one)] * CLIENTS
        work += [(found.late_until_killed, other)] * LATE
        running = [pool.submit(does, number, at.client()) for number, (does, at) in enumerate(work)]
        timer.start()
    timer.join()
    for done in running:
        done.result()


def _in_files(home: Path, run: str) -> list[str]:
    return [path.name for path in sorted(home.iterdir()) if path.is_file() and run.encode() in path.read_bytes()]


def _in_database(database: str, run: str) -> list[str]:
    import psycopg

    with psycopg.connect(database) as connection:
        found = {
            table: connection.execute(f"SELECT count(*) FROM {table} WHERE {text} LIKE %s", (f"%{run}%",)).fetchone()  # noqa: S608 - our own words
            for table, text in TABLES.items()
        }
    return [f"{table}: {count[0]} rows" for table, count in found.items() if count and count[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--postgres", metavar="URL", help="keep the store there, in a schema of its own")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as home, schema(given.postgres) if given.postgres else nullcontext() as url:
        account = drill(Path(home), given.times, given.seed, url)
    print_account(account | {"seconds": time.perf_counter() - started}, given.json)
    sys.exit(not account["ok"])


if __name__ == "__main__":
    main()
