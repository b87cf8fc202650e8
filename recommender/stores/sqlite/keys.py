"""The API keys, on SQLite."""

import apsw

from recommender.errors import ConflictError
from recommender.stores.base import Key
from recommender.stores.sqlite.database import Database
from recommender.types import Role


class SqliteKeys:
    """The `Keys` seam on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key) -> None:
        row = (key.prefix, key.digest, key.role.value, key.name, key.created, key.revoked)
        with self._database.writing() as connection:
            try:
                connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", row)
            except apsw.ConstraintError:
                raise ConflictError("There is a key of this prefix already. Try again.") from None

    def all(self) -> list[Key]:
        found = self._database.fetch("SELECT * FROM keys ORDER BY created, prefix")
        return [Key(prefix, digest, Role(role), *rest) for prefix, digest, role, *rest in found]

    def revoke(self, prefix: str, at: int) -> bool:
        with self._database.writing() as connection:
            connection.execute("UPDATE keys SET revoked = ? WHERE prefix = ? AND revoked IS NULL", (at, prefix))
            return connection.changes() == 1
