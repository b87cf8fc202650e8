"""The placements that pages are filled by: follows `murmeli.toml` while the service runs.

A changed file is read, checked and looked up for all items in a thread; then
one assignment, between two requests, puts it in place. A file that is wrong,
or gone, changes nothing; it is told of once, and what held before goes on.
"""

import asyncio
import logging
from pathlib import Path

from recommender.errors import MurmeliError, StoreError
from recommender.places import Places
from recommender.settings import Settings, load_settings
from serving.live_model import LiveModel
from serving.telemetry import LOGGER

EVERY = 1.0
"""Seconds between two looks at the file: one `stat` each."""

LIVE = ("placements", "context")
"""The settings that act at once; all others want a restart."""

_log = logging.getLogger(LOGGER)

Stamp = tuple[int, int, int] | None


class LiveSettings:
    """Follows one file. `run` in the background, or `catch_up` by hand. file: None where there is none to follow."""

    def __init__(self, file: Path | None, live: LiveModel, settings: Settings) -> None:
        self._file, self._live, self._started = file, live, settings
        self._seen = _stamp(file)
        self.refused = False
        """Whether the file is wrong, and what held before it goes on."""

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while self._file is not None:
            await asyncio.sleep(EVERY)
            try:
                await self.catch_up()
            except Exception:
                _log.exception("The settings could not be followed; those in use go on.")

    async def catch_up(self) -> None:
        """Fill pages by the file's placements, where it changed."""
        stamp = _stamp(self._file)
        if self._file is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            settings, places = await asyncio.to_thread(self._read, self._file)
        except MurmeliError as error:
            self.refused = True
            _log.error("The settings are refused; those in use go on.", extra={"fields": {"reason": str(error)}})
            return
        self.refused = False
        self._live.settle(settings, places)
        waiting = [name for name in Settings.model_fields if getattr(settings, name) != getattr(self._started, name)]
        waiting = [name for name in waiting if name not in LIVE]
        _log.info("The placements are in use.", extra={"fields": {"restart_for": waiting} if waiting else {}})

    def _read(self, file: Path) -> tuple[Settings, Places]:
        if not file.exists():  # a home that never had one has the defaults; one that had it lost it
            raise StoreError(f"{file.name} is gone. Put it back; `murmeli init` writes a commented one.")
        settings = load_settings(file.parent)
        places = Places(settings)
        places.warm(self._live.recommender.catalogue)
        return settings, places


def _stamp(file: Path | None) -> Stamp:
    """What changes when the file does; None where it is not there."""
    try:
        state = file.stat() if file else None
    except OSError:
        return None
    return (state.st_mtime_ns, state.st_ino, state.st_size) if state else None
