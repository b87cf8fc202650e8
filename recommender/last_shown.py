"""What each customer was shown last in each placement: in memory at once, recalled from where answers are kept."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from time import monotonic

import numpy as np

from recommender.types import IntArray, codes64

MOST_PAGES = 50_000
"""Pages in memory: 25 MB where they have six places, twice that where they have MOST_PLACES."""
MOST_PLACES = 64
"""Places of a page that are remembered; what lies behind them follows the ranking."""

Recall = Callable[[Sequence[str], str], Sequence[str]]
"""From a customer's identities and a placement to the items last shown there to any of these, in order."""


class LastShown:
    """Pages by customer and placement, the least lately shown forgotten first. For one thread.

    A customer is a set of identities. So one whose identities were just linked goes on from the newest page of
    these, and one that is unlinked from its own page of before.
    recall: is asked for customers of whom nothing is in memory, such as after a restart.
    alone: seconds for which a page in memory is sure to be the newest; later ones may then be another process's,
    and what is recalled goes first.
    """

    def __init__(self, recall: Recall = lambda *_: (), alone: float = inf) -> None:
        self._recall, self._alone = recall, alone
        self._pages: OrderedDict[tuple[tuple[str, ...], str], tuple[int, bytes, float]] = OrderedDict()
        self._number = count()

    def find(self, identities: Sequence[str], placement: str) -> IntArray:
        """The codes of the items that the customer saw there last, in order; none for a new one."""
        page = self._pages.get((tuple(identities), placement))
        if page is None:
            own = [self._pages.get(((name,), placement)) for name in identities]
            page = max(filter(None, own), default=None)
        if page is None or monotonic() - page[2] > self._alone:
            recalled = codes64(self._recall(identities, placement))
            if page is None or recalled.size:
                return recalled
        return np.frombuffer(page[1], np.int64)

    def keep(self, identities: Sequence[str], placement: str, codes: IntArray) -> None:
        """Remember a page as it was shown."""
        customer = tuple(identities), placement
        self._pages[customer] = next(self._number), codes[:MOST_PLACES].tobytes(), monotonic()
        self._pages.move_to_end(customer)
        if len(self._pages) > MOST_PAGES:
            self._pages.popitem(last=False)
