"""Before anything else is looked at: who calls, by the key that came along.

Keys are in memory, so a request asks no store; they are read anew twice a
second, so a revoked key stops within a second in every worker and replica.
"""

import asyncio
import hmac
import logging
import time
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from recommender.keys import digest_of, misfits_among, prefix_of
from recommender.secrets import Secret
from recommender.stores.base import Key, Keys
from recommender.types import Role
from serving.limits import Rates
from serving.problems import ForbiddenError, customer_token_problem, problem, problem_of, too_often_problem
from serving.roles import OPEN
from serving.telemetry import LOGGER
from serving.tokens import HEADER, Tokens

CALLER = "murmeli.caller"
"""Where in the scope the `Caller` is."""

EVERY = 0.5
"""Seconds between two looks at the keys."""

_BEARER = "bearer "
_NOBODY = bytes(32)

_log = logging.getLogger(LOGGER)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key a request carries. customer: the only one they may act for; None: anyone."""

    key: Key
    customer: str | None = None

    def act_for(self, customer: str) -> None:
        """Raises ForbiddenError unless they may act for this customer. customer: a parsed identity."""
        if self.customer is not None and customer != self.customer:
            raise ForbiddenError("This key acts for the customer named in its token alone.")


Headers = list[tuple[bytes, bytes]]


class Keyring:
    """The keys that are valid now."""

    def __init__(self, keys: Keys, secret: Secret) -> None:
        self._keys, self.secret = keys, secret
        self._valid: dict[str, Key] = {}
        self.misfits: list[str] = []
        """What is wrong with the keys: that some were made under another secret."""

    @property
    def empty(self) -> bool:
        """Whether no key is valid."""
        return not self._valid

    def refresh(self) -> None:
        """Look at the store. Raises StoreError where it cannot be read."""
        valid = {key.prefix: key for key in self._keys.all() if key.revoked is None}
        if valid.keys() != self._valid.keys():
            self.misfits = misfits_among(valid.values(), self.secret)
            for told in self.misfits:
                _log.error("Keys do not fit the secret.", extra={"fields": {"reason": told}})
        self._valid = valid

    async def run(self) -> None:
        """Look again and again, until cancelled; while the store cannot be read, the keys stay as they are."""
        failing = False
        while True:
            await asyncio.sleep(EVERY)
            try:
                await asyncio.to_thread(self.refresh)
                failing = False
            except Exception:
                if not failing:
                    _log.exception("The keys cannot be read; those known go on.")
                failing = True

    def find(self, text: str) -> Key | None:
        """The valid key that this is, or None; it takes as long to say no as to say yes."""
        if self.empty:
            return None
        key = self._valid.get(prefix_of(text))
        same = hmac.compare_digest(digest_of(text, self.secret), key.digest if key else _NOBODY)
        return key if same else None


class Gate:
    """Lets a request in that carries a valid key; what its role may do, the route asks (`serving/requests.py`)."""

    def __init__(self, app: ASGIApp, keyring: Keyring, rates: Rates) -> None:
        self._app, self._keyring, self._rates = app, keyring, rates
        self._tokens = Tokens(keyring.secret)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] not in OPEN:
            app = self._refusal(scope) or app
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        caller = self._caller(scope["headers"])
        if isinstance(caller, Response):
            return caller
        scope[CALLER] = caller
        wait = self._rates.wait(caller.key.prefix, caller.customer, time.monotonic())
        return too_often_problem(wait) if wait else None

    def _caller(self, headers: Headers) -> Caller | Response:
        """Who calls, or what they are told."""
        key = self._keyring.find(_bearer(headers))
        if key is None:
            return self._no_key()
        if key.role is not Role.FRONTEND:
            return Caller(key)
        customer = self._tokens.customer_of(_header(headers, HEADER), key.prefix)
        return customer_token_problem() if customer is None else Caller(key, customer)

    def _no_key(self) -> Response:
        refusal = problem_of(401)
        if self._keyring.empty:
            detail = "This site has no keys yet. `murmeli keys create --role backend` makes one."
            refusal = problem(401, "no-key", "Unauthorized", detail)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal


def _bearer(headers: Headers) -> str:
    text = _header(headers, b"authorization").decode("latin-1")
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else ""


def _header(headers: Headers, wanted: bytes) -> bytes:
    for name, value in headers:  # a generator would take twice as long, on the way of every call
        if name == wanted:
            return value
    return b""


def caller_of(scope: Scope) -> Caller:
    """Who calls, behind the gate."""
    caller: Caller = scope[CALLER]
    return caller
