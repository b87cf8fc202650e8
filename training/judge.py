"""Judges ways to rank on the part of a log that was held back, all on the same questions.

There are two kinds of questions. A *step* is asked just before a use: which
item is it? A *page* is asked once per customer, where the held-back time
begins: which items do they use in it? Features are judged by steps; content
by pages, and beside them by some steps.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from recommender.baselines import Ranking
from recommender.features import used
from recommender.history import Context, Query, history_of
from recommender.metrics import places
from recommender.top import best
from recommender.types import BoolArray, FloatArray, IntArray, Kind
from training.ahead import side_by_side
from training.evaluation import Report, Row, Scoring, events_before
from training.fit.kind import Subject
from training.judgement import PAGE, Answers, Known, Paper, Sitting, rows_of
from training.questions import Asked, pages, step

QUESTIONS = 5_000
"""At most so many questions of a kind are asked; the interval of the mean reciprocal rank is then below .01."""

STEPS = 0.2
"""The share of them that are steps where pages are what counts."""

CHOOSING = 200
"""Questions by which a source's best column is found."""

MURMELI, CHAMPION = "murmeli", "champion"

SURE = (MURMELI, CHAMPION)
"""Rankings whose scores are log-odds: their softmax says how sure they are."""


def judge(
    subject: Subject,
    held: BoolArray,
    rankings: Mapping[str, Ranking],
    seed: int,
    *,
    model: Scoring | None = None,
    most: int = QUESTIONS,
    progress: Report = lambda *_: None,
) -> list[Row]:
    """One row for each way to rank; the others are compared with the first.

    subject: the whole log. held: shape (n,), the uses that are asked for; most: so many questions at most. model: its
    sources get rows of their own.
    Without a clock the question is what else a customer would use: what they used is neither asked for nor ranked,
    unless the log holds nothing else to ask for.
    """
    questions = questions_of(subject, held)
    by_pages = subject.kind is Kind.CONTENT
    steps_most = int(most * STEPS) if by_pages else most
    events = _drawn(np.flatnonzero(questions.asked), steps_most, seed)
    customers = _drawn(np.unique(subject.log.who[questions.asked]), most - steps_most, seed)
    sample = questions.pages(_some(customers)) if by_pages else questions.steps(_some(events))
    alone = model.alone(sample) if model else {}
    everybody = {**rankings, **{f"{name} alone": ranking for name, (_, ranking) in alone.items()}}
    total = events.size + customers.size

    def told(done: int) -> None:
        progress(f"judge {subject.kind}", done, total)

    steps = sit(questions.steps(events), everybody, told)
    paged = sit(questions.pages(customers), everybody, lambda done: told(events.size + done)) if by_pages else None
    rows = rows_of(subject.kind, steps, paged, known_before(subject, held))
    columns: dict[str, Row] = {f"{name} alone": {"column": column} for name, (column, _) in alone.items()}
    return [row | columns.get(str(row["name"]), {}) for row in rows]


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What can be asked of a log.

    held: shape (n,), what is held back; asked: (n,), the uses among it that are asked for. hide: whether what the
    customer used is not ranked.
    """

    subject: Subject
    held: BoolArray
    asked: BoolArray
    hide: bool

    def steps(self, events: IntArray) -> Iterator[Asked]:
        """The question just before each of these events, numbers in the log, ascending.

        With a clock everything earlier is known, held back or not; without one, all that is not held back.
        """
        log, items = self.subject.log, self.subject.items
        position = items.positions(log.events["item"][events])
        customers = np.searchsorted(log.starts, events, "right") - 1
        kept = None if self.subject.clocked else log.select(~self.held)
        for customer, at, wanted in zip(customers.tolist(), events.tolist(), position, strict=True):
            if kept is None:
                query = step(log, items, customer, at - int(log.starts[customer]))
            else:
                context = Context(int(log.events["time"][at]), int(log.events["zone"][at]))
                query = Query(items, history_of(kept.profile(customer), items), context)
            yield Asked(customer, query, np.array([wanted]), self._hidden(query))

    def pages(self, customers: IntArray) -> Iterator[Asked]:
        """One question for each of these customers: what do they use in the time that is held back?"""
        log, items = self.subject.log, self.subject.items
        if self.subject.clocked:
            yield from pages(log, items, int(log.events["time"][self.held].min()), customers=customers)
            return
        kept = log.select(~self.held)
        for customer in customers.tolist():
            part = slice(int(log.starts[customer]), int(log.starts[customer + 1]))
            events = log.events[part]
            context = Context(int(events["time"][0]), int(events["zone"][0]))
            query = Query(items, history_of(kept.profile(customer), items), context)
            wanted = np.unique(items.positions(events["item"][self.asked[part]]))
            yield Asked(customer, query, wanted, self._hidden(query))

    def _hidden(self, query: Query) -> IntArray:
        return used(query).at if self.hide else np.zeros(0, np.int64)


def questions_of(subject: Subject, held: BoolArray) -> Questions:
    """With a clock every held-back use is asked for; without one, only what its customer did not use before."""
    if subject.clocked:
        return Questions(subject, held, held, False)
    position = subject.items.positions(subject.log.events["item"])
    pair = subject.log.who * (subject.items.codes.size + 1) + position
    new = held & ~np.isin(pair, pair[subject.uses & ~held])
    return Questions(subject, held, new, True) if new.any() else Questions(subject, held, held, False)


def known_before(subject: Subject, held: BoolArray) -> Known:
    """What was known of the items before anything that is held back."""
    log, size = subject.log, subject.items.codes.size
    earlier = events_before(subject, held) & subject.uses
    pairs = np.unique(log.who[earlier] * size + subject.items.positions(log.events["item"][earlier]))
    return Known(np.bincount(pairs % size, minlength=size), np.unique(pairs // size).size, log.names)


def sit(asked: Iterable[Asked], rankings: Mapping[str, Ranking], done: Callable[[int], None]) -> Sitting:
    """Every ranking's answer to every question; one ranking under two names is asked once.

    done: called with how many were asked so far.
    """
    speaker = {ranking: name for name, ranking in reversed(list(rankings.items()))}
    about: list[tuple[int, int, int]] = []
    wanted: list[IntArray] = []
    said: dict[str, list[tuple[IntArray, IntArray, float]]] = {name: [] for name in speaker.values()}

    def answered(one: Asked) -> tuple[Asked, list[tuple[IntArray, IntArray, float]]]:
        return one, [
            _answer(one.shown(ranking(one.query)), one.wanted, name in SURE) for ranking, name in speaker.items()
        ]

    for number, (one, answers) in enumerate(side_by_side(answered, asked), 1):
        history = one.query.history
        channel = one.query.context.channel or (int(history.channel[-1]) if history.channel.size else 0)
        about.append((one.customer, history.item.size + int(history.older_count.sum()), channel))
        wanted.append(one.wanted)
        for name, answer in zip(said, answers, strict=True):
            said[name].append(answer)
        done(number)
    customer, uses, where = np.array(about, np.int64).reshape(len(about), 3).T
    question = np.repeat(np.arange(len(wanted)), [item.size for item in wanted])
    paper = Paper(customer, uses, where, question, np.concatenate([np.zeros(0, np.int64), *wanted]))
    gathered = {name: _gathered(answers, name in SURE) for name, answers in said.items()}
    return Sitting(paper, {name: gathered[speaker[ranking]] for name, ranking in rankings.items()})


def _answer(score: FloatArray, wanted: IntArray, speaks: bool) -> tuple[IntArray, IntArray, float]:
    top = best(score, PAGE)
    shown = np.full(PAGE, -1)
    shown[: top.size] = top
    sure = float(1 / np.exp(score - score[top[0]]).sum()) if speaks and top.size else 0.0
    return places(score, wanted), shown, sure


def _gathered(answers: list[tuple[IntArray, IntArray, float]], speaks: bool) -> Answers:
    rank = np.concatenate([np.zeros(0, np.int64), *(rank for rank, _, _ in answers)])
    lists = np.array([lists for _, lists, _ in answers], np.int64).reshape(len(answers), PAGE)
    return Answers(rank, lists, np.array([sure for _, _, sure in answers]) if speaks else None)


def _drawn(among: IntArray, most: int, seed: int) -> IntArray:
    """At most so many of them, ascending."""
    return among if among.size <= most else np.sort(np.random.default_rng(seed).choice(among, most, replace=False))


def _some(among: IntArray) -> IntArray:
    """At most CHOOSING of them, evenly."""
    return among[:: max(-(-among.size // CHOOSING), 1)]
