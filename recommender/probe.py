"""What a manifest cannot say of itself: do the published arrays rank what the customers of this store lately used?

A manifest speaks of the log that was trained on. Where that was another one (ids mixed up on the way, another site's
log, a copy of the wrong folder), its figures agree with each other and are worth nothing here. So the models as
published are asked for a sample of the newest uses in the store, each as serving would have been asked just before.

They have learned from most of these uses, and one may remember more of them than another: this is no comparison of
quality, which is the backtest's, and only a misfit is refused. A model that does less well here than its own backtest
says, or than the champion, is asked once more with its items in other places. Where that makes no difference, what it
knows of items is not of these items. (Habit goes by the customer's own history and works with any ids, so that a
misfit may well stand above the baselines.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recommender.baselines import Ranking, most_used, popularity
from recommender.gate import ENOUGH, rows_of
from recommender.history import Context, Items, Query, counted, history_of
from recommender.metrics import Interval, Values, bootstrap, pessimistic_rank
from recommender.model import KindModel, Model
from recommender.profile import Profile
from recommender.stores.base import CustomerLog, Store
from recommender.texts import Chain
from recommender.tokens import tokens_of
from recommender.types import DAY, IntArray, Kind, code64, codes64, is_use

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


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """One use and what was known before it. code: the item's; else_: whether what else was used is not ranked."""

    who: int
    profile: Profile
    context: Context
    code: int
    else_: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """What is asked of a kind. codes, ids: its items, ascending; clusters: what an interval is over, None: uses.

    tokens: by code, what is told of an item: a model that goes by it would otherwise seem to know less than it does.
    """

    asked: Sequence[_Question]
    codes: IntArray
    ids: Sequence[str]
    tokens: Mapping[int, IntArray]
    clusters: IntArray | None

    def interval(self, values: Values) -> Interval:
        return bootstrap(values, self.clusters)

    def below(self, mine: Values, theirs: Values) -> bool:
        """Whether one is behind the other by a clear share and beyond the interval of the difference."""
        return bool(self.interval(mine - theirs).high < 0 and mine.mean() < (1 - MARGIN) * theirs.mean())

    def reached(self, model: KindModel, places: IntArray | None = None) -> Values:
        """Shape (questions,): 1 / the place that a model gives to the right answer; places: see `_place`."""
        items, ranking = counted(self._items(model.codes, model.ids), model.counting), _ranking(model)
        return np.array([_place(question, items, ranking, places) for question in self.asked], np.float64)

    def reached_by(self, ranking: Ranking) -> Values:
        """The same of a ranking that needs no model."""
        items = self._items(self.codes, self.ids)
        return np.array([_place(question, items, ranking, None) for question in self.asked], np.float64)

    def _items(self, known: IntArray, ids: Sequence[str]) -> Items:
        """The items that a model knows, and then those that came since."""
        late = np.flatnonzero(~np.isin(self.codes, known))
        codes = np.concatenate([known, self.codes[late]])
        chained = Chain(ids, [self.ids[at] for at in late.tolist()])
        tokens = [self.tokens.get(code, codes[:0]) for code in codes.tolist()]
        starts = np.cumsum([0, *(part.size for part in tokens)], dtype=np.int64)
        return Items(codes, known.size, chained, starts, np.concatenate([codes[:0], *tokens]))


def objections(store: Store, challenger: Model, champion: Model | None, seed: int = 7) -> list[str]:
    """Why the challenger is no model of this store: a sentence each, with figures and what to do."""
    parts, catalogue = list(_read(store)), store.items.changes(0)[1]
    reasons: list[str] = []
    for kind in Kind:
        listed = [item for item in catalogue if item.kind is kind]
        ids = [item.id for item in listed]
        codes = codes64(ids)
        order = np.argsort(codes)
        codes, ids = codes[order], [ids[at] for at in order.tolist()]
        asked = _questions(parts, codes, seed)
        if len(asked) >= ENOUGH and challenger.kinds[kind].codes.size:
            who = np.array([question.who for question in asked], np.int64)
            tokens = {code64(item.id): tokens_of(item) for item in listed}
            sheet = _Sheet(asked, codes, ids, tokens, who if np.unique(who).size >= CLUSTERS else None)
            found = _of_kind(kind, sheet, popularity(_uses(parts, codes), codes.size), challenger, champion)
            reasons += [f"{kind}: of {len(asked)} of the store's newest uses {reason} {_REMEDY}" for reason in found]
    return reasons


