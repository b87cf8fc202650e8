"""What a manifest cannot say of itself: do the published arrays rank what the customers of this store lately used?

A manifest speaks of the log that was trained on. Where that was another one (ids mixed up on the way, another site's
log, a copy of the wrong folder), its figures agree with each other and are worth nothing here. So the models as
published are asked for a sample of the newest uses in the store, each as serving would have been asked just before.
They have learned from most of these uses, and one may remember more of them than another: this is no comparison of
quality, which is the backtest's, and only a clear misfit is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.gate import ENOUGH
from recommender.history import Context, Items, Query, history_of
from recommender.metrics import Values, bootstrap, pessimistic_rank
from recommender.model import KindModel, Model
from recommender.profile import Profile
from recommender.stores.base import CustomerLog, Store
from recommender.types import DAY, FloatArray, IntArray, Kind, codes64, is_use

QUESTIONS = 300
"""At most so many uses of a kind are asked for."""

SCORES = 5_000_000
"""At most so many items are scored: of a large catalogue fewer uses are asked for, but ENOUGH."""

NEWEST = 0.1
"""The share of the uses from which they are drawn, which is what the backtest holds back."""

READ = 2_000_000
"""Events after which no more customers are read; those who came first are asked."""

MARGIN = 0.1
"""A misfit is behind by this share at least, and beyond its interval."""

KNOWN = 0.5
"""The least share of the uses that are of items which the model knows."""

CLUSTERS = 30
"""From so many customers on, an interval is over customers."""

Ranking = Callable[[Query], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """One use and what was known before it. code: the item's; else_: whether what else was used is not ranked."""

    who: int
    profile: Profile
    context: Context
    code: int
    else_: bool


def objections(store: Store, challenger: Model, champion: Model | None, seed: int = 7) -> list[str]:
    """Why the challenger is no model of this store: a sentence each, with figures and what to do."""
    parts, catalogue = list(_read(store)), store.items.changes(0)[1]
    reasons: list[str] = []
    for kind in Kind:
        codes = np.unique(codes64(item.id for item in catalogue if item.kind is kind))
        asked = _questions(parts, codes, seed)
        if len(asked) >= ENOUGH and challenger.kinds[kind].codes.size:
            before = champion.kinds[kind] if champion else None
            found = _of_kind(asked, codes, parts, challenger.kinds[kind], before)
            reasons += [f"{kind}: asked for {len(asked)} of the store's newest uses, {reason}" for reason in found]
    return reasons


def _of_kind(
    asked: Sequence[_Question],
    codes: IntArray,
    parts: Sequence[CustomerLog],
    challenger: KindModel,
    champion: KindModel | None,
) -> Iterator[str]:
    wanted = np.array([question.code for question in asked], np.int64)
    known, knew = (float(np.isin(wanted, m.codes).mean()) if m else 0.0 for m in (challenger, champion))
    if known < KNOWN and (champion is None or known < knew):
        yield f"it knows the items of {known:.0%}. {_REMEDY}"
    everything = Items(codes, codes.size, (), np.zeros(codes.size + 1, np.int64), codes[:0])
    rivals = {
        "most-used": (everything, _most_used),
        "popularity": (everything, _popularity(parts, codes)),
    }
    if champion and champion.codes.size:
        rivals["the champion"] = (_items(champion, codes), _ranking(champion))
    who = np.array([question.who for question in asked], np.int64)
    clusters = who if np.unique(who).size >= CLUSTERS else None
    mine = _reciprocal(asked, _items(challenger, codes), _ranking(challenger))
    for name, (items, ranking) in rivals.items():
        theirs = _reciprocal(asked, items, ranking)
        behind = bootstrap(mine - theirs, clusters)
        if behind.high < 0 and mine.mean() < (1 - MARGIN) * theirs.mean():
            yield (
                f"it reaches a mean reciprocal rank of {mine.mean():.3f}, {name} {theirs.mean():.3f} (95 % interval of "
                f"the difference {behind.low:.3f} to {behind.high:.3f}). {_REMEDY}"
            )


