"""Customer tokens: whom a front end may act for, in the word of the company's own back end.

A token is a JSON Web Token (RFC 7519) signed with HS256: `sub` is the
customer's identity, `exp` the second at which it ends. The back end signs it
with the secret that came with the frontend key; a browser has key and token,
and can therefore neither read nor write as anybody else.
"""

import binascii
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson

from recommender.errors import UsageError
from recommender.identity import parse_identity
from recommender.keys import signing_secret_of
from recommender.secrets import Secret

HEADER = b"x-customer-token"
LONGEST_LIFE = 3600.0
"""Seconds that a token may be valid from now on; a page that stays open asks its back end for another."""
SKEW = 60.0
"""Seconds by which two clocks may differ."""

_LONGEST = 4096
_MOST = 10_000
"""Tokens remembered as good, about 5 MB; then all are checked anew."""


class Tokens:
    """Checks tokens, each once: a visitor sends the same one with every call."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._good: dict[tuple[str, bytes], tuple[str, float]] = {}

    def customer_of(self, token: bytes, prefix: str) -> str | None:
        """The identity that a token of a key names, None where it is not valid now."""
        found = self._good.get((prefix, token)) or self._check(token, prefix)
        return found[0] if found and found[1] > time.time() else None

    def _check(self, token: bytes, prefix: str) -> tuple[str, float] | None:
        claims = verified(token, signing_secret_of(prefix, self._secret).encode())
        found = _named(claims, time.time()) if claims else None
        if found:
            if len(self._good) >= _MOST:
                self._good.clear()
            self._good[prefix, token] = found
        return found


def verified(token: bytes, secret: bytes) -> dict[str, Any] | None:
    """The claims of a token that this secret signed by HS256, else None."""
    signed, _, signature = token.rpartition(b".")
    header, dot, payload = signed.partition(b".")
    right = urlsafe_b64encode(hmac.digest(secret, signed, "sha256")).rstrip(b"=")
    if not dot or len(token) > _LONGEST or not hmac.compare_digest(signature, right):
        return None
    try:
        said, claims = (orjson.loads(urlsafe_b64decode(part + b"==")) for part in (header, payload))
    except (binascii.Error, orjson.JSONDecodeError):
        return None
    if not isinstance(said, dict) or said.get("alg") != "HS256" or "crit" in said:
        return None
    return claims if isinstance(claims, dict) else None


def _named(claims: dict[str, Any], now: float) -> tuple[str, float] | None:
    """Whom the claims name, and until when; None where they are not those of a customer token of now."""
    customer, end, start = claims.get("sub"), _number(claims.get("exp")), _number(claims.get("nbf", 0))
    if not isinstance(customer, str) or end is None or start is None:
        return None
    if not now < end <= now + LONGEST_LIFE + SKEW or start > now + SKEW:
        return None
    try:
        return parse_identity(customer), end
    except UsageError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
