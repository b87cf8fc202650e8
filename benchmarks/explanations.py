"""Are explanations true? What is told of random answers, against asking again with the named cause taken away.

    python -m benchmarks.explanations --home HOME [--answers 100]

HOME has a log and a trained model; nothing in it is written to. Each answer is that of a random customer at a random
moment of their log, of which a random item of the page is explained. Then the named source is replaced by one that
says nothing, and the named events are taken out of the log; the same page is asked for again, as a caller would.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from math import exp, isclose
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from benchmarks.measure import print_table
from recommender.champion import choose
from recommender.history import Context, Query
from recommender.model import Model
from recommender.page import Explanation, Request, SlotRequest
from recommender.plugins import registry_at
from recommender.profile import EMPTY, fold
from recommender.recommender import Recommender
from recommender.settings import Boost, Settings, load_settings
from recommender.sources.base import Scores, Source
from recommender.stores import store_of
from recommender.stores.base import Known, Store
from recommender.types import MINUTE, EventArray, code64

AS_TOLD = 1e-3
"""Scores agree to this share; sums of the same numbers in another order differ."""

PARTS_AS_TOLD = 1e-2
"""Parts are told to four places."""

FAINT = 1e-30
"""Of scores below this, float32 keeps few digits."""

CLAIMS = {
    "source": "without the named source the score is what was told, and lower",
    "events": "without the named events the score is what was told, and lower",
    "parts": "the parts of two items tell how many times likelier one is",
    "rules": "without each named rule the item stands elsewhere, without any other it stays",
}


TRIES = 10
"""Pages asked for, for each answer wanted: some placements have nothing to show."""

BEFORE = 20
"""Events between the page that a customer saw last and the one that is explained."""


@dataclass(frozen=True)
class Answer:
    """One answer, what was told of one of its items, and what it was made of."""

    events: EventArray
    now: int
    placement: str
    shown: Sequence[str]
    told: Explanation


@dataclass(frozen=True, eq=False)
class Silent:
    """A source that says of every item what the other one says of an unknown one."""

    of: Source

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def reason(self) -> str:
        return self.of.reason

    @property
    def columns(self) -> tuple[str, ...]:
        return self.of.columns

    def score(self, queries: Sequence[Query]) -> list[Scores]:
        """Its floor, for every item."""
        return [
            _flat(part, query.items.codes.size) for part, query in zip(self.of.score(queries), queries, strict=True)
        ]


def _flat(part: Scores, size: int) -> Scores:
    if part.at is not None:
        return replace(part, values=part.values[:, :0], at=part.at[:0])
    return replace(part, values=np.tile(part.floor[:, None], (1, size)))


def without_source(model: Model, name: str) -> Model:
    """The model with one source silenced."""
    kinds = {}
    for kind, part in model.kinds.items():
        sources = [cast(Source, Silent(one)) if one.name == name else one for one in part.sources]
        kinds[kind] = replace(part, sources=tuple(sources))
    return replace(model, kinds=kinds)


class Asker:
    """Asks for pages of a customer with whatever log, model and settings; the customer saw a page a while ago."""

    def __init__(self, store: Store, model: Model, settings: Settings) -> None:
        self.settings, self.model, self._profile = settings, model, EMPTY
        consents = SimpleNamespace(known=lambda name, _: Known([name], self._profile))
        self._store = cast(Store, SimpleNamespace(items=store.items, consents=consents))
        self._recommender = Recommender(self._store, model, settings)
        self._quiet: dict[str, Recommender] = {}
        self._number = count()

    def of(self, events: EventArray, silent: str | None = None) -> Recommender:
        """For a customer with these events; silent: a source that says nothing."""
        self._profile = fold(EMPTY, events)
        if silent is None:
            return self._recommender
        if silent not in self._quiet:
            self._quiet[silent] = Recommender(self._store, without_source(self.model, silent), self.settings)
        return self._quiet[silent]

    def page(self, events: EventArray, now: int, placement: str, settings: Settings | None = None) -> list[str]:
        """What they see by these settings, where they saw a page by the site's before their last events."""
        who, recommender = self._back_again(events, now, placement), self.of(events)
        recommender.settle(settings or self.settings)
        slot = recommender.recommend(Request(who, (SlotRequest(placement),), Context(now))).slots[0]
        recommender.settle(self.settings)
        return [item.item for item in slot.items]

    def explain(self, events: EventArray, now: int, placement: str, item: str) -> Explanation:
        """What is told of an item then."""
        who = self._back_again(events, now, placement)
        return self.of(events).explain(who, item, placement, Context(now))

    def _back_again(self, events: EventArray, now: int, placement: str) -> str:
        """A customer who saw a page before their last events."""
        who = f"id:{next(self._number)}"
        self.of(events[:-BEFORE]).recommend(Request(who, (SlotRequest(placement),), Context(now)))
        return who


