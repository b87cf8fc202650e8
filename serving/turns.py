"""Who begins when: a few requests at each turn of the event loop, so that it hears everybody else in between.

A page is computed in one go. Were all that has come begun at once, the loop
would be back after all of them: new connections would wait unaccepted
meanwhile, refusals would come as late as pages, and so would /livez.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE = 0.02
"""Seconds that the requests begun at one turn may take together, about: one by one, a page cost 5 to 10 % more."""
MOST = 64
"""Requests begun at one turn, however cheap they are."""


class Turns:
    """A queue, first come, first served, and how many of it begin at a turn: as many as SLICE has time for."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._many = self._left = 8
        self._turned: float | None = None
        self._due = False

    def take(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], object]) -> None:
        """Call `begin`, which makes a task and does no work, now or at a later turn."""
        if self._left and not self._waiting:
            self._left -= 1
            begin()
        else:
            self._waiting.append(begin)
        if not self._due:
            self._due = True
            loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting:
            self._measure(time.perf_counter())
        else:
            self._turned = None
        self._left = max(0, self._many - len(self._waiting))
        for _ in range(min(self._many, len(self._waiting))):
            self._waiting.popleft()()
        self._due = bool(self._waiting)
        if self._due:
            loop.call_soon(self._turn, loop)

    def _measure(self, now: float) -> None:
        """Take fewer where the last turn took too long, more where it was short."""
        if self._turned is not None:
            took = now - self._turned
            if took > SLICE:
                self._many = max(1, self._many // 2)
            elif took < SLICE / 2:
                self._many = min(MOST, self._many + self._many // 2 + 1)
        self._turned = now
