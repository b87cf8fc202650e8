"""What each customer was shown: in memory at once, recalled from where answers are kept."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count
from math import inf
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np

from recommender.types import IntArray, code64

MOST_IDENTITIES = 50_000
"""Identities in memory: some 30 MB where each has one page of six places."""
MOST_PLACES = 64
"""Places of a page that are remembered; what lies behind them follows the ranking."""
MOST_ANSWERS = 200
"""Answers of an identity among which impressions are counted."""
FOR_PAGES = 20
"""Answers of an identity among which a placement's last page is looked for: most pages are asked for whole."""

BEHIND = 60_000
"""Milliseconds by which an answer may come to the ledger later than one that was given after it, and much more."""
WHOLE = 60.0
"""Seconds after which an identity is recalled as a whole once more, not what is new alone: it may have been erased."""

Recall = Callable[[str, int, int], Sequence[dict[str, Any]]]
"""An identity's newest answers on the ledger since an instant, milliseconds UTC, up to so many, newest first."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one placement showed. at: milliseconds UTC; who: a code of the identities known then, 0 where recalled.

    order: later pages are greater. codes: of the items in their order, as bytes. first: not the next part of a page.
    """

    placement: str
    first: bool
    at: int
    who: int
    order: tuple[str, int]
    codes: bytes


@dataclass(slots=True)
class _Memory:
    """One identity's pages by placement, oldest first.

    depth: how many answers were looked through; whole, read: when, and when those since then, monotonic.
    """

    pages: dict[str, list[Page]]
    depth: int
    whole: float
    read: float


class Shown:
    """Pages by identity, the identity least lately shown anything forgotten first. In any thread.

    A customer is a set of identities. One whose identities were just linked goes on from the newest page of these,
    one that is unlinked from its own page of before; impressions are those of all identities.
    recall: is asked for identities of whom nothing is in memory, such as after a restart.
    alone: seconds after which it is asked again, for another process may have answered the customer since.
    """

    def __init__(self, recall: Recall = lambda *_: (), alone: float = inf) -> None:
        self._recall, self._alone = recall, alone
        self._memories: OrderedDict[str, _Memory] = OrderedDict()
        self._number = count(1)
        self._turn = Lock()

    def last(self, identities: Sequence[str], placement: str) -> IntArray:
        """The codes of the items that the customer saw there last, in order; none for a new one."""
        who, own = hash(tuple(identities)), {0, *(hash((name,)) for name in identities)}
        pages = [page for name in identities for page in self._memory(name, FOR_PAGES).get(placement, ()) if page.first]
        wanted = {who, 0} if any(page.who == who for page in pages) else own
        newest = max((page for page in pages if page.who in wanted), key=lambda page: page.order, default=None)
        return np.zeros(0, np.int64) if newest is None else np.frombuffer(newest.codes, np.int64)

    def since(self, identities: Sequence[str], placements: AbstractSet[str], at: int) -> tuple[IntArray, IntArray]:
        """What these placements showed to the customer after an instant: the items' codes, and when, (n,), (n,)."""
        memories = [self._memory(name, MOST_ANSWERS) for name in identities]
        pages = [page for one in memories for name in placements for page in one.get(name, ()) if page.at > at]
        codes = np.frombuffer(b"".join([page.codes for page in pages]), np.int64)
        times = np.array([page.at for page in pages], np.int64)
        return codes, np.repeat(times, [len(page.codes) // codes.itemsize for page in pages])

    def page(
        self, identities: Sequence[str], id_: str, placement: str, at: int, codes: IntArray, *, first: bool = True
    ) -> Page:
        """A page to keep. id_: its answer's; at: milliseconds UTC."""
        order = id_[:12], next(self._number)
        return Page(placement, first, at, hash(tuple(identities)), order, codes[:MOST_PLACES].tobytes())

    def keep(self, identity: str, page: Page, *, all_: bool) -> None:
        """Remember a page as this identity was shown it. all_: every page of its placement, not the last alone."""
        with self._turn:
            memory = self._memories.setdefault(identity, _Memory({}, 0, 0.0, 0.0))
            self._forget(identity)
            pages = memory.pages.get(page.placement, [])
            if not all_:
                own = hash((identity,))
                pages = [p for p in pages if p.who == own != page.who]
            memory.pages[page.placement] = [*pages, page][-MOST_ANSWERS * 2 :]

    def forget(self, identities: Sequence[str]) -> None:
        """Let go of what these identities were shown."""
        with self._turn:
            for identity in identities:
                self._memories.pop(identity, None)

    def _memory(self, identity: str, depth: int) -> dict[str, list[Page]]:
        """An identity's pages by placement, of at least so many answers."""
        memory, now = self._memories.get(identity), monotonic()
        known = 0 if memory is None else memory.depth
        most = max(known, depth)
        if memory is None or known < depth or now - memory.whole > max(self._alone, WHOLE):
            return self._take(identity, self._recall(identity, 0, most), most, now, whole=True)
        if now - memory.read > self._alone:
            newest = max((int(pages[-1].order[0], 16) for pages in list(memory.pages.values())), default=0)
            return self._take(identity, self._recall(identity, newest - BEHIND, most), most, now, whole=False)
        return memory.pages

    def _take(
        self, identity: str, recalled: Sequence[dict[str, Any]], depth: int, now: float, *, whole: bool
    ) -> dict[str, list[Page]]:
        new = _pages(recalled)
        with self._turn:
            memory = self._memories.setdefault(identity, _Memory({}, 0, 0.0, 0.0))
            kept = {
                name: left
                for name, pages in memory.pages.items()
                if (left := [page for page in pages if page.who or not whole])
            }
            memory.pages = kept | {name: _joined(pages, kept.get(name, [])) for name, pages in new.items()}
            memory.depth, memory.read = depth, now
            if whole:
                memory.whole = now
            self._forget(identity)
        return memory.pages

    def _forget(self, newest: str) -> None:
        self._memories.move_to_end(newest)
        if len(self._memories) > MOST_IDENTITIES:
            self._memories.popitem(last=False)


def _joined(recalled: list[Page], own: list[Page]) -> list[Page]:
    """Pages of one placement, oldest first, each once: one's own may not be on the ledger yet."""
    known = {page.order[0] for page in own}
    new = [page for page in recalled if page.order[0] not in known]
    return sorted(new + own, key=lambda page: page.order) if own else new


def _pages(answers: Sequence[dict[str, Any]]) -> dict[str, list[Page]]:
    """The pages of answers as the ledger has them, newest first; of a placement that is there twice, the first."""
    found, codes = dict[str, list[Page]](), dict[str, int]()  # many answers show the same items
    for answer in reversed(answers):
        at = (answer.get("context") or {}).get("now", answer["at"])
        for slot in reversed(answer.get("slots", ())):
            ids = [item["item"] for item in slot["items"][:MOST_PLACES]]
            codes |= {id_: code64(id_) for id_ in ids if id_ not in codes}
            shown = np.array([codes[id_] for id_ in ids], np.int64).tobytes()
            order, placement = (answer["recommendation_id"][:12], 0), slot["placement"]
            page = Page(placement, not answer.get("after"), at, 0, order, shown)
            found.setdefault(placement, []).append(page)
    return found
