"""The store of a site with several machines: one PostgreSQL database, any number of replicas."""

from collections.abc import Mapping, Sequence
from typing import Any

from recommender.consent import UNSTATED, Purpose
from recommender.errors import StoreError
from recommender.secrets import Secret
from recommender.stores.postgres import schema
from recommender.stores.postgres.consents import PostgresConsents
from recommender.stores.postgres.database import Database
from recommender.stores.postgres.events import PostgresEvents
from recommender.stores.postgres.identities import PostgresIdentities
from recommender.stores.postgres.items import PostgresItems
from recommender.stores.postgres.keys import PostgresKeys
from recommender.stores.postgres.ledger import PostgresLedger
from recommender.stores.postgres.persons import PostgresPersons
from recommender.stores.postgres.tombstones import Tombstones


class PostgresStore:
    """The `Store` in a PostgreSQL database; the tables are made, and brought up to date, when it is opened."""

    remote = True

    def __init__(
        self,
        url: str,
        strong: Sequence[str],
        *,
        writable: bool = True,
        secret: Secret | None = None,
        unstated: Mapping[Purpose, bool] = UNSTATED,
    ) -> None:
        self._database = Database(url, writable=writable)
        try:
            self._prepare(writable)
        except BaseException:
            self._database.close()
            raise
        tombstones = Tombstones(secret or Secret(None))
        self.events = PostgresEvents(self._database, tombstones, unstated)
        self.identities = PostgresIdentities(self._database, strong, tombstones)
        self.items = PostgresItems(self._database)
        self.keys = PostgresKeys(self._database)
        self.ledger = PostgresLedger(self._database, tombstones)
        self.consents = PostgresConsents(self._database, tombstones, unstated)
        self.persons = PostgresPersons(self._database, self.consents, tombstones)

    def _prepare(self, writable: bool) -> None:
        if writable:
            schema.prepare(self._database)
            return
        found = schema.version_of(self._database)
        schema.check_version(found)
        if found < schema.VERSION:
            raise StoreError(f"{self._database.place} has no store yet. `murmeli import events FILE` makes one.")

    def check(self) -> dict[str, Any]:
        events, problems = self.events.check()
        version, durable, size = self._database.fetch(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit') || ', fsync ' || "
            "current_setting('fsync'), pg_database_size(current_database())"
        )[0]
        problems += self.persons.check()
        if "fsync off" in durable:
            problems.append("fsync is off: a power cut may lose events that were acknowledged. Turn it on.")
        return {
            "engine": "postgresql",
            "version": version,
            "schema": schema.version_of(self._database),
            "events": events,
            "main": {"place": self._database.place, "durability": durable, "bytes": size},
            "ok": not problems,
            "problems": problems,
        }

    def close(self) -> None:
        self._database.close()
