"""Turns the visits of a simulated person into events, under the names by which each channel knows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from training.bank_content import Library
from training.bank_people import CALL, INDEX, WEB, draw_person
from training.bank_visits import Step, Visit, visits
from training.bank_world import CHANNELS, FEATURES

ZONE = ZoneInfo("Europe/Helsinki")

SHARED = 0.06
"""How many people come with a device that is somebody else's too."""
COOKIE_DAYS = 45
"""How long a browser keeps its cookie, on average."""
LATE_LOGIN = 0.6
"""How often public features and content are used before the login, or without any."""
_EUROS = {INDEX["pay-bill"]: 4.2, INDEX["transfer"]: 5.0, INDEX["pay-friend"]: 3.0, INDEX["scan-invoice"]: 4.0}
"""Features that move money, with the mean of the logarithm of the amount."""

Line = tuple[int, bytes]
"""An event's second, UTC, and its line of JSON."""


@dataclass(slots=True)
class _Session:
    """How far one visit has come. known: they have logged in, or said who they are to the call centre."""

    id: str
    channel: int
    at: int
    weak: str | None
    known: bool
    events: int = 0


class Storyteller:
    """One customer: `lines` tells all that they did.

    links: filled on the way, the second at which each (strong, weak) pair of their names was first tied together.
    """

    def __init__(self, seed: int, number: int, dates: Sequence[date], library: Library) -> None:
        self._rng = np.random.default_rng([seed, number])
        self._dates = dates
        self._library = library
        self._person = draw_person(self._rng, number, len(dates))
        self._crm = f"crm:{100_000 + number}"
        shared = number > 1 and self._rng.random() < SHARED
        self._device = _device(seed, number - 1 if shared else number)
        self._cookies = _cookies(self._rng, len(dates))
        self._seen: set[int] = set()
        self.links: dict[tuple[str, str], int] = {}

    def lines(self) -> Iterator[Line]:
        for n, visit in enumerate(visits(self._rng, self._person, self._dates), 1):
            yield from self._visit(n, visit)

    def _visit(self, n: int, visit: Visit) -> Iterator[Line]:
        day = self._dates[visit.day]
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()
        session = _Session(
            id=f"s{self._person.number}-{n}",
            channel=visit.channel,
            at=int(midnight + visit.hour * 3600),
            weak=self._weak(visit),
            known=visit.channel == CALL,
        )
        first = not visit.steps or self._rng.random() < 0.4
        if first:
            yield from self._read(session, visit, None)
        for step in visit.steps:
            yield self._use(session, step)
        if not first:
            yield from self._read(session, visit, FEATURES[visit.steps[-1].feature].product)

    def _weak(self, visit: Visit) -> str | None:
        """The name under which the channel knows a person who has not logged in."""
        if visit.channel == CALL:
            return None
        if visit.channel == WEB:
            return next(name for until, name in self._cookies if visit.day < until)
        return self._device

    def _use(self, session: _Session, step: Step) -> Line:
        feature = FEATURES[step.feature]
        properties: dict[str, str | int] | None = {"errand": step.errand, "step": step.number} if step.errand else None
        mean = _EUROS.get(step.feature)
        value = None if mean is None else round(float(np.exp(self._rng.normal(mean, 1.0))), 2)
        if not feature.public or self._rng.random() > LATE_LOGIN:
            self._login(session)
        return self._event(session, "use", feature.id, "feature", value, properties)

    def _read(self, session: _Session, visit: Visit, product: str | None) -> Iterator[Line]:
        person, library = self._person, self._library
        interest = library.interest(person, visit.day)
        for _ in range(visit.reads):
            if self._rng.random() > LATE_LOGIN:
                self._login(session)
            at = library.choose(self._rng, interest, person.stage(visit.day), visit.day, product, self._seen)
            self._seen.add(at)
            yield self._event(session, "view", library.pieces[at].id, "content", None, None)
            chance = self._rng.random()
            if chance < 0.08 + 0.6 * interest[at]:
                yield self._event(session, "click", library.pieces[at].id, "content", None, None)
            elif chance > 0.98:
                yield self._event(session, "dismiss", library.pieces[at].id, "content", None, None)

    def _login(self, session: _Session) -> None:
        session.known = True
        if session.weak is not None:
            self.links.setdefault((self._crm, session.weak), session.at)

    def _event(
        self,
        session: _Session,
        type_: str,
        item: str,
        kind: str,
        value: float | None,
        properties: dict[str, str | int] | None,
    ) -> Line:
        session.events += 1
        session.at += 1 + int(np.exp(self._rng.normal(3.4, 0.8)))
        event: dict[str, object] = {
            "event_id": f"{session.id}-{session.events}",
            "customer": self._crm if session.known or session.weak is None else session.weak,
            "type": type_,
            "item": item,
            "kind": kind,
            "at": datetime.fromtimestamp(session.at, ZONE).isoformat(),
            "channel": CHANNELS[session.channel],
            "session": session.id,
        }
        if value is not None:
            event["value"] = value
        if properties is not None:
            event["properties"] = properties
        return session.at, orjson.dumps(event) + b"\n"


def _device(seed: int, number: int) -> str:
    return "device:" + np.random.default_rng([seed, number, 1]).bytes(6).hex()


def _cookies(rng: np.random.Generator, days: int) -> tuple[tuple[float, str], ...]:
    """The cookies of one browser: each with the day until which it is kept."""
    cookies: list[tuple[float, str]] = []
    until = 0.0
    while until <= days:
        until += 1 + float(rng.exponential(COOKIE_DAYS))
        cookies.append((until, "web:" + rng.bytes(6).hex()))
    return tuple(cookies)
