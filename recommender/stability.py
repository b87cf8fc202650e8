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
from dataclasses import dataclass
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
    fixed = set(pinned.values())
    if stability == 0 or not last or not best:
        others = iter([item for item in best if item not in fixed])
        return [pinned[place] if place in pinned else next(others) for place in range(len(best))]
    kept = [*last[: len(best)], *[GONE] * (len(best) - len(last))]
    if pinned:
        kept = [pinned.get(place, GONE if item in fixed else item) for place, item in enumerate(kept)]
    there = set(kept)
    worth = {item: float(probability[item]) for item in there.union(best) if item != GONE}
    price = stability**STEEPNESS * fsum([worth[best[0]], *[worth[item] for item in best]])
    newcomers = [item for item in best if item not in there and item not in fixed]
    choice = _Choice(kept, newcomers, worth, price, pinned)
    return max(map(choice.page, choice.firsts()), key=choice.gain)


def changes(page: Sequence[int], last: Sequence[int]) -> int:
    """In how many places, of those that both pages have, another item stands than before."""
    return sum(now != before for now, before in zip(page, last, strict=False))


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the pages that come into question are made of. kept: the page before, GONE where a place is empty."""

    kept: list[int]
    newcomers: list[int]
    worth: Mapping[int, float]
    price: float
    pinned: Mapping[int, int]

    def firsts(self) -> list[int]:
        """What may come first: what does already; of the others on the page, and of the newcomers, the best.

        These only where they are better: a first place that loses could win nothing behind it.
        """
        first, worth = self.kept[0], self.worth
        if 0 in self.pinned:
            return [first]
        menu = [item for item in self.kept if item not in (first, GONE) and item not in self.pinned.values()]
        rivals = [*([max(menu, key=worth.__getitem__)] if menu else []), *self.newcomers[:1]]
        return rivals if first == GONE else [first, *(item for item in rivals if worth[item] > worth[first])]

    def page(self, first: int) -> list[int]:
        """The page that is worth most after its price, among those on which this item is first."""
        kept, worth, others = self.kept, self.worth, self.newcomers
        page = kept.copy()
        if first != kept[0]:
            if first in page:
                page[page.index(first)] = GONE
            page[0] = first
            waiting = {*others, kept[0]} - {first, GONE}
            others = sorted(waiting, key=lambda item: (-worth[item], item))
        if others:
            places = [place for place in range(1, len(page)) if place not in self.pinned]
            places.sort(key=lambda place: -1 if page[place] == GONE else worth[page[place]])
            for place, item in zip(places, others, strict=False):
                if page[place] != GONE and worth[item] - worth[page[place]] <= self.price:
                    break
                page[place] = item
        return page

    def gain(self, page: Sequence[int]) -> float:
        """What a page is worth, less the price of what changes."""
        moved = sum([now != before != GONE for now, before in zip(page, self.kept, strict=True)])
        return fsum([self.worth[page[0]], *[self.worth[item] for item in page], -self.price * moved])
