"""When and what for a simulated person comes to the bank: habit, bills and errands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from training.bank_people import CALL, INDEX, MOBILE, OFFERED, PEAKS, Person, Routine, follow, pick
from training.bank_world import CHANNELS, ERRANDS, STAGES

OPENS, CLOSES = 8, 18
"""The call centre's hours, Monday to Friday."""
AGAIN = 0.3
"""How often a person who changes channel in an errand must do a step again."""
ONCE = 0.03
"""How many people come but once, for one thing."""
_SLIP = 0.08
_PAYING = tuple(INDEX[feature] for feature in ("pay-bill", "e-invoice", "scan-invoice"))


@dataclass(frozen=True, slots=True)
class Step:
    """One feature used; errand and step number where it belongs to one."""

    feature: int
    errand: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Visit:
    """One session: on a day (index), from an hour on, in one channel. reads: how many pieces of content."""

    day: int
    hour: float
    channel: int
    steps: tuple[Step, ...]
    reads: int = 0


def visits(rng: np.random.Generator, person: Person, dates: Sequence[date]) -> list[Visit]:
    """All visits of a person, at least one, in order of time."""
    if rng.random() < ONCE:
        step = Step(follow(rng, person.tastes[0], MOBILE, None))
        return [Visit(int(rng.integers(len(dates))), _hour(rng, 14, 3), MOBILE, (step,))]
    found = [*_habits(rng, person, dates), *_bills(rng, person, dates), *_errands(rng, person, dates)]
    if not found:
        found = [_visit(rng, person, dates, int(rng.integers(len(dates))), None)]
    return sorted(found, key=lambda visit: (visit.day, visit.hour))


def _habits(rng: np.random.Generator, person: Person, dates: Sequence[date]) -> Iterator[Visit]:
    paid = [_is_payday(day, person.payday) for day in dates]
    week = np.array([person.week[day.weekday()] for day in dates])
    day_numbers = np.arange(len(dates))
    here = (day_numbers >= person.first) & (day_numbers < person.last)
    for day, count in enumerate(rng.poisson(person.rate * week * np.where(paid, 2.2, 1.0) * here).tolist()):
        for n in range(count):
            start = INDEX["balance"] if paid[day] and n == 0 else None
            yield _visit(rng, person, dates, day, start)


def _visit(rng: np.random.Generator, person: Person, dates: Sequence[date], day: int, start: int | None) -> Visit:
    """A visit out of habit: a routine, or whatever is on one's mind."""
    reads = 1 + int(rng.poisson(0.6)) if rng.random() < person.reader else 0
    if start is None and rng.random() < person.regular:
        routines = person.routines[int(day >= person.turn)]
        # A routine has a favourite: the first is followed more often than the others.
        routine = routines[pick(rng, 1 / np.arange(1, len(routines) + 1))]
        steps = _slipping(rng, person, routine, person.change(day, len(dates)))
        return Visit(day, _hour(rng, routine.hour, 0.7), routine.channel, steps, reads)
    weekend = dates[day].weekday() >= 5
    hour = _hour(rng, float(PEAKS[pick(rng, person.peaks)]) + (1.3 if weekend else 0), 1.2)
    channel = pick(rng, person.devotion)
    if channel == CALL:
        reads = 0
        if weekend or not OPENS <= hour < CLOSES:
            channel = pick(rng, person.devotion[:CALL] + 1e-6)
    if reads and rng.random() < 0.3:
        return Visit(day, hour, channel, (), reads)
    return Visit(day, hour, channel, _free(rng, person, channel, person.change(day, len(dates)), start), reads)


def _free(rng: np.random.Generator, person: Person, channel: int, new: float, start: int | None) -> tuple[Step, ...]:
    taste = person.taste(new)
    features = [follow(rng, taste, channel, None) if start is None else start]
    more = 0.25 if channel == CALL else 0.5
    while rng.random() < more:
        features.append(follow(rng, taste, channel, features[-1]))
    return tuple(map(Step, features))


