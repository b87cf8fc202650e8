"""What is asked of a page, and what is answered.

What is answered has no slots: of what has, orjson takes four times as long.
"""

import random
import time
from dataclasses import dataclass

from recommender.history import Context


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """One placement to fill. k: the placement's size where None.

    candidates: the items to choose from, all where None. before: what earlier pages of the same answer showed there.
    """

    placement: str
    k: int | None = None
    exclude: tuple[str, ...] = ()
    candidates: tuple[str, ...] | None = None
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A page: the slots are filled in order, and no item is shown twice unless a placement repeats.

    personalise: whether anything known of the customer may count; else everybody gets the same.
    """

    customer: str
    slots: tuple[SlotRequest, ...]
    context: Context
    personalise: bool = True


@dataclass(frozen=True)
class RankedItem:
    """score: the probability that this is what the customer takes next, in [0, 1]; higher is better."""

    item: str
    score: float
    reason: str
    propensity: float = 1.0


@dataclass(frozen=True)
class Slot:
    """A filled placement, in the order to show, which is not always the order of the scores."""

    placement: str
    items: tuple[RankedItem, ...]


@dataclass(frozen=True)
class Recommendation:
    """One answer. degraded: what could not be used for it."""

    recommendation_id: str
    model: str
    degraded: tuple[str, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """Some of the customer's own events. uses: how many of an item, its newest; score: what it would be without."""

    item: str
    uses: int
    score: float


@dataclass(frozen=True, slots=True)
class Cause:
    """What a score comes from. source: without it, it would be `score`. own: the customer's events that count most."""

    source: str
    score: float
    own: Own | None


@dataclass(frozen=True, slots=True)
class Note:
    """What is told of an item on a page.

    parts: by source, how much it lifted the item's log-score above the average item's; they add up to the
    difference in log-score. rules: without each of which it would stand elsewhere. why: words for a customer to read.
    """

    parts: dict[str, float]
    rules: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item stands where it stands for a customer, or why it does not stand there.

    rank: 1 for the first, None where the item is not shown; `hidden` then says why, and `otherwise` is the rank that
    its score would have. parts, rules, why: see Note. proposed_by: the sources that say more of it than of an item
    that they do not know. needed: the least boost that would put it on the page; None where it is, or where none would.
    """

    item: str
    placement: str
    rank: int | None
    score: float
    reason: str
    parts: dict[str, float]
    hidden: str | None
    rules: tuple[str, ...] = ()
    why: str = ""
    proposed_by: tuple[str, ...] = ()
    cause: Cause | None = None
    needed: float | None = None
    otherwise: int | None = None


def new_recommendation_id() -> str:
    """32 hexadecimal digits; ids of later milliseconds sort later, so that a ledger appends."""
    some = random.getrandbits(80)
    return f"{time.time_ns() // 1_000_000:012x}{some:020x}"
