"""What answers need of the store, in time: a page that would wait for it goes out without it.

A local store is read where the answer is made, in microseconds. A remote one
is read in threads, so that nobody else waits; once it has failed a few times
in a row it is left alone between trials, so that a page does not wait for
what is known not to come.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from recommender.errors import StoreError

AT_ONCE = 8
"""Reads of a remote store under way; as many as it has connections."""
FAILURES = 3
"""In a row, after which the store is left alone for PAUSE seconds at a time."""
PAUSE = 0.5

T = TypeVar("T")


class Reads:
    """Reads of one store, from the service's one event loop."""

    def __init__(self, remote: bool) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "murmeli-reader") if remote else None
        self._failures, self._again = 0, 0.0

    @property
    def failing(self) -> bool:
        """Whether the last read that an answer needed failed or came late."""
        return self._failures > 0

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns, however long it takes. Raises what it raises."""
        if self._threads is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def before(self, until: float, work: Callable[[], T]) -> T | None:
        """What `work` returns, None where it fails or takes longer than `until`, of `time.monotonic`."""
        if self._failures >= FAILURES and time.monotonic() < self._again:
            return None
        try:
            if self._threads is None:
                found = work()
            else:
                async with asyncio.timeout(until - time.monotonic()):
                    found = await self.ask(work)
        except (StoreError, TimeoutError):
            self._failures, self._again = self._failures + 1, time.monotonic() + PAUSE
            return None
        self._failures = 0
        return found

    def close(self) -> None:
        """Wait for nothing that is still under way."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
