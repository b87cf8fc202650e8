"""The ledger behind the answers: in memory at once, on disk within a second, in groups."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from recommender.errors import StoreError
from recommender.history import Context
from recommender.page import Slot
from recommender.stores.base import Ledger
from recommender.types import DAY
from serving.ingest import Writer
from serving.telemetry import LOGGER, Telemetry

EVERY = 0.5
"""Seconds between two writes."""
RECORDED = 2.0
"""Seconds after which an answer is on disk, for other processes to read, as long as the disk takes it at all."""
PRUNE_EVERY = 3600.0
LARGEST_GROUP = 2_000
MOST_PENDING = 50_000
"""Answers kept while the disk refuses them; the oldest are then lost, and counted."""


@dataclass(frozen=True)
class Answer:
    """One answer as it goes on the record. at: when it was given, milliseconds UTC; context.now may be another day.

    after: the answer that it goes on from. personalised: whether anything known of the customer counted.
    """

    recommendation_id: str
    at: int
    call: str
    customer: str | None
    model: str
    degraded: tuple[str, ...]
    context: Context | None
    slots: tuple[Slot, ...]
    after: str | None = None
    personalised: bool = True


class WriteBehind:
    """Takes answers without waiting and writes them in the background."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        telemetry: Telemetry,
        days: int,
        now: Callable[[], int],
    ) -> None:
        self._ledger, self._writer, self._telemetry = ledger, writer, telemetry
        self._days, self._now = days, now
        self._pending: deque[Answer] = deque()
        self._writing: list[Answer] = []
        self.failing = False
        """Whether the last write failed."""

    def add(self, answer: Answer) -> None:
        """Put an answer on the record."""
        self._pending.append(answer)
        self._trim()

    def forget(self, identities: Sequence[str]) -> None:
        """Let go of the answers of these; the store keeps those out that are being written."""
        gone = set(identities)
        self._pending = deque(answer for answer in self._pending if answer.customer not in gone)

    async def find(self, recommendation_id: str) -> dict[str, Any] | None:
        """One answer, whether on disk already or not."""
        for answer in chain(self._writing, self._pending):
            if answer.recommendation_id == recommendation_id:
                return dict(orjson.loads(orjson.dumps(answer)))
        return await asyncio.to_thread(self._ledger.read, recommendation_id)

    def given(self, identity: str, since: int, most: int) -> Sequence[dict[str, Any]]:
        """The newest answers on disk for an identity, newest first; none, and counted, where they cannot be read."""
        try:
            return self._ledger.given(identity, since, most)
        except StoreError:
            self._telemetry.degraded.labels("ledger").inc()
            return ()

    async def run(self) -> None:
        """Write and prune until cancelled."""
        pruned = float("-inf")
        while True:
            if time.monotonic() - pruned > PRUNE_EVERY:
                pruned = time.monotonic()
                await self.prune()
            await self.flush()
            await asyncio.sleep(EVERY)

    async def flush(self) -> None:
        """Write what is pending; it stays pending where that fails."""
        while self._pending and await self._flush_group():
            pass
        self._telemetry.ledger_pending.set(len(self._pending))
        self._telemetry.ledger_lag.set((self._now() - self._pending[0].at) / 1000 if self._pending else 0.0)

    async def _flush_group(self) -> bool:
        size = min(len(self._pending), LARGEST_GROUP)
        group = self._writing = [self._pending.popleft() for _ in range(size)]
        try:
            await self._writer.run(lambda: self._ledger.write([vars(answer) for answer in group]))
        except asyncio.CancelledError:  # the service stops: written or not, the last flush may write them once more
            self._pending.extendleft(reversed(group))
            raise
        except Exception:  # whatever it is, the answers must neither be lost nor stop the service
            if not self.failing:
                logging.getLogger(LOGGER).exception("The ledger cannot be written; answers wait in memory.")
            self.failing = True
            self._pending.extendleft(reversed(group))
            self._trim()
        else:
            self.failing = False
            self._telemetry.ledger_written.inc(size)
        self._writing = []
        return not self.failing

    def _trim(self) -> None:
        while len(self._pending) > MOST_PENDING:
            self._pending.popleft()
            self._telemetry.ledger_lost.inc()

    async def prune(self) -> None:
        """Forget what is older than its days, in groups, so that no event waits for long."""
        before = self._now() - self._days * DAY
        try:
            while await self._writer.run(lambda: self._ledger.prune(before, LARGEST_GROUP)) == LARGEST_GROUP:
                pass
        except Exception:  # what is too old goes next time; the writing must go on
            logging.getLogger(LOGGER).exception("The ledger cannot be pruned.")
