"""The embedded store: `murmeli.db` holds what is known, `ledger.db` what was answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from recommender.consent import UNSTATED, Purpose
from recommender.secrets import Secret
from recommender.stores.sqlite import schema
from recommender.stores.sqlite.consents import SqliteConsents
from recommender.stores.sqlite.database import Database
from recommender.stores.sqlite.events import SqliteEvents
from recommender.stores.sqlite.identities import SqliteIdentities
from recommender.stores.sqlite.items import SqliteItems
from recommender.stores.sqlite.keys import SqliteKeys
from recommender.stores.sqlite.ledger import SqliteLedger
from recommender.stores.sqlite.persons import SqlitePersons
from recommender.stores.sqlite.tombstones import Tombstones

MAIN_FILE = "murmeli.db"
LEDGER_FILE = "ledger.db"


class SqliteStore:
    """The `Store` in a home folder.

    An acknowledged event outlives a power cut (synchronous FULL). An answer on the ledger outlives a killed
    process; a power cut may take the last ones (NORMAL), as it may those that are not written yet, and never
    harms the file: answers are written in groups behind the answer, and none waits for a disk.
    """

    remote = False

    def __init__(
        self,
        home: Path,
        strong: Sequence[str],
        *,
        writable: bool = True,
        secret: Secret | None = None,
        unstated: Mapping[Purpose, bool] = UNSTATED,
    ) -> None:
        self._main = Database(home / MAIN_FILE, schema.MAIN, synchronous="FULL", writable=writable)
        try:
            self._ledger = Database(home / LEDGER_FILE, schema.LEDGER, synchronous="NORMAL", writable=writable)
        except BaseException:
            self._main.close()
            raise
        tombstones = Tombstones(secret or Secret(home))
        self.events = SqliteEvents(self._main, tombstones, unstated)
        self.identities = SqliteIdentities(self._main, strong, tombstones)
        self.items = SqliteItems(self._main)
        self.keys = SqliteKeys(self._main)
        self.ledger = SqliteLedger(self._ledger, self._main, tombstones)
        self.consents = SqliteConsents(self._main, tombstones, unstated)
        self.persons = SqlitePersons(self._main, self._ledger, self.consents, tombstones)

    def check(self) -> dict[str, Any]:
        main, wrong_main = self._main.check()
        ledger, wrong_ledger = self._ledger.check()
        events, wrong_events = self.events.check()
        problems = wrong_main + wrong_ledger + wrong_events + self.persons.check()
        return {
            "engine": "sqlite",
            "version": apsw.sqlite_lib_version(),
            "schema": len(schema.MAIN),
            "events": events,
            "main": main,
            "ledger": ledger,
            "ok": not problems,
            "problems": problems,
        }

    def close(self) -> None:
        self._main.close()
        self._ledger.close()
