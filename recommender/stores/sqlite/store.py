"""The embedded store: `murmeli.db` holds what is known, `ledger.db` what was answered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from recommender.stores.sqlite import schema
from recommender.stores.sqlite.database import Database
from recommender.stores.sqlite.events import SqliteEvents
from recommender.stores.sqlite.identities import SqliteIdentities
from recommender.stores.sqlite.items import SqliteItems
from recommender.stores.sqlite.keys import SqliteKeys
from recommender.stores.sqlite.ledger import SqliteLedger

MAIN_FILE = "murmeli.db"
LEDGER_FILE = "ledger.db"


class SqliteStore:
    """The `Store` in a home folder.

    An acknowledged event outlives a power cut (synchronous FULL). An answer on the ledger outlives a killed
    process; a power cut may take the last ones (NORMAL), as it may those that are not written yet, and never
    harms the file: answers are written in groups behind the answer, and none waits for a disk.
    """

    remote = False

    def __init__(self, home: Path, strong: Sequence[str], *, writable: bool = True) -> None:
        self._main = Database(home / MAIN_FILE, schema.MAIN, synchronous="FULL", writable=writable)
        try:
            self._ledger = Database(home / LEDGER_FILE, schema.LEDGER, synchronous="NORMAL", writable=writable)
        except BaseException:
            self._main.close()
            raise
        self.events = SqliteEvents(self._main)
        self.identities = SqliteIdentities(self._main, strong)
        self.items = SqliteItems(self._main)
        self.ledger = SqliteLedger(self._ledger)
        self.keys = SqliteKeys(self._main)

    def check(self) -> dict[str, Any]:
        main, wrong_main = self._main.check()
        ledger, wrong_ledger = self._ledger.check()
        events, wrong_events = self.events.check()
        problems = wrong_main + wrong_ledger + wrong_events
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