def _of_kind(kind: Kind, sheet: _Sheet, popular: Ranking, challenger: Model, champion: Model | None) -> Iterator[str]:
    model, before = challenger.kinds[kind], champion.kinds[kind] if champion else None
    wanted = np.array([question.code for question in sheet.asked], np.int64)
    known, knew = (float(np.isin(wanted, m.codes).mean()) if m else 0.0 for m in (model, before))
    if known < KNOWN and (before is None or known < knew):
        yield f"it knows the items of {known:.0%}."
    mine = sheet.reached(model)
    for name, ranking in (("most-used", most_used), ("popularity", popular)):
        theirs = sheet.reached_by(ranking)
        if sheet.below(mine, theirs):
            yield f"it reaches an mrr of {mine.mean():.3f}, {name} {theirs.mean():.3f}."
    behind = before is not None and before.codes.size > 0 and sheet.below(mine, theirs := sheet.reached(before))
    if behind and _alike(challenger, champion):
        yield f"it reaches an mrr of {mine.mean():.3f}, the champion of the same settings {theirs.mean():.3f}."
    elif behind or _short(kind, sheet, mine, challenger):
        moved = sheet.reached(model, np.random.default_rng(0).permutation(model.codes.size))
        if sheet.interval(mine - moved).low <= 0:
            yield (
                f"it reaches an mrr of {mine.mean():.3f}, and {moved.mean():.3f} with its items in other places: "
                "what it knows is not of these items."
            )


def _alike(challenger: Model, champion: Model | None) -> bool:
    """Whether the challenger can remember as much of the newest uses as the champion does."""
    if challenger.manifest is None or champion is None or champion.manifest is None:
        return False
    same = challenger.manifest.configuration == champion.manifest.configuration
    return same and challenger.manifest.log.last >= champion.manifest.log.last


def _short(kind: Kind, sheet: _Sheet, mine: Values, model: Model) -> bool:
    """Whether a model reaches clearly less, on what it has seen, than its manifest says of what it had not."""
    row = rows_of(model.manifest, kind).get("murmeli", {}) if model.manifest else {}
    stated, low = row.get("mrr"), row.get("mrr_low")
    if not isinstance(stated, float) or not isinstance(low, float):
        return False
    return bool(sheet.interval(mine).high < low and mine.mean() < (1 - MARGIN) * stated)


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


def _ranking(model: KindModel) -> Ranking:
    return lambda query: model.ranker.blend(query, [source.score([query])[0] for source in model.sources])


def _uses(parts: Sequence[CustomerLog], codes: IntArray) -> IntArray:
    """The position of the item of every use of these; codes: ascending."""
    item = np.concatenate([part.events["item"][is_use(part.events["type"])] for part in parts])
    return np.searchsorted(codes, item[np.isin(item, codes)])


def _place(question: _Question, items: Items, ranking: Ranking, places: IntArray | None) -> float:
    """1 / the place of the right answer, 0 where it cannot be ranked; places: where each known item is moved to."""
    history = history_of(question.profile, items)
    at = int(items.positions(np.array([question.code], np.int64))[0])
    if places is not None:
        to = np.concatenate([places, np.arange(places.size, items.codes.size)])
        older = np.argsort(to[history.older_item])
        history = replace(
            history,
            item=to[history.item],
            older_item=to[history.older_item][older],
            older_count=history.older_count[older],
            older_type=history.older_type[older],
        )
        at = int(to[at])
    query = Query(items, history, question.context)
    score = ranking(query)
    if question.else_:
        score = score.copy()
        score[query.history.item] = -np.inf
    return 1 / pessimistic_rank(score, at) if np.isfinite(score[at]) else 0.0
