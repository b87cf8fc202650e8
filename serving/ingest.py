"""Group commit: the events of all requests that wait at one moment are written by one transaction.

One thread writes; it is the only one that does. While it is on the disk the
next group gathers, so the groups grow with the load by themselves: a lonely
event waits for nobody, and a crowd shares one flush.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from recommender.errors import StoreError
from recommender.events import Door
from recommender.stores.base import Events, Outcome
from serving.problems import BusyError
from serving.telemetry import Telemetry

LARGEST_GROUP = 2_000
"""Events in one transaction: about 20 ms of writing, which is what the next request waits at most."""
MOST_WAITING = 20_000
"""Events in memory that are not written yet; 10 to 40 MB as parsed JSON."""

ERASED = "This customer identity was erased, and nothing of it is kept any more. Stop sending its events."
CONFLICT = "This customer identity already has another event of this `event_id`; give the new one an id of its own."
_REFUSED = {Outcome.CONFLICT: ("conflict", CONFLICT), Outcome.ERASED: ("erased", ERASED)}

T = TypeVar("T")


class Writer:
    """The one thread that writes to the store."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="murmeli-writer")

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, done after everything that was handed in before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        self._thread.shutdown(wait=True)


@dataclass(frozen=True, slots=True)
class RowReject:
    """A row that was not taken: its index in the request, and why."""

    index: int
    code: str
    detail: str


@dataclass(slots=True)
class RowOutcomes:
    """What became of one request's rows."""

    accepted: int = 0
    duplicate: int = 0
    rejected: list[RowReject] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    rows: Sequence[object]
    done: "asyncio.Future[RowOutcomes]"


class Ingest:
    """Takes the events of one request and returns when they are durable."""

    def __init__(self, events: Events, door: Door, writer: Writer, telemetry: Telemetry) -> None:
        self._events, self._door, self._writer, self._telemetry = events, door, writer, telemetry
        self._queue: deque[_Waiting] = deque()
        self._backlog = 0
        telemetry.waiting.set_function(lambda: self._backlog)
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self.failing = False
        """Whether the last commit failed for lack of a store that can write."""

    async def submit(self, rows: Sequence[object]) -> RowOutcomes:
        """Write rows of parsed JSON. Raises BusyError where too much waits, StoreError where it cannot be written."""
        if self._closed:
            raise BusyError("The service is stopping. Send the events again in a moment; nothing was written.")
        if self._backlog + len(rows) > MOST_WAITING:
            raise BusyError("Too many events are waiting to be written. Send these again after Retry-After.")
        waiting = _Waiting(rows, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._backlog += len(rows)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain())
        return await waiting.done

    async def close(self) -> None:
        """Take no more, and return when all that was taken is written."""
        self._closed = True
        if self._draining is not None:
            await self._draining

    async def _drain(self) -> None:
        while self._queue:
            group = [self._queue.popleft()]
            size = len(group[0].rows)
            while self._queue and size + len(self._queue[0].rows) <= LARGEST_GROUP:
                group.append(self._queue.popleft())
                size += len(group[-1].rows)
            await self._commit(group)
            self._backlog -= size

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._writer.run(lambda: self._write([waiting.rows for waiting in group]))
        except StoreError as error:
            self.failing = True
            _fail(group, error)
        except Exception as error:
            if len(group) == 1:
                _fail(group, error)
                return
            for waiting in group:  # a fault in one request's rows must not cost the others theirs
                await self._commit([waiting])
        else:
            self.failing = False
            for waiting, outcome in zip(group, outcomes, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(outcome)

    def _write(self, requests: Sequence[Sequence[object]]) -> list[RowOutcomes]:
        """In the writer's thread: one pass through the door and one transaction for all."""
        rows = [row for request in requests for row in request]
        admitted = self._door.admit_rows(rows)
        verdicts = np.full(len(rows), -1, np.int64)
        if admitted.rows.size:
            verdicts[admitted.rows] = self._events.append(admitted.batch)
        rejects = {reject.row: (reject.code, reject.detail) for reject in admitted.rejects}
        for outcome, why in _REFUSED.items():
            rejects |= dict.fromkeys(np.flatnonzero(verdicts == outcome).tolist(), why)
        self._telemetry.group.observe(admitted.rows.size)
        if admitted.rows.size:
            middle = float(np.median(admitted.batch.records["time"]))
            self._telemetry.lag.set(max(0.0, time.time() - middle / 1000))
        return self._split(requests, verdicts.tolist(), rejects)

    def _split(
        self, requests: Sequence[Sequence[object]], verdicts: list[int], rejects: dict[int, tuple[str, str]]
    ) -> list[RowOutcomes]:
        answers, start = [], 0
        for request in requests:
            end = start + len(request)
            own = verdicts[start:end]
            answer = RowOutcomes(own.count(Outcome.ACCEPTED), own.count(Outcome.DUPLICATE))
            if answer.accepted + answer.duplicate < len(own):
                answer.rejected = [RowReject(row - start, *rejects[row]) for row in range(start, end) if row in rejects]
            answers.append(answer)
            start = end
        counts = self._telemetry.events
        counts.labels("accepted").inc(sum(answer.accepted for answer in answers))
        counts.labels("duplicate").inc(sum(answer.duplicate for answer in answers))
        counts.labels("rejected").inc(sum(len(answer.rejected) for answer in answers))
        return answers


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
