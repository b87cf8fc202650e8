"""Ask right after each event: does the very next answer know of it? Counts the answers that do not.

    python -m benchmarks.drills.fresh [--times 1000] [--home FOLDER] [--json]

Without --home a small simulated bank is imported and trained on first. Each
round takes an item that nobody ever heard of, by turns a feature and content,
from the catalogue (PUT /v1/items) or by its first event, and one of the bank's
customers; every fifth round also compares pairs of new customers. It checks:

    next     an accepted event is the newest in the profile, and its item's score has risen in the next answer
    again    the same event is a duplicate and changes nothing
    late     events that come out of order give the profile and the page that they give in order
    link     two linked identities have one profile and one page at the next request
    unlink   each has its own back
    gone     an item that is deleted is in no answer
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.drills.service import Client, Service, print_account

CUSTOMERS = 100
"""Of the simulated bank: the model is trained for real, in a few seconds."""
ALL = 1000
PLACEMENTS = {"feature": "home.features", "content": "home.content"}
BACK = timedelta(days=21)
"""How long ago pages that are compared are asked for: at one time, so that they differ only by what is known."""
EVERY = 5
"""Rounds from one comparison of two customers to the next."""
ENOUGH = 20
"""Items to choose from, also where the home has fewer."""

Answer = dict[str, Any]


@dataclass
class Drill:
    """One run against one server. stale: by check, how many answers were not what the events before them say."""

    client: Client
    regulars: list[str]
    run: str
    moment: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - BACK)
    checks: int = 0
    stale: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def check(self, name: str, holds: bool, what: str) -> None:
        """Count a check, and remember what was wrong with the first few that fail."""
        self.checks += 1
        if not holds:
            self.stale[name] += 1
            if len(self.examples) < 5:
                self.examples.append(f"{name}: {what}")

    def round(self, number: int) -> None:
        """All checks, once."""
        kind = ("feature", "content")[number % 2]
        item = f"{self.run}-{number}"
        if number % 4 < 2:
            self.client.ask("PUT", "/v1/items", [{"id": item, "kind": kind, "title": f"Fresh {number}"}])
        self._next_answer(number, item, kind)
        if number % EVERY == 0:
            self._late(number, kind)
            self._linked(number)
        self.client.ask("DELETE", f"/v1/items/{item}")
        self.check("gone", item not in self._page(self._regular(number), kind), f"{item} is still shown")

    def _regular(self, number: int) -> str:
        return self.regulars[number % len(self.regulars)]

    def _event(self, customer: str, id_: str, item: str, kind: str, at: str | None = None) -> Answer:
        event = {"event_id": f"{self.run}-{id_}", "customer": customer, "type": "use", "item": item, "kind": kind}
        return event | ({"at": at} if at else {})

    def _send(self, *events: Answer) -> tuple[int, int]:
        receipt = self.client.ask("POST", "/v1/events", list(events))
        return receipt["accepted"], receipt["duplicate"]

    def _page(self, customer: str, kind: str, at: str | None = None) -> dict[str, float]:
        """Every item that can be shown, best first, with its score."""
        slots = [{"placement": PLACEMENTS[kind], "k": ALL}]
        context = {"at": at} if at else {}
        answer = self.client.ask("POST", "/v1/recommend", {"customer": customer, "slots": slots, "context": context})
        return {item["item"]: item["score"] for item in answer["slots"][0]["items"]}

    def _at(self, days: int = 0) -> str:
        """So many days before the moment at which pages are compared."""
        return (self.moment - timedelta(days=days)).isoformat()

    def _choice(self, kind: str) -> list[str]:
        """Items for events: the ones that a stranger would see, and names of our own where those are few."""
        own = [f"{self.run}-{kind}-{number}" for number in range(ENOUGH)]
        return [*self._page("web:nobody", kind, self._at()), *own][:ENOUGH]

    def _profile(self, customer: str) -> Answer:
        kept: Answer = self.client.ask("GET", f"/v1/customers/{customer}", query={"limit": ALL})
        return kept

    def _view(self, customer: str) -> Answer:
        """What can be seen of a customer, names of identities and events aside, and the order of pages:

        that also goes by what was shown before, which two customers who are compared have not in common.
        """
        kept = self._profile(customer)
        recent = [{k: v for k, v in e.items() if k not in ("customer", "event_id")} for e in kept["recent"]]
        pages = {kind: self._page(customer, kind, self._at()) for kind in PLACEMENTS}
        return {"events": kept["events"], "habits": kept["habits"], "recent": recent, "pages": pages}

    def _next_answer(self, number: int, item: str, kind: str) -> None:
        customer = self._regular(number)
        event = self._event(customer, f"next-{number}", item, kind)
        known = self._profile(customer)["events"]
        before = self._page(customer, kind).get(item, 0.0)
        accepted = self._send(event)
        after = self._page(customer, kind).get(item, 0.0)
        kept = self._profile(customer)
        self.check("next", accepted == (1, 0), f"round {number}: {accepted} accepted, duplicate")
        self.check("next", after > before, f"round {number}: score {before} before, {after} after")
        self.check("next", kept["recent"][0]["event_id"] == event["event_id"], f"round {number}: not newest")
        again = self._send(event)
        self.check("again", again == (0, 1), f"round {number}: {again} accepted, duplicate")
        self.check("again", self._profile(customer)["events"] == known + 1, f"round {number}: counted twice")

    def _late(self, number: int, kind: str) -> None:
        ordered, late = f"web:{self.run}-ordered-{number}", f"web:{self.run}-late-{number}"
        items = self._choice(kind)
        for customer, order in ((ordered, (0, 1, 2)), (late, (2, 0, 1))):
            for at in order:
                item, moment = items[(number + at) % ENOUGH], self._at(days=9 - 3 * at)
                self._send(self._event(customer, f"late-{number}-{at}", item, kind, moment))
        one, other = self._view(ordered), self._view(late)
        self.check("late", one == other, f"round {number}: {_difference(one, other)}")

    def _linked(self, number: int) -> None:
        web, crm = f"web:{self.run}-link-{number}", f"crm:{self.run}-link-{number}"
        items = self._choice("feature")
        for customer, place in ((web, number), (crm, number + 7)):
            event = self._event(customer, f"link-{number}", items[place % ENOUGH], "feature", self._at(days=5))
            self._send(event)
        own = {customer: self._view(customer) for customer in (web, crm)}
        self.client.ask("POST", "/v1/identities/link", {"a": web, "b": crm})
        one, other = self._view(web), self._view(crm)
        self.check("link", one == other, f"round {number}: {_difference(one, other)}")
        self.check("link", one["events"] == 2, f"round {number}: {one['events']} events of two identities")
        self.check("link", one["pages"] not in [view["pages"] for view in own.values()], f"round {number}: old")
        self.client.ask("POST", "/v1/identities/unlink", {"identity": web})
        for customer, view in own.items():
            now = self._view(customer)
            self.check("unlink", now == view, f"round {number}: {_difference(view, now)}")


def _difference(one: Answer, other: Answer) -> str:
    return ", ".join(f"{name}: {one[name]} and {other[name]}" for name in one if one[name] != other[name])[:300]


@contextmanager
def trained_home(customers: int = CUSTOMERS) -> Iterator[Path]:
    """A home with a small simulated bank and a model of it, for as long as the block runs."""
    from recommender.settings import Settings
    from recommender.stores import store_of
    from training.demo import prepare

    with tempfile.TemporaryDirectory() as home:
        settings = Settings()
        with closing(store_of(Path(home), settings)) as store:
            prepare(store, Path(home), settings, seed=7, customers=customers, progress=lambda *_: None)
        yield Path(home)


@contextmanager
def given_home(home: Path | None) -> Iterator[Path]:
    """The home that is given, or else one made for the drill."""
    if home is not None:
        yield home
    else:
        with trained_home() as made:
            yield made


def drill(home: Path, times: int) -> Answer:
    """So many rounds against a server of this home; the account of it."""
    with Service(home) as service, closing(service.client()) as client:
        found = Drill(client, _regulars(home), f"fresh-{time.time_ns() // 1_000_000}")
        model = client.ask("GET", "/readyz")["model"]
        for number in range(times):
            found.round(number)
    stale = {name: found.stale[name] for name in ("next", "again", "late", "link", "unlink", "gone")}
    account: Answer = {"model": model, "times": times, "checks": found.checks, "ready": service.ready}
    return account | {f"stale_{name}": count for name, count in stale.items()} | {"examples": found.examples}


def _regulars(home: Path) -> list[str]:
    """Some identities that the store knows already."""
    import sqlite3

    with closing(sqlite3.connect(f"file:{home / 'murmeli.db'}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM identities ORDER BY id LIMIT 200")]
    return names or ["crm:nobody"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--home", type=Path, help="a home with a model; the drill's events stay in it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()
    with given_home(given.home) as home:
        account = drill(home, given.times)
    ok = not account["examples"]
    print_account(account | {"ok": ok, "seconds": time.perf_counter() - started}, given.json)
    sys.exit(not ok)


if __name__ == "__main__":
    main()
