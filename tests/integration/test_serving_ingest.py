import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from recommender.errors import StoreError
from recommender.events import Admitted, Door
from recommender.stores.base import EventBatch
from recommender.stores.memory import MemoryStore
from serving import ingest as module
from serving.ingest import Ingest, RowOutcomes, Writer
from serving.problems import BusyError
from serving.telemetry import Telemetry
from tests.integration.serving_world import event


class SlowEvents:
    """The events of a store whose disk waits until it is let go; keeps the size of each commit."""

    def __init__(self) -> None:
        self._store = MemoryStore(("crm", "id"))
        self.started, self.go = threading.Event(), threading.Event()
        self.commits: list[int] = []
        self.fault: Exception | None = None

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        self.started.set()
        self.go.wait()
        if self.fault:
            raise self.fault
        self.commits.append(batch.records.size)
        return self._store.events.append(batch)


Work = Callable[[Ingest, SlowEvents], Awaitable[None]]


def run(work: Work, door: Door | None = None) -> SlowEvents:
    async def body() -> None:
        writer = Writer()
        ingest = Ingest(events, door or Door(ZoneInfo("UTC")), writer, Telemetry())  # type: ignore[arg-type]
        try:
            await work(ingest, events)
        finally:
            events.go.set()
            await ingest.close()
            writer.close()

    events = SlowEvents()
    asyncio.run(body())
    return events


async def begun(ingest: Ingest, events: SlowEvents, *requests: Sequence[object]) -> list[asyncio.Task[RowOutcomes]]:
    """The requests as tasks: the first is at the disk, the others wait behind it."""
    tasks = [asyncio.create_task(ingest.submit(requests[0]))]
    await asyncio.to_thread(events.started.wait)
    tasks += [asyncio.create_task(ingest.submit(request)) for request in requests[1:]]
    await asyncio.sleep(0)
    return tasks


def test_what_waits_at_one_moment_is_written_by_one_commit() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, *([event(n)] for n in range(6)))
        assert not any(task.done() for task in tasks)
        events.go.set()
        assert all(outcome.accepted == 1 for outcome in await asyncio.gather(*tasks))

    assert run(work).commits == [1, 5]


def test_each_request_of_a_group_gets_its_own_outcomes() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        requests: list[list[object]] = [[event(0)], [event(1), 7], [event(0), event(2)], ["bad", event(1)]]
        tasks = await begun(ingest, events, *requests)
        events.go.set()
        found = await asyncio.gather(*tasks)
        assert [(one.accepted, one.duplicate, [r.index for r in one.rejected]) for one in found] == [
            (1, 0, []),
            (1, 0, [1]),
            (1, 1, []),
            (0, 1, [0]),
        ]

    assert run(work).commits == [1, 4]


def test_a_group_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_GROUP", 3)

    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, *([event(2 * n), event(2 * n + 1)] for n in range(3)))
        events.go.set()
        await asyncio.gather(*tasks)

    assert run(work).commits == [2, 2, 2]


def test_too_much_waiting_is_refused_and_later_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)

    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, [event(0)], [event(1)])
        with pytest.raises(BusyError):
            await ingest.submit([event(2)])
        events.go.set()
        await asyncio.gather(*tasks)
        assert (await ingest.submit([event(2)])).accepted == 1

    assert sum(run(work).commits) == 3


def test_closing_writes_what_was_taken_and_takes_no_more() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, [event(0)], [event(1)])
        events.go.set()
        await ingest.close()
        assert [outcome.accepted for outcome in await asyncio.gather(*tasks)] == [1, 1]
        with pytest.raises(BusyError):
            await ingest.submit([event(2)])

    assert run(work).commits == [1, 1]


def test_a_store_that_fails_fails_all_who_waited_and_nobody_after() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, [event(0)], [event(1)])
        events.fault = StoreError("no")
        events.go.set()
        assert all(isinstance(e, StoreError) for e in await asyncio.gather(*tasks, return_exceptions=True))
        assert ingest.failing
        events.fault = None
        assert (await ingest.submit([event(0)])).accepted == 1
        assert not ingest.failing

    run(work)


class BrittleDoor(Door):
    """A door with a fault: it breaks on one row."""

    def admit_rows(self, rows: object) -> Admitted:
        if "poison" in rows:  # type: ignore[operator]
            raise ZeroDivisionError
        return super().admit_rows(rows)  # type: ignore[arg-type]


def test_a_fault_in_one_requests_rows_costs_the_others_nothing() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, [event(0)], [event(1)], ["poison"], [event(2)])
        events.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(2), ZeroDivisionError)
        assert [one.accepted for one in found if isinstance(one, RowOutcomes)] == [1, 1, 1]

    run(work, BrittleDoor(ZoneInfo("UTC")))


def test_a_caller_who_went_away_costs_the_others_nothing() -> None:
    async def work(ingest: Ingest, events: SlowEvents) -> None:
        tasks = await begun(ingest, events, [event(0)], [event(1)], [event(2)])
        tasks[1].cancel()
        events.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[1], asyncio.CancelledError)
        assert [one.accepted for one in found if isinstance(one, RowOutcomes)] == [1, 1]

    assert sum(run(work).commits) == 3
