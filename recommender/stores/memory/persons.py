"""What customers agreed to, and all that is kept of a person, in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recommender.consent import Purpose, Statement
from recommender.stores.base import Known
from recommender.stores.memory.events import MemoryEvents
from recommender.stores.memory.ledger import MemoryLedger
from recommender.stores.memory.state import State
from recommender.stores.telling import Pages


class MemoryConsents:
    """The `Consents` seam."""

    def __init__(self, state: State, unstated: Mapping[Purpose, bool]) -> None:
        self._state, self._unstated = state, unstated

    def state(self, identity: str, given: Mapping[Purpose, bool], at: int, by: str) -> None:
        with self._state.lock:
            self._state.enter(identity)
            for name in self._state.of_customer(identity):
                said = self._state.statements.setdefault(name, [])
                for purpose, value in given.items():
                    after = max((one.at + 1 for one in said if one.purpose is purpose), default=at)
                    said.append(Statement(name, purpose, value, max(at, after), by))

    def allows(self, identity: str, purpose: Purpose) -> bool:
        with self._state.lock:
            if identity in self._state.tombstones:
                return False
            return self._state.standing(self._state.of_customer(identity), purpose, self._unstated[purpose])

    def known(self, identity: str, purpose: Purpose) -> Known | None:
        with self._state.lock:
            if not self.allows(identity, purpose):
                return None
            names = self._state.of_customer(identity)
            return Known(sorted(names), self._state.profile(names))

    def history(self, identity: str) -> list[Statement]:
        with self._state.lock:
            said = [one for name in self._state.of_customer(identity) for one in self._state.statements.get(name, ())]
        return sorted(said, key=lambda one: (one.identity, one.purpose.value, one.at))


class MemoryPersons:
    """The `Persons` seam."""

    def __init__(self, state: State, events: MemoryEvents, ledger: MemoryLedger, consents: MemoryConsents) -> None:
        self._state, self._events, self._ledger, self._consents = state, events, ledger, consents

    def export(self, identity: str) -> Iterator[dict[str, Any]]:
        state = self._state
        known = [name for name in sorted(state.of_customer(identity)) if name in state.numbers]
        pages = Pages(self._events.page, lambda name: state.profile({name}), self._ledger.page, state.words, state.ids)
        return pages.records(known, identity, self._consents.history(identity))

    def erase(self, identity: str, at: int) -> dict[str, int]:  # noqa: ARG002 - nothing here outlives the process
        state = self._state
        with state.lock:
            names = set(state.of_customer(identity))
            known = names & state.numbers.keys()
            answers = [answer for name in names for answer in self._ledger.of(name)]
            events = [state.logs.pop(name) for name in known]
            statements = [state.statements.pop(name, []) for name in known]
            for name in known:
                del state.customers[name]
                del state.numbers[name]
            self._ledger.remove(answers)
            state.tombstones |= names
        return {
            "identities": len(known),
            "events": sum(map(len, events)),
            "statements": sum(map(len, statements)),
            "answers": len(answers),
        }

    def erased(self, identities: Sequence[str]) -> set[str]:
        return self._state.tombstones.intersection(identities)

    def lift(self, identity: str) -> bool:
        with self._state.lock:
            found = identity in self._state.tombstones
            self._state.tombstones.discard(identity)
            return found
