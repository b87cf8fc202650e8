"""Work ahead: what is wanted next is made while the caller uses what came before."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

from recommender.errors import MurmeliError

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

THREADS = min(os.cpu_count() or 1, 4)
"""More would wait for the interpreter."""

AHEAD = 40
"""How many items may wait."""

_PATIENCE = 1.0
"""Seconds between two looks at whether the other process is still there."""


def side_by_side(work: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """What `work` makes of each of these, in their order, several at a time: for work that is mostly compiled loops.

    Linear algebra takes one core meanwhile: its own threads would wait for each other more than they would help.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(THREADS) as pool:
        made: deque[Future[T]] = deque()
        for item in items:
            made.append(pool.submit(work, item))
            if len(made) > 2 * THREADS:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()


def ahead(produce: Callable[P, Iterator[T]], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
    """What `produce(...)` yields, and what it raises, from a process of its own; a function of a module, not a lambda.

    Raises MurmeliError where that process dies, for want of memory say.
    """
    context = get_context("spawn")  # the caller has threads and open databases, which no fork should copy
    queue: Queue[tuple[str, Any]] = context.Queue(AHEAD)
    process = context.Process(target=_work, args=(queue, partial(produce, *args, **kwargs)), daemon=True)
    process.start()
    try:
        while True:
            try:
                found, item = queue.get(timeout=_PATIENCE)
            except Empty:
                if process.is_alive():
                    continue
                raise MurmeliError(
                    "The process that read the file was stopped. Is there memory left? Try again."
                ) from None
            if found == "item":
                yield item
            elif found == "error":
                raise item
            else:
                return
    finally:
        process.kill()
        process.join()
        queue.close()


def _work(queue: "Queue[tuple[str, object]]", produce: Callable[[], Iterator[object]]) -> None:
    try:
        for item in produce():
            queue.put(("item", item))
        queue.put(("end", None))
    except Exception as error:  # whatever it is, the caller is to have it
        queue.put(("error", error))
    queue.close()
    queue.join_thread()
