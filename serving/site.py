"""Everything that one running service is made of, and how it starts and stops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from fastapi import Request

from recommender.errors import UsageError
from recommender.events import Door, system_clock
from recommender.history import Context, Said
from recommender.instants import Clock
from recommender.page import Recommendation
from recommender.page import Request as Question
from recommender.registry import Registry
from recommender.secrets import Secret
from recommender.settings import CHANNEL, FILE, Settings
from recommender.shown import Shown
from recommender.stores.base import Store
from recommender.types import code32
from serving.ingest import Ingest, Writer
from serving.ledger import RECORDED, Answer, WriteBehind
from serving.limits import Overload
from serving.live_model import LiveModel
from serving.live_settings import LiveSettings
from serving.peers import Peers
from serving.reads import Reads
from serving.security import Keyring
from serving.telemetry import LOGGER, Telemetry


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One site, wired together once. A route finds it with `site_of`."""

    settings: Settings
    store: Store
    writer: Writer
    reads: Reads
    ingest: Ingest
    ledger: WriteBehind
    live: LiveModel
    edited: LiveSettings
    keyring: Keyring
    overload: Overload
    telemetry: Telemetry
    clock: Clock
    home: Path

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the registry and write the ledger meanwhile; at the end, finish what was taken and close."""
        work = (self.live.run(), self.edited.run(), self.ledger.run(), self.keyring.run(), self.telemetry.share())
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
        finally:
            await self.ingest.close()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await self.ledger.flush()
            await asyncio.to_thread(self.writer.close)
            self.reads.close()
            self.store.close()
            logging.getLogger(LOGGER).info("Stopped; every accepted event is on disk.")

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts that do not do their work now."""
        parts = {
            "model": not self.live.recommender.model.trained,
            "champion": self.live.refused,
            "settings": self.edited.refused,
            "keys": bool(self.keyring.misfits),
            "store": self.ingest.failing,
            "profile": self.reads.failing,
            "ledger": self.ledger.failing,
        }
        return tuple(part for part, missing in parts.items() if missing)

    def degraded_answer(self, own: tuple[str, ...]) -> tuple[str, ...]:
        """What an answer had to do without; own: what it says itself."""
        return (*own, "champion") if self.live.refused else own

    def context(self, channel: str | None, at: str | None, said: Mapping[str, Said] | None = None) -> Context:
        """Where and when an answer is wanted, and what else is said of it.

        Raises UsageError where `at` is no time, or where something is said that the settings do not declare.
        """
        code, told = code32(channel or ""), dict(said or {})
        known = self.live.recommender.settings.context
        if not told.keys() <= set(known):
            raise UsageError(f"`context` in murmeli.toml declares what can be said: {', '.join(known) or 'nothing'}.")
        if channel is not None:
            told[CHANNEL] = channel
        if at is None:
            now = system_clock()
            return Context(now, self.clock.zone_at(now), code, told)
        instants = self.clock.read([at])
        if instants.bad[0] or instants.missing[0]:
            raise UsageError(
                "`at` is not a time. Write ISO 8601, or seconds or milliseconds since 1970; in a query `+` is `%2B`."
            )
        return Context(int(instants.utc[0]), int(instants.zone[0]), code, told)

    def record(self, call: str, question: Question | None, given: Recommendation, after: str | None = None) -> None:
        """Put one answer on the ledger and count it. question: None where nobody's own counted. after: see Answer."""
        answer = Answer(
            given.recommendation_id,
            system_clock(),
            call,
            question.customer if question else None,
            given.model,
            given.degraded,
            question.context if question else None,
            given.slots,
            after,
            question is not None and question.personalise,
        )
        self.ledger.add(answer)
        self.telemetry.answers.labels(call).inc()
        for part in given.degraded:
            self.telemetry.degraded.labels(part).inc()


def assemble(settings: Settings, store: Store, registry: Registry, home: Path, peers: Peers | None = None) -> Site:
    """A site from its parts, with its model in place. Raises StoreError where the store cannot be read.

    peers: the other workers of it, where there are any. home: whose settings are followed, whose secret is used, and
    where imports leave what they reject.
    """
    telemetry = Telemetry(peers)
    alone = RECORDED if peers or store.remote else inf
    writer = Writer()
    ledger = WriteBehind(store.ledger, writer, telemetry, settings.serving.ledger_days, system_clock)
    live = LiveModel(registry, store, settings, telemetry, Shown(ledger.given, alone))
    live.start()
    keyring = Keyring(store.keys, Secret(home))
    keyring.refresh()
    return Site(
        settings,
        store,
        writer,
        Reads(store.remote),
        Ingest(store.events, Door(settings.zone_info), writer, telemetry),
        ledger,
        live,
        LiveSettings(home / FILE, live, settings),
        keyring,
        Overload(),
        telemetry,
        Clock(settings.zone_info),
        home,
    )


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site
