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

import numpy as np

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
    fixed = set(pinned.values())
    if stability == 0 or not last or not best:
        others = iter([item for item in best if item not in fixed])
        return [pinned[place] if place in pinned else next(others) for place in range(len(best))]
    from recommender.kernels.calm import NOTHING
    from recommender.kernels.calm import settle as settled

    kept = [*last[: len(best)], *[GONE] * (len(best) - len(last))]
    pins = [NOTHING] * len(best)
    if pinned:
        kept = [pinned.get(place, GONE if item in fixed else item) for place, item in enumerate(kept)]
        pins = [pinned.get(place, NOTHING) for place in range(len(best))]
    plain, before, there = (np.array(items, np.int64) for items in (best, kept, pins))
    page: list[int] = settled(plain, probability, before, stability**STEEPNESS, there).tolist()
    return page


def changes(page: Sequence[int], last: Sequence[int]) -> int:
    """In how many places, of those that both pages have, another item stands than before."""
    return sum(now != before for now, before in zip(page, last, strict=False))
