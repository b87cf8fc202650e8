"""The online paths: a question in, a ranking out, with what a person needs to understand it.

One profile is read per question, and everything else is computed from it,
the model in use and the catalogue as it stands at that moment.
"""

import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recommender import top
from recommender.catalogue import Catalogue, Changes, Shelf
from recommender.eligible import Eligible
from recommender.errors import NotFoundError
from recommender.history import Context, History, Query, history_of
from recommender.last_shown import LastShown
from recommender.model import KindModel, Model, by_popularity
from recommender.profile import EMPTY, Profile
from recommender.remembered import remembered
from recommender.rules import read_rule
from recommender.settings import Placement, Settings
from recommender.sources.base import Scores
from recommender.sources.popularity import Popularity
from recommender.sources.text import Text
from recommender.stability import GONE, settle
from recommender.stores.base import Store
from recommender.types import BoolArray, FloatArray, IntArray, Kind, code64

LEAST_LIFT = 1e-6
"""A source that lifts an item by less is no reason for it; a stranger's habit lifts none."""


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """One placement to fill. k: the placement's size where None."""

    placement: str
    k: int | None = None
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A page: the slots are filled in order, and no item is shown twice."""

    customer: str
    slots: tuple[SlotRequest, ...]
    context: Context


@dataclass(frozen=True, slots=True)
class RankedItem:
    """score: the probability that this is what the customer takes next, in [0, 1]; higher is better."""

    item: str
    score: float
    reason: str
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A filled placement, in the order to show; a calm placement's is not always the order of the scores."""

    placement: str
    items: tuple[RankedItem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """All that the store says for one question. who: every identity of the customer, where a placement is calm;
    last: by calm placement, the codes of what was shown there last.
    """

    changes: Changes | None
    profile: Profile
    who: Sequence[str]
    last: Mapping[str, IntArray]


UNREAD = Read(None, EMPTY, (), {})
"""Where the store did not answer: nothing is known of the customer, and the catalogue is the one at hand."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One answer. degraded: what could not be used for it: `model`, `profile`, or `placement:NAME`."""

    recommendation_id: str
    model: str
    degraded: tuple[str, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item stands where it stands for a customer, or why it does not stand there.

    parts: by source, how much it lifted the item's log-score above the average item's; they add up to the
    difference in log-score. rank: 1 for the first, None where the item is not shown; `hidden` then says why.
    rules: what put it there rather than where its score would: `stability` keeps places calm.
    """

    item: str
    placement: str
    rank: int | None
    score: float
    reason: str
    parts: dict[str, float]
    hidden: str | None
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """One kind's items, scored for one question.

    blended: shape (n,), what orders them. score: (n,), its softmax, in which far-off items run together at 0.
    """

    shelf: Shelf
    model: KindModel
    query: Query
    scores: list[Scores]
    blended: FloatArray
    score: FloatArray

    def reasons(self, positions: IntArray) -> list[str]:
        parts = self.parts(positions)
        words = [source.reason for source in self.model.sources]
        lift = np.stack([parts[source.name] for source in self.model.sources])
        lifted = lift.max(axis=0) > LEAST_LIFT
        return [words[at] if up else Popularity.reason for at, up in zip(lift.argmax(axis=0), lifted, strict=True)]

    def parts(self, positions: IntArray) -> dict[str, FloatArray]:
        """By source, shape (k,): what it adds to each position's log-score, above the average item's."""
        lift = self.model.ranker.contributions(self.query, self.scores, positions)
        parts: dict[str, FloatArray] = {}
        row = 0
        for source in self.model.sources:
            parts[source.name] = lift[row : row + len(source.columns)].sum(axis=0)
            row += len(source.columns)
        return parts


class Recommender:
    """Answers with one model and one store; another model can be put in between two questions.

    last_shown: what calm placements go by; of this recommender alone where None.
    fault: is told what went wrong in a ranking, whose slots are then filled by popularity; it is raised where None.
    """

    def __init__(
        self,
        store: Store,
        model: Model,
        settings: Settings,
        last_shown: LastShown | None = None,
        fault: Callable[[Exception], None] | None = None,
    ) -> None:
        self._store, self._settings, self._fault = store, settings, fault
        self._last_shown = LastShown() if last_shown is None else last_shown
        self._filters = {
            name: Eligible(read_rule(place.filter)) for name, place in settings.placements.items() if place.filter
        }
        self.use(model)

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._model

    @property
    def catalogue(self) -> Catalogue:
        """The items as of the last question."""
        return self._catalogue

    def use(self, model: Model) -> None:
        """Answer with this model from the next question on."""
        known = {kind: (part.codes, part.ids) for kind, part in model.kinds.items()}
        kin = {
            kind: source.kin
            for kind, part in model.kinds.items()
            for source in part.sources
            if isinstance(source, Text)
        }
        self._model, self._catalogue = model, Catalogue(self._store.items, known, kin)
        self._popular = {kind: by_popularity(part) for kind, part in model.kinds.items()}

    def refresh(self) -> None:
        """Catch up with the catalogue."""
        self._catalogue.refresh()

    def read(self, request: Request) -> Read:
        """What a page needs of the store; in any thread. NotFoundError for an unknown placement, StoreError."""
        calm = [slot.placement for slot in request.slots if self._placement(slot.placement).stability]
        changes = self._catalogue.changes()
        profile = self._store.events.profile(request.customer)
        who = self._store.identities.find(request.customer) if calm else ()
        return Read(changes, profile, who, {name: self._last_shown.find(who, name) for name in calm})

    def recommend(self, request: Request, read: Read | None = None, until: float = math.inf) -> Recommendation:
        """Fill a page. Raises NotFoundError where a placement is not one of the settings'.

        read: what `read` gave for the same request, or UNREAD: then popularity answers; None: it is read now.
        until: `time.monotonic` from which on popularity fills the slots whose kind is not ranked yet.
        """
        kinds = [self._placement(slot.placement).kind for slot in request.slots]
        read = self.read(request) if read is None else read
        if read.changes is not None:
            self._catalogue.take(read.changes)
        rankings = {kind: self._rank_until(until, kind, read, request.context) for kind in dict.fromkeys(kinds)}
        free = {kind: ranking.shelf.available.copy() for kind, ranking in rankings.items()}
        pages = [
            self._fill(read.last, slot, rankings[kind], free[kind])
            for slot, kind in zip(request.slots, kinds, strict=True)
        ]
        filled = list(zip(request.slots, kinds, pages, strict=True))
        for slot, kind, page in reversed(filled):  # where a placement is asked for twice, its first page counts
            if slot.placement in read.last:
                self._last_shown.keep(read.who, slot.placement, rankings[kind].shelf.items.codes[page])
        slots = tuple(Slot(slot.placement, tuple(_ranked(rankings[kind], page))) for slot, kind, page in filled)
        late = (slot.placement for slot, kind, _ in filled if rankings[kind].model is self._popular[kind])
        return Recommendation(new_recommendation_id(), self._model.label, self._degraded(read, late), slots)

    def _degraded(self, read: Read, late: Iterable[str]) -> tuple[str, ...]:
        parts = () if self._model.trained else ("model",)
        if read is UNREAD:
            return (*parts, "profile")
        return (*parts, *(f"placement:{name}" for name in dict.fromkeys(late)))

    def _rank_until(self, until: float, kind: Kind, read: Read, context: Context) -> _Ranking:
        """The ranking of a kind; by popularity where it is late, where a source fails, where nothing was read."""
        if read is not UNREAD and time.monotonic() < until:
            try:
                return self._rank(kind, read.profile, context)
            except Exception as error:
                if self._fault is None:
                    raise
                self._fault(error)
        return self._rank(kind, read.profile, context, self._popular[kind])

    def rank(
        self, customer: str, candidates: Sequence[str], kind: Kind, context: Context, read: Read | None = None
    ) -> list[RankedItem]:
        """The caller's own candidates, best first; those that nobody ever heard of come last, in the given order.

        read: see `recommend`; of a request without slots.
        """
        read = self.read(Request(customer, (), context)) if read is None else read
        if read.changes is not None:
            self._catalogue.take(read.changes)
        ranking = self._rank_until(math.inf, kind, read, context)
        positions = ranking.shelf.items.positions(np.array([code64(c) for c in candidates], np.int64))
        known = np.unique(positions[positions >= 0])
        order = known[np.argsort(-ranking.blended[known], kind="stable")]
        unheard = [c for c, at in zip(candidates, positions, strict=True) if at < 0]
        return [*_ranked(ranking, order), *(RankedItem(c, 0.0, "unknown") for c in dict.fromkeys(unheard))]

    def similar(self, item: str, k: int) -> list[RankedItem]:
        """What goes with an item: the ranking for somebody who used it and nothing else, without habit."""
        self.refresh()
        code = np.array([code64(item)], np.int64)
        for kind in Kind:
            shelf, model = self._catalogue.shelf(kind), self._model.kinds[kind]
            at = shelf.items.positions(code)
            if at[0] >= 0:
                return _similar(shelf, model, at, k)
        raise NotFoundError("No item of this id is known. PUT /v1/items adds it, and so does an event of it.")

    def remembered(self, customer: str, limit: int = 20) -> dict[str, Any]:
        """What is kept of a customer, for a person to read: identities, habits, the newest events."""
        self.refresh()
        return remembered(self._store, self._catalogue, customer, limit)

    def explain(self, customer: str, item: str, placement: str, context: Context) -> Explanation:
        """Why this item, or why not."""
        place = self._placement(placement)
        self.refresh()
        ranking = self._rank(place.kind, self._store.events.profile(customer), context)
        at = ranking.shelf.items.positions(np.array([code64(item)], np.int64))
        if at[0] < 0:
            other = self._catalogue.entry(item)
            why_not = f"it is of kind {other.kind}, the placement of kind {place.kind}" if other else "it is not known"
            return Explanation(item, placement, None, 0.0, "unknown", {}, why_not)
        open_ = self._open(ranking, placement)
        why_not = self._why_not(ranking, placement, int(at[0]))
        shown = self._last_shown.find(self._store.identities.find(customer), placement) if place.stability else None
        last = _last(shown, ranking, open_)
        page = _page(ranking, open_, max(place.size, last.size), place.stability, last)
        plain, rank = _ranks(ranking, open_, page, int(at[0]))
        parts = {name: round(float(part[0]), 4) for name, part in ranking.parts(at).items()}
        return Explanation(
            item,
            placement,
            rank,
            float(ranking.score[at[0]]),
            ranking.reasons(at)[0],
            parts,
            None if rank else why_not,
            ("stability",) if rank != plain else (),
        )

    def _why_not(self, ranking: _Ranking, placement: str, at: int) -> str:
        """Why an item that may not be shown may not."""
        if not ranking.shelf.available[at]:
            return "it is not available"
        if placement in self._filters and not self._eligible(ranking, placement)[at]:
            return f"the placement's filter leaves it out: {self._filters[placement].rule.text}"
        return "it was used"

    def _placement(self, name: str) -> Placement:
        try:
            return self._settings.placements[name]
        except KeyError:
            known = ", ".join(sorted(self._settings.placements))
            raise NotFoundError(f"There is no such placement. The settings have: {known}.") from None

    def _rank(self, kind: Kind, profile: Profile, context: Context, model: KindModel | None = None) -> _Ranking:
        """model: the kind's where None."""
        shelf, model = self._catalogue.shelf(kind), model or self._model.kinds[kind]
        query = Query(shelf.items, history_of(profile, shelf.items), context)
        scores = [source.score([query])[0] for source in model.sources]
        blended = model.ranker.blend(query, scores)
        return _Ranking(shelf, model, query, scores, blended, model.ranker.probabilities(blended))

    def _open(self, ranking: _Ranking, placement: str) -> BoolArray:
        """Shape (n,): what may be shown there."""
        open_ = ranking.shelf.available.copy()
        if self._placement(placement).hide_used:
            open_[ranking.query.history.item] = False
            open_[ranking.query.history.older_item] = False
        if placement in self._filters:
            open_ &= self._eligible(ranking, placement)
        return open_

    def _eligible(self, ranking: _Ranking, placement: str) -> BoolArray:
        """Shape (n,): what the placement's filter lets through."""
        return self._filters[placement].mask(ranking.shelf, self._catalogue.entry, ranking.query.context.now)

    def _fill(self, shown: Mapping[str, IntArray], slot: SlotRequest, ranking: _Ranking, free: BoolArray) -> IntArray:
        """The positions to show in one slot, of what is still free; they are taken then. shown: see Read.last."""
        place = self._placement(slot.placement)
        open_ = self._open(ranking, slot.placement) & free
        items = ranking.shelf.items
        if slot.exclude:
            open_ &= ~_mask(items.positions(np.array([code64(c) for c in slot.exclude], np.int64)), open_.size)
        last = _last(shown.get(slot.placement), ranking, open_)
        page = _page(ranking, open_, place.size if slot.k is None else slot.k, place.stability, last)
        free[page] = False
        return page


def _last(shown: IntArray | None, ranking: _Ranking, open_: BoolArray) -> IntArray:
    """What a calm placement showed last, GONE where it cannot be shown now; nothing for one that is not calm."""
    if shown is None:
        return np.zeros(0, np.int64)
    last = ranking.shelf.items.positions(shown)
    known = last[last >= 0]
    last[last >= 0] = np.where(open_[known], known, GONE)
    return last


def _page(ranking: _Ranking, open_: BoolArray, k: int, stability: float, last: IntArray) -> IntArray:
    """Up to k positions in the order to show. last: the page before."""
    best = top.best(np.where(open_, ranking.blended, -np.inf), k)
    if last.size == 0:
        return best
    return np.array(settle(best.tolist(), ranking.score, last.tolist(), stability), np.int64)


def _ranks(ranking: _Ranking, open_: BoolArray, page: IntArray, at: int) -> tuple[int | None, int | None]:
    """The rank of a position by its score alone, and as shown: first the page, then all others by their scores."""
    if not open_[at]:
        return None, None
    better = open_ & (ranking.blended > ranking.blended[at])
    better[:at] |= open_[:at] & (ranking.blended[:at] == ranking.blended[at])
    plain = int(better.sum()) + 1
    better[page] = False
    shown = np.flatnonzero(page == at)
    return plain, int(shown[0] if shown.size else page.size + better.sum()) + 1


def _ranked(ranking: _Ranking, positions: IntArray) -> list[RankedItem]:
    if positions.size == 0:
        return []
    reasons = ranking.reasons(positions)
    ids, score = ranking.shelf.items.ids, ranking.score
    return [RankedItem(ids[at], float(score[at]), why) for at, why in zip(positions.tolist(), reasons, strict=True)]


def _similar(shelf: Shelf, model: KindModel, at: IntArray, k: int) -> list[RankedItem]:
    none = np.zeros(0, np.int64)
    once = np.zeros(1, np.int64)
    history = History(at, once, once, once, none, none)
    query = Query(shelf.items, history, Context(now=0))
    total = np.zeros(shelf.items.codes.size, np.float32)
    for source in model.sources:
        if source.name in ("neighbours", "factors", "attributes"):
            total += source.score([query])[0].dense(total.size).sum(axis=0)
    total[at] = 0
    found = top.best(np.where(shelf.available & (total > 0), total, -np.inf), k)
    return [RankedItem(shelf.items.ids[i], float(total[i]), "similar") for i in found.tolist()]


def _mask(positions: IntArray, size: int) -> BoolArray:
    mask = np.zeros(size, np.bool_)
    mask[positions[positions >= 0]] = True
    return mask


def new_recommendation_id() -> str:
    """32 hexadecimal digits; ids of later milliseconds sort later, so that a ledger appends."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
