"""Work ahead in a second process: what a generator yields is made while the caller uses what came before."""

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, ParamSpec, TypeVar

from recommender.errors import MurmeliError

P = ParamSpec("P")
T = TypeVar("T")

AHEAD = 40
"""How many items may wait."""

_PATIENCE = 1.0
"""Seconds between two looks at whether the other process is still there."""


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
