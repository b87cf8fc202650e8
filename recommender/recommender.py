"""The online paths: a question in, a ranking out, with what a person needs to understand it.

One profile is read per question, and everything else is computed from it,
the model in use and the catalogue as it stands at that moment.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recommender import top
from recommender.catalogue import Catalogue
from recommender.consent import Purpose
from recommender.errors import NotFoundError
from recommender.explain import explain, notes
from recommender.history import Context, History, Query
from recommender.model import KindModel, Model, by_popularity
from recommender.page import (
    Explanation,
    Note,
    RankedItem,
    Recommendation,
    Request,
    Slot,
    SlotRequest,
    new_recommendation_id,
)
from recommender.places import Place, Places
from recommender.profile import EMPTY
from recommender.question import NOTHING_SHOWN, UNREAD, Means, Question, Read
from recommender.remembered import remembered
from recommender.settings import Settings
from recommender.shelf import Shelf
from recommender.shown import Shown
from recommender.sources.text import Text
from recommender.stores.base import Store
from recommender.types import DAY, IntArray, Kind, code64, codes64


class Recommender:
    """Answers with one model and one store.

    shown: what calm placements and caps go by; of this recommender alone where None.
    fault: is told what went wrong in a ranking, whose slots are then filled by popularity; it is raised where None.
    noted: is told of each slot its placement, how many items it could show, and the seconds that it took.
    before: the catalogue of another recommender of the same store, to go on from.
    """

    def __init__(
        self,
        store: Store,
        model: Model,
        settings: Settings,
        shown: Shown | None = None,
        fault: Callable[[Exception], None] | None = None,
        noted: Callable[[str, int, float], None] | None = None,
        before: Catalogue | None = None,
    ) -> None:
        self._store, self._fault, self._noted = store, fault, noted
        self._shown = Shown() if shown is None else shown
        self.settle(settings)
        self._means = self._made_ready(model, before)

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._means.model

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._settings

    @property
    def catalogue(self) -> Catalogue:
        """The items as of the last question."""
        return self._means.catalogue

    def settle(self, settings: Settings, places: Places | None = None) -> None:
        """Fill pages by these settings from the next question on. places: theirs, where they are at hand."""
        self._settings, self._places = settings, places or Places(settings)

    def _made_ready(self, model: Model, before: Catalogue | None) -> Means:
        """What is worked out once for all questions is, so that none has to wait for it."""
        known = {kind: (part.codes, part.ids) for kind, part in model.kinds.items()}
        kin = {
            kind: source.kin
            for kind, part in model.kinds.items()
            for source in part.sources
            if isinstance(source, Text)
        }
        counting = {kind: part.counting for kind, part in model.kinds.items()}
        catalogue = Catalogue(self._store.items, known, kin, counting, before)
        popular = {kind: by_popularity(part) for kind, part in model.kinds.items()}
        self._places.warm(catalogue)
        means = Means(model, popular, catalogue, self._shown, self._fault)
        anybody = Question(means, Read(None, EMPTY, (), {}, NOTHING_SHOWN), Request("", (), Context(now=0)))
        for kind in model.kinds:
            anybody.ranked(kind)
        return means

    def refresh(self) -> None:
        """Catch up with the catalogue."""
        self.catalogue.refresh()

    def read(self, request: Request) -> Read:
        """What a page needs of the store; in any thread. NotFoundError for an unknown placement, StoreError."""
        changes = self.catalogue.changes()
        places = [self._places.find(slot.placement) for slot in request.slots]
        known = [one for place in places for one in (place, *place.fallback) if one.settings.personalise]
        wanted = request.personalise and (known or not places)
        found = self._store.consents.known(request.customer, Purpose.PERSONALISE) if wanted else None
        if found is None:
            return Read(changes, EMPTY, (), {}, NOTHING_SHOWN, personal=False)
        calm = [place.name for place in known if place.settings.stability]
        counts = any(place.counts for place in known)
        who = found.identities
        since = request.context.now - int(self._places.longest * DAY)
        implied = self._shown.since(who, self._places.implied, since) if counts else NOTHING_SHOWN
        last = {name: self._shown.last(who, name) for name in calm}  # of what was recalled for the other, if it was
        return Read(changes, found.profile, who, last, implied)

    def recommend(self, request: Request, read: Read | None = None, until: float = math.inf) -> Recommendation:
        """Fill a page. Raises NotFoundError where a placement is not one of the settings'.

        read: what `read` gave for the same request, or UNREAD: then popularity answers; None: it is read now.
        until: `time.monotonic` from which on popularity fills the slots whose kind is not ranked yet.
        """
        return self._answer(request, self._ask(request, read, until), lambda *_: None)

    def explained(self, request: Request, read: Read | None = None) -> tuple[Recommendation, list[list[Note]]]:
        """The same, and what is to be told of each item of each slot; about two milliseconds a slot."""
        told: list[list[Note]] = []
        question = self._ask(request, read)
        return self._answer(request, question, lambda *slot: told.append(notes(question, *slot))), told

    def _answer(
        self, request: Request, question: Question, tell: Callable[[Place, SlotRequest, IntArray], None]
    ) -> Recommendation:
        """tell: is told each slot's page before later slots leave its items out."""
        filled: list[tuple[Place, SlotRequest, IntArray]] = []
        for place, slot in [(self._places.find(slot.placement), slot) for slot in request.slots]:
            started = time.perf_counter()
            page = question.page(place, slot)
            if self._noted:
                self._noted(place.name, question.candidates, time.perf_counter() - started)
            tell(place, slot, page)
            question.take(place, page)
            filled.append((place, slot, page))
        id_ = new_recommendation_id()
        for place, slot, page in reversed(filled):  # where a placement is asked for twice, its first page counts
            question.keep(place, slot, page, id_)
        slots = tuple(Slot(place.name, tuple(question.ranking(place).items(page))) for place, _, page in filled)
        return Recommendation(id_, self.model.label, self._degraded(question, [place for place, *_ in filled]), slots)

    def _degraded(self, question: Question, places: Sequence[Place]) -> tuple[str, ...]:
        parts = () if self.model.trained else ("model",)
        if question.read is UNREAD:
            return (*parts, "profile")
        late = dict.fromkeys(place.name for place in places if question.is_late(place))
        return (*parts, *(f"placement:{name}" for name in late))

    def rank(
        self, customer: str, candidates: Sequence[str], kind: Kind, context: Context, read: Read | None = None
    ) -> list[RankedItem]:
        """The caller's own candidates, best first; those that nobody ever heard of come last, in the given order.

        read: see `recommend`; of a request without slots.
        """
        ranking = self._ask(Request(customer, (), context), read).ranked(kind)
        positions = ranking.shelf.items.positions(codes64(candidates))
        known = np.unique(positions[positions >= 0])
        order = known[np.argsort(-ranking.blended[known], kind="stable")]
        unheard = [c for c, at in zip(candidates, positions, strict=True) if at < 0]
        return [*ranking.items(order), *(RankedItem(c, 0.0, "unknown") for c in dict.fromkeys(unheard))]

    def similar(self, item: str, k: int) -> list[RankedItem]:
        """What goes with an item: the ranking for somebody who used it and nothing else, without habit."""
        self.refresh()
        code = np.array([code64(item)], np.int64)
        for kind in Kind:
            shelf, model = self.catalogue.shelf(kind), self.model.kinds[kind]
            at = shelf.items.positions(code)
            if at[0] >= 0:
                return _similar(shelf, model, at, k)
        raise NotFoundError("No item of this id is known. PUT /v1/items adds it, and so does an event of it.")

    def remembered(self, customer: str, limit: int = 20) -> dict[str, Any]:
        """What is kept of a customer, for a person to read: identities, habits, the newest events."""
        self.refresh()
        return remembered(self._store, self.catalogue, customer, limit)

    def explain(
        self, customer: str, item: str, placement: str, context: Context, personalise: bool = True
    ) -> Explanation:
        """Why this item, or why not."""
        place = self._places.find(placement)
        return explain(self._ask(Request(customer, (SlotRequest(placement),), context, personalise)), place, item)

    def _ask(self, request: Request, read: Read | None = None, until: float = math.inf) -> Question:
        read = self.read(request) if read is None else read
        if read.changes is not None:
            self.catalogue.take(read.changes)
        return Question(self._means, read, request, until)


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
