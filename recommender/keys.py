"""API keys: how they are made, and how little of them is kept.

A key reads `mk_PREFIX_SECRET`. The store has the prefix, which is a name and
may be shown, and a digest of the whole under the site's secret: whoever reads
the database has no key, and whoever can write to it cannot forge one. What a
frontend key's customer tokens are signed with is derived from the site's
secret too, and is kept nowhere.
"""

import secrets
import time
from collections.abc import Iterable

from recommender.secrets import Secret
from recommender.stores.base import Key, Keys
from recommender.types import Role

MARK = "mk_"
_CHECK = 4
"""Characters at the end of a prefix that follow from the rest and the secret: a key says which secret it is under."""
_PREFIX = len(MARK) + 8 + _CHECK
"""Characters of a prefix; older ones are shorter and say nothing."""


def new_key(keys: Keys, secret: Secret, role: Role, name: str = "") -> tuple[Key, str]:
    """Make a key and keep its digest; returns what is kept, and the key itself, which nobody can see again."""
    prefix = MARK + secrets.token_hex(4)
    prefix += _check(prefix, secret)
    text = f"{prefix}_{secrets.token_hex(20)}"
    key = Key(prefix, digest_of(text, secret), role, name, time.time_ns() // 1_000_000)
    keys.add(key)
    return key, text


def first_key(keys: Keys, secret: Secret) -> str | None:
    """An admin's key for a site where no key is valid; None where there is one."""
    if any(key.revoked is None for key in keys.all()):
        return None
    return new_key(keys, secret, Role.ADMIN, "first")[1]


def misfits(keys: Keys, secret: Secret) -> list[str]:
    """What is wrong: that valid keys were made under another secret, so that nobody's call is let in with them."""
    return misfits_among([key for key in keys.all() if key.revoked is None], secret)


def misfits_among(keys: Iterable[Key], secret: Secret) -> list[str]:
    """The same of keys that were read; all of them valid."""
    valid = [key.prefix for key in keys if len(key.prefix) == _PREFIX]
    strange = sum(_check(prefix[:-_CHECK], secret) != prefix[-_CHECK:] for prefix in valid)
    if not strange:
        return []
    return [
        f"{strange} of {len(valid)} keys were made under another secret, and calls with them are refused. "
        "Set MURMELI_SECRET, restore the home's file `secret`, or revoke them and make others."
    ]


def _check(name: str, secret: Secret) -> str:
    return secret.hash("name", name).hex()[:_CHECK]


def prefix_of(text: str) -> str:
    """What a key is called."""
    return text[: text.rfind("_")]


def digest_of(text: str, secret: Secret) -> bytes:
    """What is kept of a key."""
    return secret.hash("key", text)


def signing_secret_of(prefix: str, secret: Secret) -> str:
    """What the company's back end signs the customer tokens with that go with a frontend key."""
    return secret.hash("sign", prefix).hex()
