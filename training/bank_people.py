"""Who the simulated bank's customers are: habits, tastes that drift, life stages, and how they come to the bank.

Everything a person does later follows from the traits drawn here. Each person has a generator of their
own, seeded by (seed, number): the first hundred customers are the same in a larger bank.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.bank_world import CHANNELS, FEATURES, FOLLOWS, STAGES, SUBJECTS

Weights = npt.NDArray[np.float64]

INDEX = {feature.id: i for i, feature in enumerate(FEATURES)}
TOPICS = tuple(SUBJECTS)
WEB, MOBILE, CALL = range(len(CHANNELS))
NEVER = 1_000_000
"""A day after every simulation's end."""

SPREAD = 9.0
"""How alike people's tastes are: the sum of the Dirichlet's parameters. At 9 one's favourite takes about a third."""
PEAKS = np.array([7.4, 12.0, 16.8, 20.6])
"""Hours around which people come: the way to work, lunch, the way home, the evening."""
WEEK = np.array([1.12, 1.0, 1.0, 1.02, 1.16, 0.78, 0.8])
DUE_DAYS = np.array([2, 5, 10, 15, 20, 25, 28])
"""Days of the month on which bills fall due."""

_APPEAL = np.array([feature.appeal for feature in FEATURES])
OFFERED = np.array([feature.channels for feature in FEATURES]).T
"""Shape (channels, features): how readily each feature is used in each channel."""


def _follow_table() -> Weights:
    """Shape (features, features): how much using the row makes the column likelier next."""
    table = np.ones((len(FEATURES), len(FEATURES)))
    for feature, nexts in FOLLOWS.items():
        for after, weight in nexts.items():
            table[INDEX[feature], INDEX[after]] += 2.5 * weight
    np.fill_diagonal(table, 0.08)
    return table


_FOLLOW = _follow_table()


@dataclass(frozen=True, slots=True)
class Routine:
    """A session that a person repeats: the same features in the same order, in one channel, around one hour."""

    channel: int
    hour: float
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One customer. Tastes and interests have two rows, old and new; `change` says how far the new has come.

    rate: sessions a day, on average, without bills and errands. first, last: the days between which they come.
    devotion: shares of the channels. peaks: shares of PEAKS. week: how much more than average on each weekday.
    routines: of the first and of the second part of the time, which begins on `turn`.
    moved: on `turn` the life stage changes, else tastes drift slowly and only a routine may change.
    """

    number: int
    rate: float
    first: int
    last: int
    stages: tuple[str, str]
    turn: int
    moved: bool
    devotion: Weights
    peaks: Weights
    week: Weights
    tastes: Weights
    interests: Weights
    reader: float
    regular: float
    routines: tuple[tuple[Routine, ...], tuple[Routine, ...]]
    bills: tuple[int, ...]
    payday: int

    def change(self, day: int, days: int) -> float:
        """How far from the old tastes to the new ones, in [0, 1]."""
        if self.moved:
            return 0.75 if day >= self.turn else 0.0
        return 0.35 * day / days

    def taste(self, new: float) -> Weights:
        """Shape (features,), summing to 1: what they like to use, with a share of the new tastes."""
        mixed: Weights = (1 - new) * self.tastes[0] + new * self.tastes[1]
        return mixed

    def stage(self, day: int) -> str:
        return self.stages[int(day >= self.turn)]


def pick(rng: np.random.Generator, weights: Weights) -> int:
    """A position, drawn in proportion to its weight."""
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))


def draw_person(rng: np.random.Generator, number: int, days: int) -> Person:
    """One customer of the bank, all traits drawn."""
    names = tuple(STAGES)
    stage = names[pick(rng, np.array([STAGES[name].share for name in names]))]
    moved = bool(rng.random() < 0.08) and STAGES[stage].next != stage
    turn = int(rng.uniform(0.3, 0.7) * days) if moved or rng.random() < 0.3 else NEVER
    stages = (stage, STAGES[stage].next if moved else stage)
    tastes = np.stack([_taste(rng, name) for name in stages])
    devotion = rng.dirichlet(np.array(STAGES[stage].devotion))
    peaks = rng.dirichlet(np.full(PEAKS.size, 0.8))
    routines = tuple(_routine(rng, tastes[0], devotion, peaks) for _ in range(rng.integers(1, 4)))
    later = (*routines[1:], _routine(rng, tastes[1], devotion, peaks))
    first, last = _span(rng, days)
    return Person(
        number=number,
        rate=float(np.exp(rng.normal(-0.75, 1.05))),
        first=first,
        last=last,
        stages=stages,
        turn=turn,
        moved=moved,
        devotion=devotion,
        peaks=peaks,
        week=7 * rng.dirichlet(12 * WEEK / WEEK.mean()),
        tastes=tastes,
        interests=np.stack([_interest(rng, name) for name in stages]),
        reader=float(rng.beta(1.2, 5)),
        regular=float(rng.beta(3, 3)),
        routines=(routines, later),
        bills=_due_days(rng, stage),
        payday=int(rng.choice(STAGES[stage].paydays)),
    )


def follow(rng: np.random.Generator, taste: Weights, channel: int, before: int | None) -> int:
    """The next feature of a free session: one's taste, what the channel offers, and what one just did."""
    weights = taste * OFFERED[channel]
    return pick(rng, weights if before is None else weights * _FOLLOW[before])


def _due_days(rng: np.random.Generator, stage: str) -> tuple[int, ...]:
    count = min(rng.poisson(STAGES[stage].bills), DUE_DAYS.size)
    return tuple(rng.choice(DUE_DAYS, count, replace=False).tolist())


def _taste(rng: np.random.Generator, stage: str) -> Weights:
    appeal = _APPEAL.copy()
    for feature, factor in STAGES[stage].tastes.items():
        appeal[INDEX[feature]] *= factor
    return rng.dirichlet(SPREAD * appeal / appeal.sum()) + 1e-9


def _interest(rng: np.random.Generator, stage: str) -> Weights:
    near = np.array([1.2 if topic in STAGES[stage].topics else 0.25 for topic in TOPICS])
    return rng.dirichlet(near) + 1e-3


def _routine(rng: np.random.Generator, taste: Weights, devotion: Weights, peaks: Weights) -> Routine:
    """The call centre is nobody's routine."""
    channel = pick(rng, devotion[:CALL] + 1e-6)
    steps = [follow(rng, taste, channel, None)]
    while len(steps) < 5 and rng.random() < 0.55:
        steps.append(follow(rng, taste, channel, steps[-1]))
    return Routine(channel, float(PEAKS[pick(rng, peaks)] + rng.normal(0, 0.6)), tuple(steps))


def _span(rng: np.random.Generator, days: int) -> tuple[int, int]:
    """Most are here all the time; some come late, some leave."""
    chance = rng.random()
    if chance < 0.08:
        return int(rng.uniform(0.1, 0.95) * days), NEVER
    if chance < 0.16:
        return 0, int(rng.uniform(0.2, 0.9) * days)
    return 0, NEVER