_REMEDY = "It was trained on another log, or on other ids, than this store's: train again here."


def _read(store: Store) -> Iterator[CustomerLog]:
    read = 0
    for part in store.events.scan():
        yield part
        read += part.events.size
        if read >= READ:
            return


def _questions(parts: Sequence[CustomerLog], codes: IntArray, seed: int) -> list[_Question]:
    """Some of the newest uses of these items, by part, customer and time. codes: ascending."""
    uses = [np.flatnonzero(is_use(part.events["type"]) & np.isin(part.events["item"], codes)) for part in parts]
    time = np.concatenate(
        [np.zeros(0, np.int64), *(part.events["time"][at] for part, at in zip(parts, uses, strict=True))]
    )
    if time.size == 0:
        return []
    clocked = bool(time.max() - time.min() >= DAY)  # without a clock the question is what else a customer would use
    newest = np.flatnonzero(time >= np.quantile(time, 1 - NEWEST))
    many = min(QUESTIONS, max(SCORES // codes.size, ENOUGH), newest.size)
    drawn = np.sort(np.random.default_rng(seed).choice(newest, many, replace=False))
    asked, first = [], 0
    for part, at in zip(parts, uses, strict=True):
        here = at[drawn[(drawn >= first) & (drawn < first + at.size)] - first]
        asked += [_question(part, event, else_=not clocked) for event in here.tolist()]
        first += at.size
    return [one for one in asked if clocked or one.code not in one.profile.events["item"]]


def _question(part: CustomerLog, event: int, *, else_: bool) -> _Question:
    customer = int(np.searchsorted(part.starts, event, "right")) - 1
    use = part.events[event]
    counts = part.counts[part.count_starts[customer] : part.count_starts[customer + 1]]
    profile = Profile(part.events[part.starts[customer] : event], counts)
    context = Context(int(use["time"]), int(use["zone"]), int(use["channel"]))
    return _Question(int(part.customers[customer]), profile, context, int(use["item"]), else_)


def _items(model: KindModel, codes: IntArray) -> Items:
    """The kind's items as the model sees them: its own, then those that came since."""
    late = np.setdiff1d(codes, model.codes)
    size = model.codes.size + late.size
    return Items(np.concatenate([model.codes, late]), model.codes.size, (), np.zeros(size + 1, np.int64), late[:0])


def _ranking(model: KindModel) -> Ranking:
    return lambda query: model.ranker.blend(query, [source.score([query])[0] for source in model.sources])


def _most_used(query: Query) -> FloatArray:
    """The customer's own items by how often they were used."""
    return _or_nothing(np.bincount(query.history.item, minlength=query.items.codes.size))


def _popularity(parts: Sequence[CustomerLog], codes: IntArray) -> Ranking:
    """All items by how often anybody used them."""
    item = np.concatenate([part.events["item"][is_use(part.events["type"])] for part in parts])
    score = _or_nothing(np.bincount(np.searchsorted(codes, item[np.isin(item, codes)]), minlength=codes.size))
    return lambda _: score


def _or_nothing(count: IntArray) -> FloatArray:
    return np.where(count > 0, count, -np.inf).astype(np.float32)


def _reciprocal(asked: Sequence[_Question], items: Items, ranking: Ranking) -> Values:
    """Shape (questions,): 1 / the place of the right answer, 0 where it cannot be ranked."""
    return np.array([_place(question, items, ranking) for question in asked], np.float64)


def _place(question: _Question, items: Items, ranking: Ranking) -> float:
    query = Query(items, history_of(question.profile, items), question.context)
    score = ranking(query)
    if question.else_:
        score = score.copy()
        score[query.history.item] = -np.inf
    at = int(items.positions(np.array([question.code], np.int64))[0])
    return 1 / pessimistic_rank(score, at) if np.isfinite(score[at]) else 0.0
