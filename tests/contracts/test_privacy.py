"""What every store must do with consent, and when a person wants to see or to end what is kept of them."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.consent import Purpose
from recommender.errors import ErasedError
from recommender.profile import EMPTY, HISTORY, Profile
from recommender.secrets import VARIABLE
from recommender.stores import open_store
from recommender.stores.base import Outcome, Store
from recommender.stores.telling import PAGE
from tests.contracts.places import PLACES, place
from tests.contracts.test_store import STRONG, append, uses
from tests.contracts.worlds import Event, batch, profile_of, profiles_in

PERSONALISE, MARKETING = Purpose.PERSONALISE, Purpose.MARKETING
NO, YES = {PERSONALISE: False}, {PERSONALISE: True}


@pytest.fixture(autouse=True, scope="module")
def _secret() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "a secret of these tests")
        yield


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with place(request.param) as where, closing(open_store(where, strong=STRONG)) as opened:
        yield opened


def answer(n: int, customer: str | None) -> dict[str, Any]:
    slot = {"placement": "menu", "items": [{"item": "pay"}]}
    return {"recommendation_id": f"r{n:05}", "at": n, "customer": customer, "slots": [slot]}


def said(store: Store, identity: str) -> list[tuple[str, str, bool, int]]:
    return [(one.identity, one.purpose.value, one.given, one.at) for one in store.consents.history(identity)]


# Consent.


def test_who_said_nothing_has_what_the_site_assumes() -> None:
    for kind in PLACES:
        for assumed in (True, False):
            unstated = {PERSONALISE: assumed, MARKETING: not assumed}
            with place(kind) as where, closing(open_store(where, strong=STRONG, unstated=unstated)) as store:
                append(store, *uses("crm:1", [1]))
                for identity in ("crm:1", "web:stranger"):
                    assert store.consents.allows(identity, PERSONALISE) is assumed
                    assert store.consents.allows(identity, MARKETING) is not assumed
                    assert store.consents.history(identity) == []


def told(store: Store, identity: str, purpose: Purpose) -> tuple[list[str], Profile] | None:
    known = store.consents.known(identity, purpose)
    return None if known is None else (list(known.identities), known.profile)


@pytest.mark.parametrize("assumed", [True, False])
@pytest.mark.parametrize("kind", PLACES)
def test_a_profile_is_given_for_a_purpose_to_whoever_may_have_it(kind: str, assumed: bool) -> None:
    unstated = {PERSONALISE: assumed, MARKETING: not assumed}
    with place(kind) as where, closing(open_store(where, strong=STRONG, unstated=unstated)) as store:
        web, crm = uses("web:1", [1]), uses("crm:1", [2])
        alone = uses("web:alone", [3])
        append(store, *web, *crm, *alone)
        store.identities.link("web:1", "crm:1")
        both = profile_of(web + crm)
        for purpose, silence in unstated.items():
            assert told(store, "crm:1", purpose) == ((["crm:1", "web:1"], both) if silence else None)
            assert told(store, "web:stranger", purpose) == ((["web:stranger"], EMPTY) if silence else None)
            assert told(store, "web:alone", purpose) == ((["web:alone"], profile_of(alone)) if silence else None)
        for given_ in (True, False, True):
            store.consents.state("web:1", {PERSONALISE: given_}, 1, "test")
            assert told(store, "crm:1", PERSONALISE) == ((["crm:1", "web:1"], both) if given_ else None)
            store.consents.state("web:alone", {PERSONALISE: given_}, 1, "test")
            assert told(store, "web:alone", PERSONALISE) == ((["web:alone"], profile_of(alone)) if given_ else None)
        store.persons.erase("crm:1", 5)
        assert told(store, "web:1", PERSONALISE) is None


def test_the_newest_statement_of_a_purpose_holds_and_the_older_stay_on_record(store: Store) -> None:
    store.consents.state("crm:1", {PERSONALISE: False, MARKETING: True}, 10, "cli")
    assert not store.consents.allows("crm:1", PERSONALISE)
    assert store.consents.allows("crm:1", MARKETING)
    store.consents.state("crm:1", YES, 20, "http")
    assert store.consents.allows("crm:1", PERSONALISE)
    assert said(store, "crm:1") == [
        ("crm:1", "marketing", True, 10),
        ("crm:1", "personalise", False, 10),
        ("crm:1", "personalise", True, 20),
    ]
    assert [one.by for one in store.consents.history("crm:1")] == ["cli", "cli", "http"]


def test_a_statement_is_later_than_the_one_before_it_whatever_the_clock_says(store: Store) -> None:
    store.consents.state("crm:1", YES, 10, "cli")
    store.consents.state("crm:1", NO, 5, "cli")
    assert not store.consents.allows("crm:1", PERSONALISE)
    assert [at for *_, at in said(store, "crm:1")] == [10, 11]


def test_of_two_linked_identities_the_stricter_holds_and_unlinking_gives_each_its_own_back(store: Store) -> None:
    store.consents.state("web:1", NO, 10, "http")
    store.consents.state("crm:1", YES, 20, "http")
    store.identities.link("web:1", "crm:1")
    assert not store.consents.allows("crm:1", PERSONALISE)
    assert not store.consents.allows("web:1", PERSONALISE)
    assert len(said(store, "crm:1")) == 2
    store.identities.unlink("web:1")
    assert store.consents.allows("crm:1", PERSONALISE)
    assert not store.consents.allows("web:1", PERSONALISE)


def test_an_identity_that_said_nothing_does_not_weigh_on_the_one_that_did(store: Store) -> None:
    store.consents.state("crm:1", {MARKETING: True}, 10, "http")
    append(store, *uses("web:1", [1]))
    store.identities.link("web:1", "crm:1")
    assert store.consents.allows("web:1", MARKETING)


def test_a_person_takes_back_what_they_said_under_another_name(store: Store) -> None:
    store.consents.state("web:1", NO, 10, "http")
    store.identities.link("web:1", "crm:1")
    store.consents.state("crm:1", YES, 20, "http")
    assert store.consents.allows("web:1", PERSONALISE)


def test_a_stranger_can_decline_before_anything_else_is_known_of_them(store: Store) -> None:
    store.consents.state("web:new", NO, 10, "http")
    append(store, *uses("web:new", [1]))
    assert not store.consents.allows("web:new", PERSONALISE)
    assert store.events.count() == 1


@pytest.mark.parametrize("assumed", [True, False])
@pytest.mark.parametrize("kind", PLACES)
def test_nobody_who_does_not_agree_is_learned_from(kind: str, assumed: bool) -> None:
    unstated = {PERSONALISE: assumed, MARKETING: False}
    with place(kind) as where, closing(open_store(where, strong=STRONG, unstated=unstated)) as store:
        logs = {name: uses(name, [n]) for n, name in enumerate(["crm:yes", "crm:no", "crm:silent", "web:no", "crm:5"])}
        append(store, *(event for log in logs.values() for event in log))
        for name, given_ in (("crm:yes", True), ("crm:no", False), ("web:no", False), ("crm:5", True)):
            store.consents.state(name, {PERSONALISE: given_, MARKETING: not given_}, 1, "cli")
        store.identities.link("web:no", "crm:5")
        learned = [logs["crm:yes"]] + ([logs["crm:silent"]] if assumed else [])
        for size in (1, 20_000):
            found = profiles_in(list(store.events.scan(batch=size)))
            assert list(found.values()) == [profile_of(log) for log in learned]
        store.consents.state("crm:no", YES, 2, "cli")
        assert len(profiles_in(list(store.events.scan()))) == len(learned) + 1


# A person's own record.


def test_an_export_names_all_that_is_kept_of_a_person_and_of_nobody_else(store: Store) -> None:
    events = [
        Event("crm:1", "a", 5, item="pay", extra='{"session":"s1"}', position=2),
        Event("web:1", "b", 9, item="", type="login", channel=""),
        Event("crm:2", "a", 5, item="pay"),
    ]
    append(store, *events)
    store.identities.link("web:1", "crm:1")
    store.consents.state("crm:1", NO, 10, "http")
    store.consents.state("crm:2", YES, 10, "http")
    store.ledger.write([answer(1, "crm:1"), answer(2, "web:1"), answer(3, "crm:2"), answer(4, None)])
    told = list(store.persons.export("web:1"))
    assert [one["identity"] for one in told if one["record"] == "identity"] == ["crm:1", "web:1"]
    by_id = {one["event_id"]: one for one in told if one["record"] == "event"}
    assert by_id["a"] == {
        "record": "event",
        "event_id": "a",
        "customer": "crm:1",
        "type": "use",
        "item": "pay",
        "at": "1970-01-01T02:00:00.005+02:00",
        "channel": "web",
        "position": 2,
        "session": "s1",
    }
    assert (by_id["b"]["type"], "item" in by_id["b"]) == ("login", False)
    assert [(one["identity"], one["given"]) for one in told if one["record"] == "consent"] == [
        ("crm:1", False),
        ("web:1", False),
    ]
    assert [one["recommendation_id"] for one in told if one["record"] == "answer"] == ["r00001", "r00002"]
    assert {one["identity"]: one["events"] for one in told if one["record"] == "profile"} == {"crm:1": 1, "web:1": 1}
    assert len(told) == 2 + 2 + 2 + 2 + 2
    assert "crm:2" not in str(told)


def test_an_export_of_a_stranger_is_empty_but_for_answers_they_were_given(store: Store) -> None:
    assert list(store.persons.export("web:1")) == []
    store.ledger.write([answer(1, "web:1"), answer(2, "web:2")])
    assert [one["recommendation_id"] for one in store.persons.export("web:1")] == ["r00001"]


def test_an_export_of_a_long_history_is_whole(store: Store) -> None:
    events = uses("crm:1", range(HISTORY + 5_000))
    for start in range(0, len(events), 4_000):
        append(store, *events[start : start + 4_000])
    store.ledger.write([answer(n, "crm:1") for n in range(PAGE * 2 + 1)])
    told = list(store.persons.export("crm:1"))
    assert {one["event_id"] for one in told if one["record"] == "event"} == {event.event_id for event in events}
    assert sum(one["record"] == "answer" for one in told) == PAGE * 2 + 1
    (profile,) = [one for one in told if one["record"] == "profile"]
    assert profile["events"] + sum(one["count"] for one in profile["older"]) == len(events)
    assert {one["item"] for one in profile["older"]} <= {event.item for event in events}


def test_an_export_ends_where_the_person_is_erased_meanwhile(store: Store) -> None:
    events = uses("crm:1", range(PAGE * 3))
    append(store, *events)
    store.ledger.write([answer(1, "crm:1")])
    export = store.persons.export("crm:1")
    first = [next(export) for _ in range(10)]
    store.persons.erase("crm:1", 1)
    append(store, *uses("crm:another", range(PAGE * 3)))
    rest = [one for one in export if one["record"] != "profile"]
    assert len(first) + len(rest) == PAGE + 1
    assert "crm:another" not in str(rest)


# Its end.


def test_after_an_erasure_nothing_of_the_person_is_left_and_all_of_the_others(store: Store) -> None:
    mine, theirs = [*uses("crm:1", [1, 2]), *uses("web:1", [3])], uses("crm:2", [4, 5])
    append(store, *mine, *theirs)
    store.identities.link("web:1", "crm:1")
    store.consents.state("crm:1", NO, 10, "http")
    store.consents.state("crm:2", NO, 10, "http")
    store.ledger.write([answer(1, "crm:1"), answer(2, "web:1"), answer(3, "crm:2"), answer(4, None)])
    assert store.persons.erase("web:1", 99) == {"identities": 2, "events": 3, "statements": 2, "answers": 2}
    for identity in ("crm:1", "web:1"):
        assert list(store.persons.export(identity)) == []
        assert store.events.profile(identity) == EMPTY
        assert store.events.recent(identity, 5) == []
        assert store.identities.find(identity) == [identity]
        assert store.consents.history(identity) == []
        assert store.ledger.given(identity, 0, 5) == []
    assert store.events.count() == 2
    assert store.events.profile("crm:2") == profile_of(theirs)
    assert not store.consents.allows("crm:2", PERSONALISE)
    assert [store.ledger.read(f"r0000{n}") is None for n in (1, 2, 3, 4)] == [True, True, False, False]
    assert store.check()["problems"] == []


def test_whatever_comes_late_of_an_erased_person_stays_outside(store: Store) -> None:
    append(store, *uses("crm:1", [1]), *uses("web:1", [2]))
    store.identities.link("web:1", "crm:1")
    store.persons.erase("crm:1", 99)
    late = [Event("crm:1", "e1", 1), Event("crm:2", "e", 3, item="other"), Event("web:1", "new", 5, item="late")]
    assert append(store, *late) == [Outcome.ERASED, Outcome.ACCEPTED, Outcome.ERASED]
    assert append(store, *late[::2]) == [Outcome.ERASED, Outcome.ERASED]
    assert store.items.get("late") is None
    assert store.events.profile("crm:2") == profile_of(late[1:2])
    store.ledger.write([answer(1, "crm:1"), answer(2, "crm:2"), answer(3, "web:1")])
    assert [store.ledger.read(f"r0000{n}") is None for n in (1, 2, 3)] == [True, False, True]
    for a, b in (("crm:1", "app:1"), ("app:1", "web:1")):
        with pytest.raises(ErasedError):
            store.identities.link(a, b)
    with pytest.raises(ErasedError):
        store.consents.state("crm:1", YES, 100, "http")
    assert not store.consents.allows("crm:1", PERSONALISE)
    assert store.identities.find("app:1") == ["app:1"]
    assert len(list(store.events.scan())) == 1


def test_erasing_again_changes_nothing_and_a_stranger_can_be_kept_out(store: Store) -> None:
    append(store, *uses("crm:1", [1]))
    store.persons.erase("crm:1", 5)
    nothing = {"identities": 0, "events": 0, "statements": 0, "answers": 0}
    assert store.persons.erase("crm:1", 6) == nothing
    assert store.persons.erase("crm:never", 7) == nothing
    assert store.persons.erased(["crm:1", "crm:2", "crm:never"]) == {"crm:1", "crm:never"}
    assert append(store, *uses("crm:never", [1])) == [Outcome.ERASED]


def test_nobody_gets_the_number_of_one_who_was_erased(store: Store) -> None:
    append(store, *uses("crm:1", [1]), *uses("crm:2", [2]))
    (first, second) = profiles_in(list(store.events.scan()))
    store.persons.erase("crm:2", 5)
    append(store, *uses("crm:3", [3]))
    assert set(profiles_in(list(store.events.scan()))) == {first, second + 1}


def test_a_lifted_erasure_lets_new_events_in_and_brings_nothing_back(store: Store) -> None:
    append(store, *uses("crm:1", [1]))
    store.persons.erase("crm:1", 5)
    assert not store.persons.lift("crm:2")
    assert store.persons.lift("crm:1")
    assert not store.persons.lift("crm:1")
    assert store.persons.erased(["crm:1"]) == set()
    again = uses("crm:1", [1, 9])
    assert append(store, *again) == [Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert store.events.profile("crm:1") == profile_of(again)
    assert store.consents.allows("crm:1", PERSONALISE)
    store.persons.erase("crm:1", 6)
    assert append(store, *again) == [Outcome.ERASED, Outcome.ERASED]


@pytest.mark.parametrize("kind", PLACES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_happened_before_who_is_erased_is_gone_and_the_others_are_as_if_alone(
    kind: str, data: st.DataObject
) -> None:
    people = st.sampled_from(["crm:1", "web:ä", "web:2", "app:3"])
    steps = data.draw(
        st.lists(st.tuples(st.sampled_from(["use", "link", "unlink", "say"]), people, people), max_size=12)
    )
    with place(kind) as where, closing(open_store(where, strong=STRONG)) as store:
        told: list[Event] = []
        for at, (step, one, other) in enumerate(steps):
            if step == "use":
                told.append(Event(one, f"e{at}", at))
                append(store, told[-1])
            elif step == "link":
                store.identities.link(one, other)
            elif step == "unlink":
                store.identities.unlink(one)
            else:
                store.consents.state(one, {PERSONALISE: at % 2 == 0}, at, "test")
        gone = data.draw(people)
        names = set(store.identities.find(gone))
        store.persons.erase(gone, 99)
        left = [event for event in told if event.identity not in names]
        assert store.persons.erased(["crm:1", "web:ä", "web:2", "app:3"]) == names
        assert store.events.count() == len(left)
        assert all(store.events.append(batch([event])).tolist() == [Outcome.DUPLICATE] for event in left)
        assert not any(list(store.persons.export(name)) for name in names)
        assert store.check()["problems"] == []


def test_the_secret_of_these_tests_is_the_environments() -> None:
    assert VARIABLE in os.environ
