"""The API keys, on PostgreSQL."""

from recommender.errors import ConflictError
from recommender.stores.base import Key
from recommender.stores.postgres.database import Database
from recommender.types import Role


class PostgresKeys:
    """The `Keys` seam on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key) -> None:
        row = (key.prefix, key.digest, key.role.value, key.name, key.created, key.revoked)
        with self._database.writing() as connection:
            query = "INSERT INTO keys VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
            if not connection.execute(query, row).rowcount:
                raise ConflictError("There is a key of this prefix already. Try again.")

    def all(self) -> list[Key]:
        found = self._database.fetch("SELECT * FROM keys ORDER BY created, prefix")
        return [Key(prefix, bytes(digest), Role(role), *rest) for prefix, digest, role, *rest in found]

    def revoke(self, prefix: str, at: int) -> bool:
        query = "UPDATE keys SET revoked = %s WHERE prefix = %s AND revoked IS NULL"
        with self._database.writing() as connection:
            return connection.execute(query, (at, prefix)).rowcount == 1
