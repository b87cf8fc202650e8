"""What a customer agreed to, purpose by purpose: statements are kept with their time, and the strictest one holds.

A statement is written for every identity that the customer has at that moment, so a person can take back what they
said under another name. From there on each identity keeps its own: linking lets the stricter of two hold, and
unlinking gives each its own back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Purpose(StrEnum):
    """What personal data may be used for, if the customer agrees."""

    PERSONALISE = "personalise"
    MARKETING = "marketing"


UNSTATED: Mapping[Purpose, bool] = MappingProxyType({Purpose.PERSONALISE: True, Purpose.MARKETING: False})
"""What holds for a customer who said nothing, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Statement:
    """That somebody agreed to a purpose, or did not. at: milliseconds UTC; by: through whom it came."""

    identity: str
    purpose: Purpose
    given: bool
    at: int
    by: str


def holds(statements: Iterable[tuple[object, int, bool]], unstated: bool) -> bool:
    """Whether a purpose is agreed to, by (identity, time, given) of one customer's statements of it.

    The newest statement of each identity counts, and one "no" among these is a no.
    """
    newest: dict[object, tuple[int, bool]] = {}
    for identity, at, given in statements:
        newest[identity] = max(newest.get(identity, (at, given)), (at, given))
    return all(given for _, given in newest.values()) if newest else unstated


def customers_who(statements: Iterable[tuple[int, int, int, bool]], agreed: bool) -> frozenset[int]:
    """The customers whose statements of a purpose come to this; statements: (customer, identity, time, given)."""
    said: dict[int, list[tuple[object, int, bool]]] = {}
    for customer, identity, at, given in statements:
        said.setdefault(customer, []).append((identity, at, given))
    return frozenset(customer for customer, rows in said.items() if holds(rows, unstated=False) == agreed)
