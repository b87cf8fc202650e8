"""Who was erased, on PostgreSQL."""

from collections.abc import Iterable, Sequence

from recommender.secrets import Secret
from recommender.stores.postgres.database import Connection, many, rows
from recommender.stores.tombs import WITNESS, Tombs

_WRITE = """
INSERT INTO tombstones VALUES (%s, %s, %s, false) ON CONFLICT (digest) DO UPDATE
SET at = excluded.at, number = greatest(tombstones.number, excluded.number), lifted = false
"""


class Tombstones:
    """The tombstones of one database."""

    def __init__(self, secret: Secret) -> None:
        self._tombs = Tombs(secret)

    def among(self, connection: Connection, identities: Iterable[str]) -> set[str]:
        """Those that were erased, as of now."""
        if not rows(connection, "SELECT 1 FROM tombstones LIMIT 1"):
            return set()

        def known(digests: Sequence[bytes]) -> Iterable[bytes]:
            query = "SELECT digest FROM tombstones WHERE digest = ANY(%s) AND NOT lifted"
            return [bytes(digest) for (digest,) in rows(connection, query, list(digests))]

        return self._tombs.among(identities, known)

    def write(self, connection: Connection, numbers: dict[str, int], at: int) -> None:
        """Keep identities out from now on; numbers: what each had, 0 where it had none."""
        self.among(connection, ())  # under another secret it would be kept out in vain
        many(
            connection, _WRITE, [(self._tombs.digest(n), at, number) for n, number in (numbers | {WITNESS: 0}).items()]
        )

    def lift(self, connection: Connection, identity: str) -> bool:
        """Let an identity in again; its tombstone stays, lifted."""
        query = "UPDATE tombstones SET lifted = true WHERE digest = %s AND NOT lifted"
        return connection.execute(query, (self._tombs.digest(identity),)).rowcount > 0
