"""The site's secret: what makes a hash worthless to whoever has the database and not the home.

One secret serves every purpose; a hash is made for one purpose, so that it says nothing to another.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from recommender.errors import StoreError

VARIABLE = "MURMELI_SECRET"
"""The environment's name for it; replicas on several machines share one."""
FILE = "secret"
"""Where it lies in the home otherwise, readable for its owner alone."""
_BLOCK = 64
"""Bytes of a block of SHA-256."""
SHORTEST = 16
"""Characters that a secret of the environment has at least."""


class Secret:
    """A home's secret, read when it is first needed, and made where there is none; None: the environment's alone.

    Raises StoreError where it is too short, or cannot be read or made.
    """

    def __init__(self, home: Path | None) -> None:
        self._home = home

    def hash(self, purpose: str, text: str) -> bytes:
        """HMAC-SHA256, 32 bytes: of one text, for one purpose."""
        within, around = self._begun
        within, around = within.copy(), around.copy()
        within.update(f"{purpose}\0{text}".encode())
        around.update(within.digest())
        return around.digest()

    @cached_property
    def _begun(self) -> "tuple[hashlib._Hash, hashlib._Hash]":
        """The two hashes of RFC 2104 with the secret in them: every key and every new identity goes on from here.

        1.2 us, where `hmac.digest` begins anew in 3.8.
        """
        secret = self._value if len(self._value) <= _BLOCK else hashlib.sha256(self._value).digest()
        padded = secret.ljust(_BLOCK, b"\0")
        return hashlib.sha256(bytes(b ^ 0x36 for b in padded)), hashlib.sha256(bytes(b ^ 0x5C for b in padded))

    @cached_property
    def _value(self) -> bytes:
        given = os.environ.get(VARIABLE)
        if given is not None:
            if len(given) < SHORTEST:
                raise StoreError(f"{VARIABLE} has {len(given)} characters; give it {SHORTEST} random ones or more.")
            return given.encode()
        if self._home is None:
            raise StoreError(f"There is no home to keep a secret in. Set {VARIABLE}.")
        path = self._home / FILE
        try:
            if not path.exists():
                _make(path)
            return path.read_bytes().strip()
        except OSError as error:
            raise StoreError(
                f"{path} cannot be used ({error.strerror}). Make it readable, or set {VARIABLE}."
            ) from error


def _make(path: Path) -> None:
    """A new secret, whole or not at all: another process that makes one at the same moment finds the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}-{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    try:
        with draft.open("w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
