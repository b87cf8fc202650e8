"""Who is who: the names of identities, and what linking two of them does.

An identity is one channel's name for a customer, `namespace:value`. A
customer is a set of identities. Here are the rules alone, over texts and
sets; a store keeps the sets.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from recommender.errors import ConflictError, UsageError

DEFAULT_NAMESPACE = "id"
LONGEST = 256
"""Characters in a value, the namespace not counted: so an id of that length still fits under `id:`."""

_NAMESPACE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def parse_identity(text: str) -> str:
    """The identity that a text names, in full: `crm:123` for itself, `id:123` for `123`.

    Parsing an identity gives it back. Raises UsageError, which never shows the text.
    """
    namespace, colon, value = text.partition(":")
    if not colon:
        namespace, value = DEFAULT_NAMESPACE, text
    elif not _NAMESPACE.fullmatch(namespace):
        raise UsageError(
            "The namespace before the colon of this identity is not a lower-case letter and up to 31 of a-z 0-9 _ -. "
            "Where the colon belongs to the name itself, write `id:` before it."
        )
    _check_value(value)
    return f"{namespace}:{value}"


def _check_value(value: str) -> None:
    if not value:
        raise UsageError("This identity is empty; wanted `namespace:value` or a plain id.")
    if len(value) > LONGEST:
        raise UsageError(f"This identity has {len(value)} characters; up to {LONGEST} are allowed.")
    if _UNFIT.search(value):
        raise UsageError("This identity holds a control character or half of a character; remove it.")


def namespace_of(identity: str) -> str:
    """The part of a parsed identity before its colon."""
    return identity.partition(":")[0]


def link(
    a: str, b: str, of_a: AbstractSet[str], of_b: AbstractSet[str], strong: Sequence[str]
) -> list[AbstractSet[str]]:
    """The customers that are left of two, once `a` of the one and `b` of the other are said to be one person.

    One set where the two customers become one. Where that would give a customer two identities of one strong
    namespace, a weak `a` or `b` moves alone to the other's customer (a shared device never merges two people).
    Raises ConflictError where both are strong, or both are weak: nobody can say which one to believe.
    """
    if b in of_a:
        return [of_a]
    if not _clash(of_a | of_b, strong):
        return [of_a | of_b]
    a_is_strong, b_is_strong = namespace_of(a) in strong, namespace_of(b) in strong
    if a_is_strong == b_is_strong:
        raise ConflictError(
            "These identities belong to two different customers, each with an identity of its own in the same strong "
            "namespace. Unlink the one that is wrong, then link again."
        )
    stays = [of_a - {a}, of_b | {a}] if b_is_strong else [of_b - {b}, of_a | {b}]
    return [customer for customer in stays if customer]


def unlink(identity: str, of_identity: AbstractSet[str]) -> list[AbstractSet[str]]:
    """The customers that are left of one, once an identity is given back to itself."""
    rest = of_identity - {identity}
    return [{identity}, rest] if rest else [{identity}]


def _clash(identities: AbstractSet[str], strong: Sequence[str]) -> bool:
    namespaces = [namespace for namespace in map(namespace_of, identities) if namespace in strong]
    return len(namespaces) != len(set(namespaces))
