"""How calm a page stays: where each item stands, given what this customer was shown there the last time.

A page is worth the hits that are expected of it: that its first item is the
one wanted (what a spotlight is for), and that any of its items is (what a
menu is for). Each place that changes has a price. What is shown is the page
that is worth most after its price. So the first place, which counts twice,
follows the ranking, and the menu behind it is a set whose members keep their
places: a newcomer takes that of the weakest, and an item that comes first
changes places with the one that was.

On the logs that this was chosen on, a price in probability cost fewer hits
for the same calm than a margin in log-odds, or than one that also weighs what
an item is worth in the long run.
"""

from collections.abc import Mapping, Sequence
from math import fsum

from recommender.types import FloatArray

STEEPNESS = 3
"""The exponent that spreads the dial: most of what there is to choose lies below a price of a tenth of a page."""

GONE = -1
"""Stands in the last page for an item that cannot be shown any more."""


def settle(
    best: Sequence[int],
    probability: FloatArray,
    last: Sequence[int],
    stability: float,
    pinned: Mapping[int, int] | None = None,
) -> list[int]:
    """The page to show: positions of items, as many as `best` has, each once.

    best: the plain ranking, best first. probability: shape (n,), that an item is the one wanted; any common factor
    will do. last: the page shown before, each item once, GONE where it must leave.
    stability: in [0, 1]. A changed place must be worth its third power, as a share of the hits expected of the
    plain ranking; at 0 that ranking is shown, at 1 nothing moves but what must.
    pinned: by place below the size of `best` (0 is the first), what stands there, and nowhere else, whatever it is
    worth.
    """
    pinned = pinned or {}
    fixed = frozenset(pinned.values())
    if stability == 0 or not last or not best:
        others = iter([item for item in best if item not in fixed])
        return [pinned[place] if place in pinned else next(others) for place in range(len(best))]
    kept = [pinned.get(place, GONE if item in fixed else item) for place, item in enumerate(last[: len(best)])]
    kept += [pinned.get(place, GONE) for place in range(len(kept), len(best))]
    worth = {item: float(probability[item]) for item in {*best, *kept} if item != GONE}
    price = stability**STEEPNESS * fsum(worth[item] for item in (best[0], *best))
    newcomers = [item for item in best if item not in kept and item not in fixed]
    pages = [
        _with_first(first, kept, newcomers, worth, price, pinned) for first in _firsts(kept, newcomers, worth, pinned)
    ]
    return max(pages, key=lambda page: _gain(page, kept, worth, price))


def changes(page: Sequence[int], last: Sequence[int]) -> int:
    """In how many places, of those that both pages have, another item stands than before."""
    return sum(now != before for now, before in zip(page, last, strict=False))


def _firsts(
    kept: Sequence[int], newcomers: Sequence[int], worth: Mapping[int, float], pinned: Mapping[int, int]
) -> list[int]:
    """What may come first: what does already, the best of the others on the page, the best of the newcomers."""
    if 0 in pinned:
        return [pinned[0]]
    menu = [item for place, item in enumerate(kept) if place and place not in pinned and item != GONE]
    best = [max(menu, key=worth.__getitem__)] if menu else []
    return [item for item in (kept[0], *best, *newcomers[:1]) if item != GONE]


def _with_first(
    first: int,
    kept: Sequence[int],
    newcomers: Sequence[int],
    worth: Mapping[int, float],
    price: float,
    pinned: Mapping[int, int],
) -> list[int]:
    """The page that is worth most after its price, among those on which this item is first."""
    page = [first, *(GONE if item == first else item for item in kept[1:])]
    waiting = {*newcomers, kept[0]} - {first, GONE}
    others = sorted(waiting, key=lambda item: (-worth[item], item))
    places = [place for place in range(1, len(page)) if place not in pinned]
    empty = [place for place in places if page[place] == GONE]
    weakest = sorted((place for place in places if page[place] != GONE), key=lambda place: worth[page[place]])
    for place, item in zip([*empty, *weakest], others, strict=False):
        if page[place] != GONE and worth[item] - worth[page[place]] <= price:
            break
        page[place] = item
    return page


def _gain(page: Sequence[int], kept: Sequence[int], worth: Mapping[int, float], price: float) -> float:
    moved = sum(now != before != GONE for now, before in zip(page, kept, strict=True))
    return fsum([worth[page[0]], *(worth[item] for item in page), -price * moved])
