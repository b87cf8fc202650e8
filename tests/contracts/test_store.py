"""What every store must do, in memory and on disk alike."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import ConflictError, UsageError
from recommender.profile import EMPTY, HISTORY
from recommender.stores import open_store
from recommender.stores.base import Item, Key, Outcome, Store
from recommender.types import Kind, Role
from tests.contracts.places import PLACES, place
from tests.contracts.worlds import Event, batch, profile_of, profiles_in

STRONG = ("crm", "id")
ACCEPTED, DUPLICATE, CONFLICT = Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.CONFLICT


@pytest.fixture(params=PLACES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with place(request.param) as where, closing(open_store(where, strong=STRONG)) as opened:
        yield opened


def append(store: Store, *events: Event) -> list[int]:
    return [int(outcome) for outcome in store.events.append(batch(events))]


def uses(identity: str, times: Sequence[int]) -> list[Event]:
    return [Event(identity, f"e{time}", time, item=f"item-{time % 7}") for time in times]


def test_an_event_is_in_the_next_profile(store: Store) -> None:
    event = Event("crm:1", "e1", time=5)
    assert append(store, event) == [ACCEPTED]
    assert store.events.profile("crm:1") == profile_of([event])
    assert store.events.count() == 1


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    assert append(store) == []
    assert store.events.count() == 0


def test_an_unknown_customer_has_the_empty_profile_and_leaves_no_trace(store: Store) -> None:
    assert store.events.profile("crm:nobody") == EMPTY
    assert store.events.recent("crm:nobody", 10) == []
    assert store.identities.find("crm:nobody") == ["crm:nobody"]
    assert list(store.events.scan()) == []


def test_a_repeated_event_changes_nothing(store: Store) -> None:
    event = Event("crm:1", "e1", time=5)
    append(store, event)
    assert append(store, event, Event("crm:1", "e2", time=6), event) == [DUPLICATE, ACCEPTED, DUPLICATE]
    assert len(store.events.profile("crm:1")) == store.events.count() == 2


def test_another_event_of_the_same_id_is_a_conflict_and_the_first_stays(store: Store) -> None:
    first, other = Event("crm:1", "e1", time=5, item="a"), Event("crm:1", "e1", time=5, item="b")
    assert append(store, first) == [ACCEPTED]
    assert append(store, other, first) == [CONFLICT, DUPLICATE]
    assert store.events.profile("crm:1") == profile_of([first])
    assert store.items.get("b") is None


def test_within_a_batch_the_first_of_an_id_counts(store: Store) -> None:
    first, other = Event("crm:1", "e1", item="a"), Event("crm:1", "e1", item="b")
    assert append(store, first, other, first) == [ACCEPTED, CONFLICT, DUPLICATE]
    assert store.events.profile("crm:1") == profile_of([first])


def test_event_ids_belong_to_their_identity(store: Store) -> None:
    assert append(store, Event("crm:1", "e1"), Event("crm:2", "e1")) == [ACCEPTED, ACCEPTED]


def test_a_late_event_gives_the_profile_that_the_ordered_one_gives(store: Store) -> None:
    early, late = Event("crm:1", "e1", time=1), Event("crm:1", "e2", time=2)
    append(store, late)
    append(store, early)
    assert store.events.profile("crm:1") == profile_of([early, late])


@pytest.mark.parametrize("kind", PLACES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_order_and_any_batching_of_the_same_events_give_the_same_profile(kind: str, data: st.DataObject) -> None:
    people, times = st.sampled_from(["crm:1", "web:ä", "web:2"]), st.integers(0, 3)
    events = data.draw(st.lists(st.builds(Event, people, st.sampled_from("abcdefgh"), times), max_size=30))
    told = list({(event.identity, event.event_id): event for event in events}.values())
    sent = data.draw(st.permutations(told + told[:3]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    with place(kind) as where, closing(open_store(where, strong=STRONG)) as store:
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            append(store, *sent[start:end])
        for identity in ("crm:1", "web:ä", "web:2"):
            assert store.events.profile(identity) == profile_of([e for e in told if e.identity == identity])
        assert store.events.count() == len(told)


def test_recent_events_come_newest_first_as_they_were_sent(store: Store) -> None:
    append(store, Event("web:ä", "1", time=1, item="", type="login", channel=""))
    append(
        store,
        Event("web:ä", "2", time=9, item="maksu 🦫", extra='{"value":2.5}', position=3),
        Event("crm:1", "3", time=5),
    )
    store.identities.link("web:ä", "crm:1")
    newest, middle, oldest = store.events.recent("crm:1", 5)
    assert (newest.identity, newest.event_id, newest.type, newest.item) == ("web:ä", "2", "use", "maksu 🦫")
    assert (newest.channel, newest.time, newest.zone, newest.position) == ("web", 9, 120, 3)
    assert newest.extra == {"value": 2.5}
    assert (middle.identity, middle.extra) == ("crm:1", {})
    assert (oldest.type, oldest.item, oldest.channel) == ("login", None, None)
    assert [event.event_id for event in store.events.recent("web:ä", 1)] == ["2"]


def test_linked_identities_are_one_customer_on_the_next_read(store: Store) -> None:
    web, crm = uses("web:1", [1, 4]), uses("crm:1", [2, 3])
    append(store, *web, *crm)
    assert store.identities.link("web:1", "crm:1") == ["crm:1", "web:1"]
    assert store.identities.find("web:1") == store.identities.find("crm:1") == ["crm:1", "web:1"]
    assert store.events.profile("web:1") == store.events.profile("crm:1") == profile_of(web + crm)


def test_unlinking_gives_each_its_own_events_back(store: Store) -> None:
    web, crm = uses("web:1", [1, 4]), uses("crm:1", [2, 3])
    append(store, *web, *crm)
    store.identities.link("web:1", "crm:1")
    assert store.identities.unlink("web:1") == ["web:1"]
    assert store.events.profile("web:1") == profile_of(web)
    assert store.events.profile("crm:1") == profile_of(crm)


def test_the_first_of_a_customer_may_leave(store: Store) -> None:
    append(store, *uses("web:1", [1]), *uses("web:2", [2]), *uses("crm:1", [3]))
    store.identities.link("web:1", "web:2")
    store.identities.link("web:2", "crm:1")
    store.identities.unlink("web:1")
    assert store.identities.find("web:1") == ["web:1"]
    assert store.identities.find("web:2") == ["crm:1", "web:2"]
    assert set(profiles_in(list(store.events.scan()))) == {1, 2}


def test_new_identities_can_be_linked_before_their_first_event(store: Store) -> None:
    store.identities.link("web:1", "crm:1")
    append(store, *uses("web:1", [1]))
    assert len(store.events.profile("crm:1")) == 1
    assert store.identities.link("crm:1", "web:1") == ["crm:1", "web:1"]


def test_an_identity_links_with_itself_in_vain(store: Store) -> None:
    assert store.identities.link("web:1", "web:1") == ["web:1"]
    assert store.identities.unlink("web:never") == ["web:never"]


def test_a_shared_device_moves_and_never_merges_two_people(store: Store) -> None:
    append(store, *uses("crm:1", [1]), *uses("web:1", [2]), *uses("crm:2", [3]))
    store.identities.link("web:1", "crm:1")
    assert store.identities.link("crm:2", "web:1") == ["crm:2", "web:1"]
    assert store.identities.find("crm:1") == ["crm:1"]
    assert len(store.events.profile("crm:1")) == 1
    assert len(store.events.profile("crm:2")) == 2


def test_two_people_are_never_merged_and_a_refusal_leaves_no_trace(store: Store) -> None:
    store.identities.link("web:1", "crm:1")
    with pytest.raises(ConflictError):
        store.identities.link("crm:1", "crm:2")
    assert store.identities.find("crm:1") == ["crm:1", "web:1"]
    append(store, *uses("web:9", [1]))
    assert set(profiles_in(list(store.events.scan()))) == {3}


def test_an_event_names_its_item_first(store: Store) -> None:
    append(store, Event("crm:1", "1", item="pay"), Event("crm:1", "2", item="news", type="view"))
    append(store, Event("crm:1", "3", item="tool", type="view", kind=Kind.FEATURE))
    assert store.items.get("pay") == Item("pay", Kind.FEATURE)
    assert store.items.get("news") == Item("news", Kind.CONTENT)
    assert store.items.get("tool") == Item("tool", Kind.FEATURE)


def test_an_event_leaves_a_known_item_as_it_is(store: Store) -> None:
    known = Item("pay", Kind.CONTENT, "Pay a bill", {"price": 2, "tags": ["a", "ö"], "new": True}, available=False)
    store.items.put([known])
    cursor, _, _ = store.items.changes(0)
    append(store, Event("crm:1", "1", item="pay", kind=Kind.FEATURE))
    assert store.items.get("pay") == known
    assert store.items.changes(cursor) == (cursor, [], [])


def test_changes_tell_what_was_put_and_what_was_deleted(store: Store) -> None:
    first, second = Item("a", Kind.FEATURE), Item("b/ö", Kind.CONTENT, "B")
    assert store.items.put([first, second]) == 2
    start, put, deleted = store.items.changes(0)
    assert (put, deleted) == ([first, second], [])
    assert store.items.delete("a")
    assert not store.items.delete("a")
    append(store, Event("crm:1", "1", item="c"))
    cursor, put, deleted = store.items.changes(start)
    assert (put, deleted) == ([Item("c", Kind.FEATURE)], ["a"])
    assert store.items.changes(cursor) == (cursor, [], [])
    assert store.items.get("a") is None


def test_a_deleted_item_comes_back_by_the_catalogue_alone(store: Store) -> None:
    append(store, Event("crm:1", "1", item="a"))
    store.items.delete("a")
    append(store, Event("crm:1", "2", time=1, item="a"))
    assert store.items.get("a") is None
    assert [event.item for event in store.events.recent("crm:1", 5)] == ["a", "a"]
    store.items.put([Item("a", Kind.CONTENT)])
    assert store.items.get("a") == Item("a", Kind.CONTENT)


def test_an_item_keeps_its_kind_or_nothing_is_written(store: Store) -> None:
    store.items.put([Item("a", Kind.FEATURE)])
    with pytest.raises(ConflictError):
        store.items.put([Item("b", Kind.CONTENT), Item("a", Kind.CONTENT)])
    assert store.items.get("b") is None
    assert store.items.get("a") == Item("a", Kind.FEATURE)


def test_a_scan_gives_the_profile_of_every_customer(store: Store) -> None:
    rng = np.random.default_rng(7)
    people = ["crm:1", "web:1", "web:2", "crm:2", "app:ä", "crm:3"]
    events = [Event(people[rng.integers(6)], f"e{n}", int(rng.integers(200)), item=f"i{n % 9}") for n in range(900)]
    for start in range(0, 900, 150):
        append(store, *events[start : start + 150])
    store.identities.link("crm:3", "web:1")
    store.identities.link("crm:2", "app:ä")
    for size in (1, 2, 20_000):
        logs = list(store.events.scan(batch=size))
        assert np.all(np.diff(np.concatenate([log.customers for log in logs])) > 0)
        expected = {store.events.profile(identity) for identity in people}
        assert len(expected) == 4
        assert set(profiles_in(logs).values()) == expected


def test_beyond_the_bound_a_profile_is_still_the_sum_and_repeats_are_still_seen(store: Store) -> None:
    rng = np.random.default_rng(3)
    events = uses("crm:1", rng.permutation(HISTORY + 5_000).tolist())
    for start in range(0, len(events), 4_000):
        append(store, *events[start : start + 4_000])
    others = uses("web:1", range(100))
    append(store, *others)
    assert store.events.profile("crm:1") == profile_of(events)
    assert set(append(store, *events[:50], *events[-50:])) == {DUPLICATE}
    store.identities.link("web:1", "crm:1")
    both = profile_of(events + others)
    assert store.events.profile("web:1") == both
    assert list(profiles_in(list(store.events.scan())).values()) == [both]
    assert store.events.count() == len(both) == HISTORY + 5_100


def test_an_answer_reads_back_as_it_was_written(store: Store) -> None:
    answers = [{"recommendation_id": f"r{n}", "at": n * 10, "slots": [{"items": ["a", "ö"]}]} for n in (1, 2, 3)]
    store.ledger.write(answers)
    assert store.ledger.read("r2") == answers[1]
    assert store.ledger.read("r9") is None
    state = store.ledger.state()
    assert (state["answers"], state["oldest"], state["newest"]) == (3, 10, 30)
    assert state["bytes"] > 0


def test_the_ledger_knows_the_newest_answers_for_an_identity(store: Store) -> None:
    def answer(n: int, customer: str | None) -> dict[str, object]:
        return {"recommendation_id": f"{n:012x}-{n}", "at": n, "customer": customer, "slots": [{"items": ["ö"]}]}

    def given(identity: str, since: int = 0, most: int = 9) -> list[int]:
        return [one["at"] for one in store.ledger.given(identity, since, most)]

    store.ledger.write([answer(20, "crm:1"), answer(10, "crm:1"), answer(30, "web:1")])
    store.ledger.write([answer(40, "crm:1"), answer(50, None), {"recommendation_id": "r6", "at": 6}])
    assert given("crm:1") == [40, 20, 10]
    assert given("crm:1", since=20) == [40, 20]
    assert given("crm:1", most=1) == [40]
    assert given("crm:2") == []
    assert store.ledger.given("web:1", 0, 1) == [answer(30, "web:1")]


def test_the_ledger_forgets_what_is_older(store: Store) -> None:
    assert store.ledger.state()["newest"] == 0
    store.ledger.write([{"recommendation_id": f"r{n}", "at": n} for n in range(5)])
    assert store.ledger.prune(before=3, most=2) == 2
    assert store.ledger.read("r1") is None
    assert store.ledger.read("r2") is not None
    assert store.ledger.prune(before=3, most=2) == 1
    assert store.ledger.read("r2") is None
    assert store.ledger.read("r3") == {"recommendation_id": "r3", "at": 3}


def test_a_key_is_kept_until_it_is_revoked_and_remembered_afterwards(store: Store) -> None:
    new, old = Key("b", b"\0\xff", Role.FRONTEND, "web ä", 20), Key("a", b"2", Role.ADMIN, "", 10)
    assert store.keys.all() == []
    store.keys.add(new)
    store.keys.add(old)
    assert store.keys.all() == [old, new]
    assert store.keys.revoke("b", 30)
    assert store.keys.all() == [old, replace(new, revoked=30)]
    assert not store.keys.revoke("b", 40)
    assert not store.keys.revoke("nowhere", 40)
    with pytest.raises(ConflictError):
        store.keys.add(replace(old, name="another"))
    assert store.keys.all() == [old, replace(new, revoked=30)]


def test_a_sound_store_checks_out(store: Store) -> None:
    append(store, *uses("crm:1", [1, 2]))
    found = store.check()
    assert (found["ok"], found["problems"], found["events"]) == (True, [], 2)


def test_a_place_that_is_no_store_is_refused() -> None:
    with pytest.raises(UsageError, match="not of another kind"):
        open_store("mysql://somewhere/murmeli", strong=STRONG)