def busy(store: Store, model: Model, settings: Settings) -> Settings:
    """The site's placements, and each once more with rules that move items."""
    places = dict(settings.placements)
    recommender = Recommender(store, model, settings)
    for name, place in settings.placements.items():
        slots = recommender.recommend(Request("id:nobody", (SlotRequest(name, 4),), Context(0))).slots
        pins = {item.item: 2 for item in slots[0].items[3:]}
        boosts = (Boost(when="id >= 'm'", by=2.0),)
        update = {"pins": pins, "boosts": boosts, "diversity": place.diversity or 0.3}
        places[f"{name}.busy"] = place.model_copy(update=update)
    return settings.model_copy(update={"placements": places})


def check(store: Store, model: Model, settings: Settings, answers: int, seed: int = 7) -> dict[str, tuple[int, int]]:
    """By claim, of how many answers it is made and for how many it holds."""
    asker, draw = Asker(store, model, busy(store, model, settings)), np.random.default_rng(seed)
    logs = [log.events[a:b] for log in store.events.scan() for a, b in zip(log.starts, log.starts[1:], strict=False)]
    held: dict[str, list[bool]] = {claim: [] for claim in CLAIMS}
    drawn = (_answer(asker, logs[draw.integers(len(logs))], draw) for _ in range(answers * TRIES))
    for answer in islice(filter(None, drawn), answers):
        if answer.told.cause:
            held["source"].append(_source_holds(asker, answer))
        if answer.told.cause and answer.told.cause.own:
            held["events"].append(_events_hold(asker, answer))
        held["parts"].append(_parts_hold(asker, answer))
        held["rules"].append(_rules_hold(asker, answer))
    return {claim: (len(found), sum(found)) for claim, found in held.items()}


def _answer(asker: Asker, log: EventArray, draw: np.random.Generator) -> Answer | None:
    """A random customer's answer at a random moment; None where the page has no item."""
    events = log[: int(draw.integers(1, len(log) + 1))]
    now = int(events["time"][-1]) + MINUTE
    placement = list(asker.settings.placements)[draw.integers(len(asker.settings.placements))]
    shown = asker.page(events, now, placement)
    if not shown:
        return None
    item = shown[int(draw.integers(len(shown)))]
    return Answer(events, now, placement, shown, asker.explain(events, now, placement, item))


def _score(recommender: Recommender, answer: Answer) -> float:
    """What the item scores, asked for as a caller would: the only candidate of its slot."""
    slot = SlotRequest(answer.placement, 1, candidates=(answer.told.item,))
    page = recommender.recommend(Request("id:2", (slot,), Context(answer.now)))
    return page.slots[0].items[0].score


def _agree(found: float, told: float, before: float) -> bool:
    return isclose(found, told, rel_tol=AS_TOLD, abs_tol=1e-9) and found < before


def _source_holds(asker: Asker, answer: Answer) -> bool:
    cause = answer.told.cause
    assert cause  # noqa: S101 - for the type checker: asked by the caller
    return _agree(_score(asker.of(answer.events, cause.source), answer), cause.score, answer.told.score)


def _events_hold(asker: Asker, answer: Answer) -> bool:
    own = answer.told.cause and answer.told.cause.own
    assert own  # noqa: S101 - for the type checker: asked by the caller
    mine = np.flatnonzero(answer.events["item"] == code64(own.item))[-own.uses :]
    left = asker.of(np.delete(answer.events, mine))
    return mine.size == own.uses and _agree(_score(left, answer), own.score, answer.told.score)


def _parts_hold(asker: Asker, answer: Answer) -> bool:
    told = asker.explain(answer.events, answer.now, answer.placement, answer.shown[-1])
    if min(told.score, answer.told.score) < FAINT:
        return True  # a float tells them no more apart
    times = exp(sum(answer.told.parts.values()) - sum(told.parts.values()))
    return isclose(times, answer.told.score / told.score, rel_tol=PARTS_AS_TOLD)


def _rules_hold(asker: Asker, answer: Answer) -> bool:
    places = asker.settings.placements
    place, held = places[answer.placement], []
    for rule, nothing in {"stability": 0.0, "diversity": 0.0, "pins": {}, "boosts": ()}.items():
        other = places | {answer.placement: place.model_copy(update={rule: nothing})}
        page = asker.page(
            answer.events, answer.now, answer.placement, asker.settings.model_copy(update={"placements": other})
        )
        stays = answer.told.item in page and page.index(answer.told.item) + 1 == answer.told.rank
        named = any(name == rule or (rule == "boosts" and name.startswith("boost:")) for name in answer.told.rules)
        held.append(stays is not named)
    return all(held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    settings = load_settings(given.home)
    store = store_of(given.home, settings)
    try:
        found = check(store, choose(registry_at(given.home, settings)).model, settings, given.answers, given.seed)
    finally:
        store.close()
    print_table(["claim", "told", "true"], [[CLAIMS[claim], told, true] for claim, (told, true) in found.items()])
    if any(told != true for told, true in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
