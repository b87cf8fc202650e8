"""Requests begin in the order they came, a few at a turn of the event loop, so that others are heard in between."""

import asyncio
import time
from itertools import chain

import pytest

from serving import turns
from serving.turns import Turns


def begun(many: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What begins at each turn of a loop, of so many that come at once and take so long by the clock."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    async def main() -> list[list[int]]:
        queue, loop = Turns(), asyncio.get_running_loop()
        found: list[list[int]] = []
        one: list[int] = []

        def begin(number: int) -> None:
            nonlocal now
            now += seconds
            one.append(number)

        for number in range(many):
            queue.take(loop, lambda number=number: begin(number))  # type: ignore[misc]
        while sum(len(some) for some in found) < many:
            found.append([*one])
            one.clear()
            await asyncio.sleep(0)
        return [some for some in found if some]

    return asyncio.run(main())


def test_whatever_waits_begins_in_the_order_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(chain(*begun(200, 0.001, monkeypatch))) == list(range(200))


def test_of_long_requests_few_begin_at_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(some) for some in begun(200, turns.SLICE / 4, monkeypatch)]
    assert max(sizes[2:]) * turns.SLICE / 4 <= 2 * turns.SLICE


def test_of_short_ones_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [len(some) for some in begun(1000, turns.SLICE / 1000, monkeypatch)]
    assert max(sizes) == turns.MOST


def test_a_request_that_comes_alone_begins_at_once() -> None:
    async def main() -> list[str]:
        done: list[str] = []
        queue, loop = Turns(), asyncio.get_running_loop()
        for _ in range(3):
            queue.take(loop, lambda: done.append("begun"))
            done.append("taken")
            await asyncio.sleep(0)
        return done

    assert asyncio.run(main()) == ["begun", "taken"] * 3
