"""Two replicas on PostgreSQL behind a balancer, one killed and restarted, a promotion, a rollback: does anyone notice?

    python -m benchmarks.drills.replicas --postgres URL [--minutes 5] [--seed 7] [--json]

A small simulated bank is imported and trained in SQLite, then `murmeli move`
takes it to a schema of its own on the server. Clients send events, and right
after each acknowledgement ask, over another connection and so mostly the other
replica, for the customer: the event must be there. They ask for pages
meanwhile. An answer that does not come because its connection was cut while a
replica was killed is asked for again, as a front end would; anything else but
200 has failed. In the end every acknowledged event must be in the database
once, and every answer on the ledger, but those that a killed replica gave in
its last second.
"""

import argparse
import http.client
import math
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.drills.balancer import Balancer
from benchmarks.drills.fresh import trained_home
from benchmarks.drills.kill import rows_of
from benchmarks.drills.postgres import schema
from benchmarks.drills.service import Client, Service, print_account
from benchmarks.measure import ROOT

CLIENTS = 4
REACHES = 3.0
"""Seconds in which a promotion reaches all replicas."""
LEDGER = 1.5
"""Seconds of answers that a killed replica may not have written yet."""
HELD = 0.05
"""Seconds in which answers that were given before a replica was paused have arrived."""
CUT = (OSError, http.client.HTTPException)

Answer = dict[str, Any]


@dataclass
class Account:
    """What the drill found. cut: answers asked for again, for the connection was cut; outside: of these, those cut
    while no replica was being killed. stale: reads that did not know an acknowledged event, or the model in use.
    """

    requests: int = 0
    failed: int = 0
    cut: int = 0
    outside: int = 0
    stale: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    answers: int = 0
    off_the_ledger: int = 0
    degraded: int = 0
    promoted_within: float = 0.0
    rolled_back_within: float = 0.0
    ready_again: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing failed, lost, doubled or stale."""
        wrong = (self.failed, self.outside, self.stale, self.lost, self.doubled, self.off_the_ledger, self.degraded)
        return not any(wrong) and max(self.promoted_within, self.rolled_back_within) < REACHES


@dataclass
class Load:
    """What all clients share."""

    port: int
    key: str
    account: Account
    until: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    killed: list[float] = field(default_factory=list)
    labels: list[tuple[float, str]] = field(default_factory=list)
    given: list[tuple[float, str]] = field(default_factory=list)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, over a connection of its own; asked for again where that was cut."""
        while True:
            with self.lock:
                self.account.requests += 1
            try:
                with closing(Client(self.port, self.key)) as client:
                    answer: Answer = client.ask(method, path, body)
                    return answer
            except CUT as error:
                self._note_cut(error)
            except RuntimeError as error:
                self.wrong("failed", str(error))
                return {}

    def _note_cut(self, error: Exception) -> None:
        near = any(-0.1 < time.monotonic() - at < 2 for at in self.killed)
        with self.lock:
            self.account.cut += 1
        if not near:
            since = time.monotonic() - self.killed[0] if self.killed else -1
            self.wrong("outside", f"{error!r}, {since:.2f} s after the kill")
        time.sleep(0.05)  # as a front end would, before it asks again

    def wrong(self, what: str, why: str) -> None:
        """Count what must not be."""
        with self.lock:
            setattr(self.account, what, getattr(self.account, what) + 1)
            if sum(example.startswith(what) for example in self.account.examples) < 3:
                self.account.examples.append(f"{what}: {why}")


def client(load: Load, number: int, run: str) -> None:
    """One customer's front end: an event, at once what is known of the customer, a page."""
    draw = random.Random(f"{run}/{number}")  # noqa: S311 - a drill, no secret
    customer, sent = f"crm:{run}-{number}", 0
    while time.monotonic() < load.until:
        events = [_event(f"{number}-{sent + n}", customer, draw) for n in range(draw.randint(1, 5))]
        receipt = load.ask("POST", "/v1/events", events)
        if not receipt:
            continue
        sent += len(events)
        with load.lock:
            load.sent.update((customer, event["event_id"]) for event in events)
        kept = load.ask("GET", f"/v1/customers/{customer}")
        known = {event["event_id"] for event in kept["recent"]} if kept else set()
        if kept and (kept["events"] != sent or not known >= {event["event_id"] for event in events}):
            load.wrong("stale", f"{sent} events sent, {kept['events']} known")
        for placement in ("home.features", "home.content"):
            asked = time.monotonic()
            slots = [{"placement": placement}]
            page = load.ask("POST", "/v1/recommend", {"customer": customer, "slots": slots})
            if page:
                _check_page(load, page, asked)


