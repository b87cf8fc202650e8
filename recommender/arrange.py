"""One slot filled: which items, in which order, out of what may be shown and what it is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender import top
from recommender.history import Items
from recommender.stability import STEEPNESS
from recommender.types import BoolArray, FloatArray, IntArray

POOL = 5
"""Of so many times the slot's size, and at least LEAST_POOL, the best items are made diverse."""
LEAST_POOL = 50

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What one place has to offer. open: shape (n,), what may be shown. appeal: shape (n,), what orders it."""

    open: BoolArray
    appeal: FloatArray


def fill(
    offers: Sequence[Offer],
    items: Items,
    k: int,
    *,
    diversity: float = 0.0,
    stability: float = 0.0,
    pins: Sequence[tuple[int, int]] = (),
    last: IntArray | None = None,
) -> IntArray:
    """Up to k positions, in the order to show.

    offers: the place's own, then those that fill up what would stay empty. pins: places from 0, ascending, and
    positions. last: the page before, GONE where an item is not known any more.
    """
    if len(offers) == 1 and not (diversity or pins):
        from recommender.kernels.calm import slot

        return slot(offers[0].open, offers[0].appeal, k, _NONE if last is None else last, stability**STEEPNESS)
    pinned = np.array([at for _, at in pins[:k]], np.int64)
    first, own, best = offers[0], 0, _NONE
    for offer in offers:
        left = k - pinned.size - best.size
        if left > 0:
            more = _best(offer, _without(offer.open, pinned, best), items, left, diversity)
            if not best.size:
                first, own = offer, more.size
            best = np.concatenate([best, more])
    calm = stability > 0 and last is not None and last.size > 0
    if best.size + pinned.size == 0 or not (pins or calm):
        return best
    from recommender.kernels.calm import NOTHING, hold

    there = np.full(best.size + pinned.size, NOTHING)
    for place, at in _places(pins[:k], there.size).items():
        there[place] = at
    return hold(best, own, there, _NONE if last is None else last, first.open, first.appeal, stability**STEEPNESS)


def _best(offer: Offer, open_: BoolArray, items: Items, k: int, diversity: float) -> IntArray:
    if k == 0:
        return _NONE
    appeal = np.where(open_, offer.appeal, -np.inf)
    if diversity == 0:
        return top.best(appeal, k)
    pool = top.best(appeal, max(k * POOL, LEAST_POOL))
    return diverse(pool, offer.appeal[pool], items, k, diversity)


def diverse(pool: IntArray, appeal: FloatArray, items: Items, k: int, diversity: float) -> IntArray:
    """Up to k of a pool, best first: each as good, and as unlike those before it, as can be.

    pool: positions, best first; appeal: theirs. diversity: in [0, 1], what being unlike counts against the score,
    which is scaled to the pool's range. Maximal marginal relevance: Carbonell & Goldstein, 1998.
    """
    if pool.size < 2:
        return pool[:k]
    alike = likeness(pool, items)
    good = (1 - diversity) * (appeal - appeal[-1]) / max(float(appeal[0] - appeal[-1]), TINY)
    chosen: list[int] = []
    nearest = np.zeros(pool.size, np.float32)
    for _ in range(min(k, pool.size)):
        worth = good - diversity * nearest
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
        np.maximum(nearest, alike[chosen[-1]], out=nearest)
    return pool[chosen]


TINY = 1e-9


def likeness(positions: IntArray, items: Items) -> FloatArray:
    """Shape (m, m), in [0, 1]: the share of attributes and title words that two items have in common, of all theirs."""
    size = items.token_starts[positions + 1] - items.token_starts[positions]
    row = np.repeat(np.arange(positions.size), size)
    first = np.repeat(items.token_starts[positions] - np.cumsum(size) + size, size)
    tokens, column = np.unique(items.tokens[first + np.arange(row.size)], return_inverse=True)
    has = np.zeros((positions.size, tokens.size), np.float32)
    has[row, column] = 1
    both = has @ has.T
    either = size[:, None] + size[None, :] - both
    shared: FloatArray = (both / np.maximum(either, 1)).astype(np.float32)
    return shared


def _places(pins: Sequence[tuple[int, int]], size: int) -> dict[int, int]:
    """The pins by place, below the size of the page: where it ends earlier, its last places."""
    fixed: dict[int, int] = {}
    free = size
    for place, at in reversed(pins):
        free = min(place, free - 1)
        fixed[free] = at
    return fixed


def _without(open_: BoolArray, *parts: IntArray) -> BoolArray:
    taken = np.concatenate(parts)
    if taken.size == 0:
        return open_
    left = open_.copy()
    left[taken] = False
    return left