def _slipping(rng: np.random.Generator, person: Person, routine: Routine, new: float) -> tuple[Step, ...]:
    """A routine as it goes in life: a step is left out, another comes between, the rest is forgotten."""
    features: list[int] = []
    for feature in routine.steps:
        chance = rng.random()
        if chance < _SLIP and features:
            break
        if chance < 2 * _SLIP:
            features.append(follow(rng, person.taste(new), routine.channel, features[-1] if features else None))
        elif chance > _SLIP * 3 or not features:
            features.append(feature)
    return tuple(map(Step, features))


def _bills(rng: np.random.Generator, person: Person, dates: Sequence[date]) -> Iterator[Visit]:
    """Bills are paid on the due date or a few days before; who hardly ever comes pays by direct debit."""
    for due, day in enumerate(dates):
        if day.day not in person.bills or rng.random() > min(0.9, 0.2 + person.rate):
            continue
        early = max(due - int(rng.poisson(1.0)), 0)
        if not person.first <= early < person.last:
            continue
        channel = pick(rng, person.devotion[:CALL] + 1e-6)
        new = person.change(early, len(dates))
        weights = person.taste(new)[list(_PAYING)] * OFFERED[channel][list(_PAYING)]
        steps = _free(rng, person, channel, new, _PAYING[pick(rng, weights)])
        yield Visit(early, _hour(rng, float(PEAKS[pick(rng, person.peaks)]), 1.2), channel, steps)


def _errands(rng: np.random.Generator, person: Person, dates: Sequence[date]) -> Iterator[Visit]:
    for _ in range(rng.poisson((0.25 + 0.6 * min(person.rate, 1)) * len(dates) / 56)):
        last = min(person.last, len(dates))
        hours = 24 * rng.uniform(min(person.first, last), last) // 24 * 24 + _hour(rng, 14, 4)
        wants = STAGES[person.stage(int(hours // 24))].errands
        name = list(wants)[pick(rng, np.array(list(wants.values())))]
        yield from _errand(rng, person, dates, name, hours)


def _errand(
    rng: np.random.Generator, person: Person, dates: Sequence[date], name: str, hours: float
) -> Iterator[Visit]:
    """The steps of one errand, from some hours after the first midnight on, until it is done or given up."""
    before: Step | None = None
    here = -1
    for number, (feature, usual, wait) in enumerate(ERRANDS[name], 1):
        step = Step(INDEX[feature], name, number)
        hours += wait * float(np.exp(rng.normal(0, 0.5)))
        channel = CHANNELS.index(usual)
        if rng.random() < 0.12:
            channel = pick(rng, person.devotion * (OFFERED[:, step.feature] > 0) + 1e-9 * OFFERED[:, step.feature])
        hours = _awake(hours, dates, office=channel == CALL)
        if hours // 24 >= min(len(dates), person.last) or (number > 1 and rng.random() < 0.08):
            return
        again = before is not None and channel != here and OFFERED[channel, before.feature] > 0
        steps = (before, step) if before is not None and again and rng.random() < AGAIN else (step,)
        yield Visit(int(hours // 24), hours % 24, channel, steps)
        before, here = step, channel


def _awake(hours: float, dates: Sequence[date], *, office: bool) -> float:
    """The next moment, from this one on, at which a person is up, or the call centre open."""
    opens, closes = (OPENS, CLOSES) if office else (7, 23)
    while hours // 24 < len(dates):
        hour = hours % 24
        if hour < opens:
            hours += opens - hour + hour / 12
        elif hour >= closes or (office and dates[int(hours // 24)].weekday() >= 5):
            hours += 24 - hour
        else:
            break
    return hours


def _hour(rng: np.random.Generator, around: float, spread: float) -> float:
    return float((around + rng.normal(0, spread)) % 24)


def _is_payday(day: date, payday: int) -> bool:
    """A payday at a weekend comes on the Friday before."""
    if day.weekday() >= 5:
        return False
    ahead = 3 if day.weekday() == 4 else 1
    return any((day + timedelta(n)).day == payday for n in range(ahead))
