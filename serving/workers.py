"""Several processes that serve one home, on one machine: a supervisor that only watches, and its workers.

Each worker has a listening socket of its own at the same port (SO_REUSEPORT),
so that the system spreads connections evenly; the supervisor holds all of them
open, so that connections wait, and are not refused, while a dead worker is
replaced. Everything heavy is imported before the workers are forked.
"""

import gc
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from recommender.errors import MurmeliError
from serving.telemetry import LOGGER

AGAIN = 1.0
"""Seconds from one start of a worker to the next at least, so that one that cannot live does not eat the machine."""

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

Work = Callable[[int, socket.socket, Callable[[], None]], None]
"""What worker number n does with its socket until it is told to stop; calls the last argument once it is ready."""


class Supervisor:
    """Starts one worker for each socket, starts those again that die, and ends when it is told to.

    Workers stop by themselves, and in order, where their supervisor is gone.
    """

    def __init__(self, listeners: Sequence[socket.socket], work: Work) -> None:
        self._listeners, self._work = listeners, work
        self._numbers: dict[int, int] = {}
        self._started = [0.0] * len(listeners)
        self._life = os.pipe()
        self._ready = os.pipe()
        os.set_blocking(self._ready[1], False)  # what nobody reads any more must not hold up a worker
        self._log = logging.getLogger(LOGGER)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM. ready: is called once all workers are.

        Raises MurmeliError where a worker ends before it is ready.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            gc.freeze()  # what is there already is shared with the workers, and no collection is to touch it
            for number in range(len(self._listeners)):
                self._start(number)
            if self._all_ready():
                ready()
                self._watch()
        finally:
            self._stop()
            gc.unfreeze()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, number: int) -> None:
        self._started[number] = time.monotonic()
        pid = os.fork()
        if pid:
            self._numbers[pid] = number
            return
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.close(self._life[1])
            for other in (*self._listeners[:number], *self._listeners[number + 1 :]):
                other.close()
            threading.Thread(target=self._end_with_the_supervisor, daemon=True).start()
            self._work(number, self._listeners[number], self._tell)
            code = 0
        except Exception:
            self._log.exception("A worker failed.")
        finally:
            os._exit(code)

    def _tell(self) -> None:
        with suppress(OSError):
            os.write(self._ready[1], b".")

    def _end_with_the_supervisor(self) -> None:
        os.read(self._life[0], 1)  # nobody writes: it returns when the supervisor's end is closed
        os.kill(os.getpid(), signal.SIGTERM)

    def _all_ready(self) -> bool:
        """Wait for all workers; False where a signal came first."""
        told = 0
        while told < len(self._listeners):
            if select.select([self._ready[0]], [], [], 0.02)[0]:
                told += len(os.read(self._ready[0], len(self._listeners)))
            if self._reap():
                raise MurmeliError("A worker could not start; its log says why.")
            if signal.sigpending() & {signal.SIGTERM, signal.SIGINT}:
                return False
        return True

    def _watch(self) -> None:
        dead: list[int] = []
        while True:
            wait = min((self._started[number] + AGAIN for number in dead), default=float("inf")) - time.monotonic()
            got = signal.sigtimedwait(_SIGNALS, max(0.0, min(wait, 3600.0)))
            if got is not None and got.si_signo != signal.SIGCHLD:
                return
            for number in self._reap():
                self._log.error("A worker died and is started again.", extra={"fields": {"worker": number}})
                dead.append(number)
            for number in [number for number in dead if time.monotonic() >= self._started[number] + AGAIN]:
                dead.remove(number)
                self._start(number)

    def _reap(self) -> list[int]:
        """The numbers of workers that have ended."""
        ended = []
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                ended.append(self._numbers.pop(pid))
        return ended

    def _stop(self) -> None:
        for pid in self._numbers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in self._numbers:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        for end in (*self._life, *self._ready):
            os.close(end)
