"""The page that is worth most after the price of what changes: see stability.py, which says why."""

import numpy as np

from recommender.kernels.choose import best as best_of
from recommender.kernels.compiled import compiled
from recommender.stability import GONE
from recommender.types import BoolArray, FloatArray, IntArray

NOTHING = -2
"""Stands where nothing does: for a place without a pin, for no rival."""


@compiled("i1 i0")
def among(items: IntArray, item: int) -> bool:
    """Whether an item is among a few."""
    found = False
    for one in items:
        found |= one == item
    return found


@compiled("i1 i1 f1 i1 d0 i0")
def page_with(
    kept: IntArray, newcomers: IntArray, worth: FloatArray, pinned: IntArray, price: float, first: int
) -> IntArray:
    """The page that is worth most after its price, among those on which an item is first.

    kept: the page before, GONE where a place is empty. newcomers: best first. pinned: by place.
    """
    page, others, count = kept.copy(), np.empty(newcomers.size + 1, np.int64), 0
    for item in newcomers:
        if item != first:
            others[count] = item
            count += 1
    if first != kept[0]:
        for place in range(page.size):
            if page[place] == first:
                page[place] = GONE
        page[0] = first
        if kept[0] != GONE and not among(others[:count], kept[0]):
            others[count] = kept[0]
            count += 1
        for at in range(1, count):  # best first, of equal ones the lower position
            item, to = others[at], at
            while to and (
                worth[item] > worth[others[to - 1]] or (worth[item] == worth[others[to - 1]] and item < others[to - 1])
            ):
                others[to] = others[to - 1]
                to -= 1
            others[to] = item
    taken = np.zeros(page.size, np.bool_)
    for at in range(count):
        weakest, least = NOTHING, np.float32(0)
        for place in range(1, page.size):
            if not taken[place] and pinned[place] == NOTHING:
                there = np.float32(-1) if page[place] == GONE else worth[page[place]]
                if weakest == NOTHING or there < least:
                    weakest, least = place, there
        if weakest == NOTHING:
            break
        if page[weakest] != GONE and np.float64(worth[others[at]]) - np.float64(least) <= price:
            break
        taken[weakest] = True
        page[weakest] = others[at]
    return page


@compiled("i1 f1 i1 d0 i1")
def settle(best: IntArray, probability: FloatArray, kept: IntArray, share: float, pinned: IntArray) -> IntArray:
    """`stability.settle` where something was shown before; all arrays but `probability` are as long as the page.

    kept: the page before, pins in their places. share: of the hits expected of `best`, which a changed place must be
    worth. pinned: by place, NOTHING where there is none.
    """
    price = np.float64(probability[best[0]])
    for item in best:
        price += probability[item]
    price *= share
    newcomers, count = np.empty(best.size, np.int64), 0
    for item in best:
        if not among(kept, item) and not among(pinned, item):
            newcomers[count] = item
            count += 1
    firsts = np.array([kept[0], NOTHING, newcomers[0] if count else NOTHING])
    for item in kept:
        free = item not in (kept[0], GONE) and not among(pinned, item)
        if free and (firsts[1] == NOTHING or probability[item] > probability[firsts[1]]):
            firsts[1] = item
    chosen, most = kept.copy(), -np.inf
    for rank in range(1 if pinned[0] != NOTHING else 3):
        first = firsts[rank]
        if first < 0 or (rank and kept[0] != GONE and not probability[first] > probability[kept[0]]):
            continue
        page = page_with(kept, newcomers[:count], probability, pinned, price, first)
        gain = np.float64(probability[page[0]])
        for place in range(page.size):
            gain += probability[page[place]]
            gain -= price if kept[place] not in (GONE, page[place]) else 0.0
        if gain > most:
            chosen, most = page, gain
    return chosen


@compiled("i1 i0 i1 i1 b1 f1 d0")
def hold(
    best: IntArray, own: int, pins: IntArray, last: IntArray, open_: BoolArray, appeal: FloatArray, share: float
) -> IntArray:
    """The page to show in a slot: calm, and with its pins.

    best: the items to show beside the pins, of which the first `own` are the place's own; the others fill up and are
    worth nothing. pins: as long as the page, NOTHING where there is none. last: the page before, GONE where an item is
    not known any more. open_, appeal: of all items. share: see `settle`; 0 where nothing need stay.
    """
    size, worth = pins.size, np.zeros(appeal.size, np.float32)
    plain, kept = np.empty(size, np.int64), np.full(size, GONE)
    plain[: best.size] = best
    count = best.size
    for item in pins:
        if item != NOTHING:
            plain[count] = item
            count += 1
    if share == 0 or last.size == 0:
        count = 0
        for place in range(size):
            kept[place] = pins[place] if pins[place] != NOTHING else best[count]
            count += pins[place] == NOTHING
        return kept
    for place in range(min(size, last.size)):
        if last[place] >= 0 and open_[last[place]] and not among(pins, last[place]):
            kept[place] = last[place]
    for place in range(size):
        kept[place] = pins[place] if pins[place] != NOTHING else kept[place]
    if own:
        most = appeal[best[0]]
        for item in best[:own]:
            most = max(most, appeal[item])
        for items in (plain, kept):
            for item in items:
                if item >= 0:
                    worth[item] = np.exp(min(appeal[item] - most, np.float32(0)))
    for item in best[own:]:
        worth[item] = 0
    return settle(plain, worth, kept, share, pins)


@compiled("b1 f1 i0 i1 d0")
def slot(open_: BoolArray, appeal: FloatArray, k: int, last: IntArray, share: float) -> IntArray:
    """The best k of what is open, as calm as `hold` keeps them; see there."""
    worth = np.empty(appeal.size, np.float32)
    for at in range(appeal.size):
        worth[at] = appeal[at] if open_[at] else np.float32(-np.inf)
    page = best_of(worth, k)
    if page.size == 0 or last.size == 0 or share == 0:
        return page
    return hold(page, page.size, np.full(page.size, NOTHING), last, open_, appeal, share)