def _event(id_: str, customer: str, draw: random.Random) -> Answer:
    return {"event_id": id_, "customer": customer, "type": "use", "item": f"feature-{draw.randrange(20)}"}


def _check_page(load: Load, page: Answer, asked: float) -> None:
    with load.lock:
        load.given.append((time.monotonic(), page["recommendation_id"]))
        wanted = [label for at, label in load.labels if at + REACHES < asked][-1:]
        ambiguous = any(asked - REACHES <= at for at, _ in load.labels)
        load.account.degraded += bool(page["degraded"])
    if wanted and not ambiguous and page["model"] != wanted[0]:
        load.wrong("stale", f"{page['model']} answers, {wanted[0]} was put in use")


def drill(server: str, minutes: float, seed: int, customers: int = 60) -> Account:
    """All of it; server: postgresql://..."""
    account = Account()
    with ExitStack() as stack:
        home = stack.enter_context(trained_home(customers))
        url = stack.enter_context(schema(server))
        _murmeli("move", url, "--home", str(home))
        _publish_again(home)
        services = [stack.enter_context(Service(home, url)) for _ in range(2)]
        balancer = stack.enter_context(Balancer([service.port for service in services]))
        load = Load(balancer.port, services[0].key, account, time.monotonic() + 60 * minutes)
        load.labels.append((time.monotonic() - REACHES - 1, "main/1"))
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(client, load, number, str(seed)) for number in range(CLIENTS)]
            _happen(load, services, balancer, minutes * 60, account)
            for one in running:
                one.result()
        time.sleep(LEDGER)  # until the last answers must be there
        _count(home, url, load)
    return account


def _happen(load: Load, services: list[Service], balancer: Balancer, seconds: float, account: Account) -> None:
    """A replica is killed after a quarter and starts again; then a promotion, and later a rollback."""
    time.sleep(seconds / 4)  # what happens is spread over the load
    services[0].pause()  # what it has begun, and what comes to it now, is cut
    time.sleep(HELD)  # so that what is open then is not just being answered
    until = time.monotonic() + 5
    while not balancer.open[services[0].port] and time.monotonic() < until:
        time.sleep(0.001)  # a client comes, it is not waited for long
    load.killed.append(time.monotonic())
    services[0].kill()
    time.sleep(min(2.0, seconds / 20))  # one replica answers alone
    services[0].__enter__()
    balancer.replicas[0] = services[0].port
    account.ready_again = services[0].ready
    time.sleep(seconds / 8)  # both answer again
    account.promoted_within = _change(load, services, "main/2", "/v1/models/main/2/promote", {"force": "a drill"})
    time.sleep(seconds / 8)  # the other model answers
    account.rolled_back_within = _change(load, services, "main/1", "/v1/models/main/rollback", None)


def _change(load: Load, services: list[Service], label: str, path: str, body: object) -> float:
    """Put a model in use; the seconds until every replica answers with it."""
    load.labels.append((math.inf, label))  # either may answer until it is done
    load.ask("POST", path, body)
    told = time.monotonic()
    load.labels[-1] = (told, label)
    for service in services:
        with closing(service.client()) as direct:
            while direct.ask("GET", "/readyz")["model"] != label and time.monotonic() < told + 10:
                time.sleep(0.02)  # it is looked for, not waited for
    return time.monotonic() - told


def _publish_again(home: Path) -> None:
    """The same model as version 2."""
    from recommender.registry import MAIN, Registry

    registry = Registry(home / "models")
    registry.publish(MAIN, *registry.load(MAIN, 1))


def _count(home: Path, url: str, load: Load) -> None:
    """Every acknowledged event once, every answer on the ledger."""
    account, ours = load.account, {customer for customer, _ in load.sent}
    kept = Counter(row for row in rows_of(home, url) if row[0] in ours)
    account.acknowledged, account.answers = load.sent.total(), len(load.given)
    account.lost, account.doubled = (load.sent - kept).total(), (kept - load.sent).total()
    with psycopg.connect(url) as connection:
        written = {id_ for (id_,) in connection.execute("SELECT recommendation_id FROM answers")}
    for at, id_ in load.given:
        excused = any(killed - LEDGER < at < killed + 0.1 for killed in load.killed)
        if id_ not in written and not excused:
            load.wrong("off_the_ledger", f"an answer given {at - load.killed[0]:.2f} s after the kill")


def _murmeli(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "murmeli", *words, "--json"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--postgres", metavar="URL", required=True, help="a server where a schema may be made")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    account = drill(given.postgres, given.minutes, given.seed)
    print_account(asdict(account) | {"ok": account.ok}, given.json)
    sys.exit(not account.ok)


if __name__ == "__main__":
    main()
