"""Who was erased, on SQLite."""

from collections.abc import Iterable, Sequence

import apsw

from recommender.secrets import Secret
from recommender.stores.tombs import WITNESS, Tombs

_WRITE = """
INSERT INTO tombstones VALUES (?1, ?2, ?3, 0)
ON CONFLICT (digest) DO UPDATE SET at = excluded.at, number = max(number, excluded.number), lifted = 0
"""


class Tombstones:
    """The tombstones of `murmeli.db`."""

    def __init__(self, secret: Secret) -> None:
        self._tombs = Tombs(secret)

    def among(self, connection: apsw.Connection, identities: Iterable[str]) -> set[str]:
        """Those that were erased, as of now."""
        if not connection.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone():
            return set()

        def known(digests: Sequence[bytes]) -> Iterable[bytes]:
            query = "SELECT digest FROM tombstones WHERE digest = ? AND NOT lifted"
            return [digest for (digest,) in connection.executemany(query, [(one,) for one in digests])]

        return self._tombs.among(identities, known)

    def write(self, connection: apsw.Connection, numbers: dict[str, int], at: int) -> None:
        """Keep identities out from now on; numbers: what each had, 0 where it had none."""
        self.among(connection, ())  # under another secret it would be kept out in vain
        rows = [(self._tombs.digest(name), at, number) for name, number in (numbers | {WITNESS: 0}).items()]
        connection.executemany(_WRITE, rows)

    def lift(self, connection: apsw.Connection, identity: str) -> bool:
        """Let an identity in again; its tombstone stays, lifted."""
        query = "UPDATE tombstones SET lifted = 1 WHERE digest = ? AND NOT lifted"
        connection.execute(query, (self._tombs.digest(identity),))
        return connection.changes() > 0
