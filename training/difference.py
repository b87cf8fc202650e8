"""How two models differ: the first k items that some customers would see of each, and who is served better by which.

Nobody is named: customers are counted, by how much they have done. Both models may have learned from the uses that they
are compared on here, so which is the better one is for the backtests in their manifests to say, not for this.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from pydantic import JsonValue

from recommender import top
from recommender.catalogue import Catalogue
from recommender.history import Context, Items, Query, history_of
from recommender.metrics import Values, bootstrap, pessimistic_rank
from recommender.model import Model
from recommender.stores.base import Item, Store
from recommender.types import BoolArray, FloatArray, IntArray, Kind, codes64, is_use
from training.dataset import Log, extract
from training.evaluation import Report, Row, model_ranking
from training.judgement import FEW, MANY
from training.questions import step

NEWEST = 5
"""A customer's newest uses, by which they gain or lose."""

LISTED = 10
"""Items that are listed as movers, as vanished or as come up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Matter:
    """What is asked of both models. codes, available: shape (n,), of one kind's items.

    used: the events that are uses of these items, ascending; customers: shape (m,), who are asked for; end: of the log.
    """

    log: Log
    codes: IntArray
    available: BoolArray
    used: IntArray
    customers: IntArray
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One model before these items. to: shape (n,), where each of them stands in `items`."""

    items: Items
    to: IntArray
    rank: Callable[[Query], FloatArray]

    def score(self, query: Query) -> FloatArray:
        """Shape (n,): the scores of the items that both models are asked for."""
        found: FloatArray = self.rank(query)[self.to]
        return found

    def now(self, matter: _Matter, customer: int) -> FloatArray:
        """The scores at the end of the log, where the customer was last; -inf for what is not available."""
        last = matter.log.events[matter.log.starts[customer + 1] - 1]
        context = Context(matter.end, int(last["zone"]), int(last["channel"]))
        history = history_of(matter.log.profile(customer), self.items)
        return np.where(matter.available, self.score(Query(self.items, history, context)), -np.inf).astype(np.float32)

    def reached(self, matter: _Matter, customer: int, events: IntArray) -> float:
        """The mean of 1 / the place of what was used in some events, each asked for just before it."""
        first = int(matter.log.starts[customer])
        at = np.searchsorted(matter.codes, matter.log.events["item"][events])
        asked = (step(matter.log, self.items, customer, event - first) for event in events.tolist())
        places = [pessimistic_rank(self.score(query), item) for query, item in zip(asked, at.tolist(), strict=True)]
        return float((1 / np.array(places)).mean())


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What m customers would see of a and b, in this order along the first axis of every array.

    lists: shape (2, m, k), positions, -1 for nothing. place: shape (2, n), the sum of each item's places, 1 is first,
    over the `met` customers, shape (n,), on whose lists it is. reached: shape (2, m), the mean of 1 / place of the
    newest uses. uses: shape (m,), how many there are of each.
    """

    lists: IntArray
    place: Values
    met: IntArray
    reached: Values
    uses: IntArray


def difference(
    store: Store, a: Model, b: Model, *, customers: int, k: int, seed: int, progress: Report
) -> dict[str, JsonValue]:
    """By kind: how far the lists of a and b agree, who gains from b, and which items move."""
    progress("extract", 0, None)
    log, catalogue = extract(store), store.items.changes(0)[1]
    progress("extract", 1, 1)
    found: dict[str, JsonValue] = {}
    for kind in Kind:
        items = [item for item in catalogue if item.kind is kind]
        codes = codes64(item.id for item in items)
        order = np.argsort(codes)
        items, codes = [items[at] for at in order], codes[order]
        used = np.flatnonzero(is_use(log.events["type"]) & np.isin(log.events["item"], codes))
        some = np.unique(log.who[used])
        if some.size > customers:
            some = np.sort(np.random.default_rng(seed).choice(some, customers, replace=False))
        if some.size:
            available = np.array([item.available for item in items], np.bool_)
            matter = _Matter(log, codes, available, used, some, log.span[1])
            seen = _look(
                matter, [_side(store, model, kind, codes) for model in (a, b)], k, partial(progress, kind.value)
            )
            found[kind.value] = _document(items, seen)
    return found


def _side(store: Store, model: Model, kind: Kind, codes: IntArray) -> _Side:
    part = model.kinds[kind]
    items = Catalogue(store.items, {kind: (part.codes, part.ids)}).shelf(kind).items
    return _Side(items, items.positions(codes), model_ranking(part))


def _look(matter: _Matter, sides: Sequence[_Side], k: int, progress: Callable[[float, float], None]) -> _Seen:
    """Ask both sides for each customer."""
    many = matter.customers.size
    lists, reached = np.full((2, many, k), -1, np.int64), np.zeros((2, many))
    place, met, uses = np.zeros((2, matter.codes.size)), np.zeros(matter.codes.size, np.int64), np.zeros(many, np.int64)
    bounds = np.searchsorted(matter.used, matter.log.starts)
    for row, customer in enumerate(matter.customers.tolist()):
        own = matter.used[bounds[customer] : bounds[customer + 1]]
        uses[row] = own.size
        scores = [side.now(matter, customer) for side in sides]
        for which, score in enumerate(scores):
            best = top.best(score, k)
            lists[which, row, : best.size] = best
        union = np.unique(lists[:, row][lists[:, row] >= 0])
        met[union] += 1
        for which, (side, score) in enumerate(zip(sides, scores, strict=True)):
            place[which, union] += [np.count_nonzero(score > score[at]) + 1 for at in union]
            reached[which, row] = side.reached(matter, customer, own[-NEWEST:])
        progress(row + 1, many)
    return _Seen(lists, place, met, reached, uses)


def _document(items: Sequence[Item], seen: _Seen) -> JsonValue:
    a, b = (_shown(lists, len(items)) for lists in seen.lists)
    overlap = _overlap(seen.lists)
    gain = seen.reached[1] - seen.reached[0]
    slices = {
        "all": seen.uses > 0,
        "new": seen.uses < FEW,
        "light": (seen.uses >= FEW) & (seen.uses < MANY),
        "heavy": seen.uses >= MANY,
    }
    moved = np.argsort(-np.abs(b - a), kind="stable")
    listed = [_item(items, seen, a, b, at) for at in moved[a[moved] != b[moved]].tolist()]
    gone = [row for row in listed if not row["shown_b"]]
    come = [row for row in listed if not row["shown_a"]]
    return {
        "customers": seen.uses.size,
        "k": seen.lists.shape[2],
        "overlap": float(overlap.mean()),
        "overlap_quantiles": dict(zip(("10 %", "50 %", "90 %"), np.quantile(overlap, [0.1, 0.5, 0.9]), strict=True)),
        "same_list": float((seen.lists[0] == seen.lists[1]).all(axis=1).mean()),
        "same_first": float((seen.lists[0, :, 0] == seen.lists[1, :, 0]).mean()),
        "who": [_gain(name, gain[part], seen.reached[:, part]) for name, part in slices.items() if part.any()],
        "movers": list[JsonValue](listed[:LISTED]),
        "vanished": len(gone),
        "vanished_most": list[JsonValue](gone[:LISTED]),
        "appeared": len(come),
        "appeared_most": list[JsonValue](come[:LISTED]),
    }


def _overlap(lists: IntArray) -> Values:
    """Shape (m,): the share of the items on two lists, shape (2, m, k), that both hold; 1 where both are empty."""
    both = (lists[0][:, :, None] == lists[1][:, None, :]) & (lists[0] >= 0)[:, :, None]
    longer = (lists >= 0).sum(axis=2).max(axis=0)
    return np.where(longer > 0, both.sum(axis=(1, 2)) / np.maximum(longer, 1), 1.0)


def _shown(lists: IntArray, size: int) -> IntArray:
    return np.bincount(lists[lists >= 0], minlength=size)


def _item(items: Sequence[Item], seen: _Seen, a: IntArray, b: IntArray, at: int) -> Row:
    """One item: on how many lists it is, and its mean place among those customers who see it on either."""
    places = seen.place[:, at] / seen.met[at]
    return {
        "item": items[at].id,
        "title": items[at].title,
        "shown_a": int(a[at]),
        "shown_b": int(b[at]),
        "place_a": float(places[0]),
        "place_b": float(places[1]),
    }


def _gain(name: str, gain: Values, reached: Values) -> Row:
    """How many gain and lose by b, and by how much on the mean, with its 95 % interval over customers."""
    mean, low, high = bootstrap(gain)
    return {
        "customers": name,
        "n": gain.size,
        "gain": int((gain > 0).sum()),
        "lose": int((gain < 0).sum()),
        "mrr_a": float(reached[0].mean()),
        "mrr_b": float(reached[1].mean()),
        "change": mean,
        "change_low": low,
        "change_high": high,
    }
