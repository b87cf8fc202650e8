"""Every answer that was given, in memory."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from recommender.stores.base import (
    first_id,
)
from recommender.stores.memory.state import State
from recommender.stores.telling import PAGE


class MemoryLedger:
    """The `Ledger` seam."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._answers: dict[str, bytes] = {}

    def write(self, recommendations: Sequence[dict[str, Any]]) -> None:
        with self._state.lock:
            kept = [answer for answer in recommendations if answer.get("customer") not in self._state.tombstones]
            self._answers |= {answer["recommendation_id"]: orjson.dumps(answer) for answer in kept}

    def page(self, identity: str, after: str) -> list[tuple[str, bytes]]:
        """Some of the answers that one identity was given, by id."""
        own = [(answer["recommendation_id"], orjson.dumps(answer)) for answer in self.of(identity)]
        return [row for row in own if row[0] > after][:PAGE]

    def of(self, identity: str) -> list[dict[str, Any]]:
        """The answers that one identity was given."""
        answers = [orjson.loads(body) for _, body in sorted(self._answers.items())]
        return [answer for answer in answers if answer.get("customer") == identity]

    def remove(self, answers: Sequence[dict[str, Any]]) -> None:
        """Forget some answers."""
        for answer in answers:
            del self._answers[answer["recommendation_id"]]

    def read(self, recommendation_id: str) -> dict[str, Any] | None:
        body = self._answers.get(recommendation_id)
        return dict(orjson.loads(body)) if body else None

    def given(self, identity: str, since: int, most: int) -> list[dict[str, Any]]:
        newest = sorted((id_ for id_ in self._answers if id_ >= first_id(since)), reverse=True)
        answers = (orjson.loads(self._answers[id_]) for id_ in newest)
        return list(islice((answer for answer in answers if answer.get("customer") == identity), most))

    def prune(self, before: int, most: int) -> int:
        given = {id_: orjson.loads(body)["at"] for id_, body in self._answers.items()}
        old = sorted((id_ for id_ in given if given[id_] < before), key=given.__getitem__)[:most]
        for id_ in old:
            del self._answers[id_]
        return len(old)

    def state(self) -> dict[str, int]:
        times = [orjson.loads(body)["at"] for body in self._answers.values()]
        return {
            "answers": len(times),
            "bytes": sum(map(len, self._answers.values())),
            "oldest": min(times, default=0),
            "newest": max(times, default=0),
        }
