"""The model that answers: follows the registry's champion while the service runs.

A new champion is loaded and checked in a thread, with a recommender of its
own around it; then one assignment, between two requests, puts it in place. A
champion that must not be loaded is refused and counted, and what answered
before goes on answering.
"""

import asyncio
import logging
from collections.abc import Sequence

from recommender.champion import choose, load_model
from recommender.errors import ArtefactError, NotFoundError
from recommender.kernels import warm
from recommender.model import Model
from recommender.places import Places
from recommender.recommender import Recommender
from recommender.registry import MAIN, Registry
from recommender.settings import Settings
from recommender.shown import Shown
from recommender.stores.base import Store
from serving.telemetry import LOGGER, Telemetry

EVERY = 0.5
"""Seconds between two looks at the registry: one `stat` each."""

_log = logging.getLogger(LOGGER)


class LiveModel:
    """Holds the recommender in use. `start` once; then `run` in the background, or `catch_up` by hand."""

    def __init__(
        self, registry: Registry, store: Store, settings: Settings, telemetry: Telemetry, shown: Shown
    ) -> None:
        self.registry = registry
        self._store, self._settings, self._telemetry = store, settings, telemetry
        self._shown = shown  # outlives every model
        self._stamp: tuple[int, int, int] | None = None
        self._turn = asyncio.Lock()
        self.refused = False
        """Whether the registry's champion is one that must not be loaded."""
        self._recommender: Recommender | None = None

    @property
    def recommender(self) -> Recommender:
        """What answers now."""
        assert self._recommender is not None, "start() comes first"  # noqa: S101 - a fault of ours, not of a caller
        return self._recommender

    @property
    def label(self) -> str:
        """The model that answers now, such as `main/7`."""
        return self.recommender.model.label

    def start(self) -> None:
        """Take the champion, or the newest earlier one that is whole, or none: then habit and popularity answer."""
        if compiled := warm():
            _log.info("Loops were compiled for this machine, once.", extra={"fields": {"loops": compiled}})
        stamp = self.registry.stamp(MAIN)
        chosen = choose(self.registry)
        for reason in chosen.refused:
            self._refuse(reason)
        self._put(self._build(chosen.model))
        self._stamp = stamp

    def forget(self, identities: Sequence[str]) -> None:
        """Let go of what these were shown."""
        self._shown.forget(identities)

    async def run(self) -> None:
        """Follow the registry until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.catch_up()
            except Exception:
                _log.exception("The registry could not be read; the model in use goes on answering.")

    async def catch_up(self) -> None:
        """Put the registry's champion in use, where it is another one than before."""
        async with self._turn:
            stamp = await asyncio.to_thread(self.registry.stamp, MAIN)
            if stamp == self._stamp:
                return
            try:
                recommender = await asyncio.to_thread(self._next)
            except (ArtefactError, NotFoundError) as error:
                self._refuse(str(error))
            else:
                self.refused = False
                if recommender is not None:
                    before = [self._recommender]
                    self._put(recommender)
                    await asyncio.to_thread(before.clear)  # to let go of a large model's files takes a while
            self._stamp = stamp

    def _next(self) -> Recommender | None:
        """The recommender of another champion than the one in use, None where that has not changed."""
        number = self.registry.aliases(MAIN).champion
        if number is None or f"{MAIN}/{number}" == self.label:
            return None
        return self._build(load_model(self.registry, number))

    def _build(self, model: Model) -> Recommender:
        before = None if self._recommender is None else self._recommender.catalogue
        return Recommender(self._store, model, self._settings, self._shown, _fault, self._telemetry.slot, before)

    def settle(self, settings: Settings, places: Places) -> None:
        """Fill pages by these settings from the next answer on, whatever model answers."""
        self._settings = settings
        self.recommender.settle(settings, places)

    def _put(self, recommender: Recommender) -> None:
        if recommender.settings is not self._settings:  # they changed while it was built
            recommender.settle(self._settings)
        self._recommender = recommender
        self._telemetry.model.info({"label": self.label})
        manifest = recommender.model.manifest
        self._telemetry.trained_until = manifest.log.last / 1000 if manifest else 0.0
        self._telemetry.reloads.labels("taken").inc()
        _log.info("A model is in use.", extra={"fields": {"model": self.label}})

    def _refuse(self, reason: str) -> None:
        self.refused = True
        self._telemetry.reloads.labels("refused").inc()
        _log.error("The champion is refused.", extra={"fields": {"reason": reason}})


def _fault(error: Exception) -> None:
    _log.error("A ranking failed; popularity answers in its place.", exc_info=error)
