"""Who was erased, known by hashes alone: a tombstone is a keyed hash of an identity, not the identity.

The hash of the empty name lies among them from the first erasure on. A process with another secret would know nobody
again who was erased, and let late events in; it does not find that one, and refuses to work.
"""

from collections.abc import Callable, Iterable, Sequence

from recommender.errors import StoreError
from recommender.secrets import Secret

WITNESS = ""


class Tombs:
    """Finds the erased among identities.

    known: of some hashes, those that lie there, asked anew each time.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._sure = False

    def digest(self, identity: str) -> bytes:
        """What an identity is known by after its end."""
        return self._secret.hash("erased", identity)

    def among(self, identities: Iterable[str], known: Callable[[Sequence[bytes]], Iterable[bytes]]) -> set[str]:
        """Those that were erased; the caller has seen that there is any tombstone. Raises StoreError."""
        if not self._sure:
            if not list(known([self.digest(WITNESS)])):
                raise StoreError(
                    "This site has erased people under another secret, and could not keep their late events out. "
                    "Set MURMELI_SECRET, or restore the home's file `secret`."
                )
            self._sure = True
        by_digest = {self.digest(name): name for name in identities}
        return {by_digest[digest] for digest in known(list(by_digest))}
