"""What the store on PostgreSQL keeps to beyond the contract: replicas that share it, and its tables over time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest

from recommender.errors import StoreError
from recommender.secrets import VARIABLE
from recommender.stores import open_store
from recommender.stores.base import Item, Outcome, Store
from recommender.stores.postgres import events
from recommender.stores.postgres.identities import enrol
from recommender.stores.postgres.schema import VERSION
from recommender.stores.postgres.store import PostgresStore
from recommender.types import IntArray, Kind
from tests.contracts.places import schema
from tests.contracts.worlds import Event, batch, profile_of

STRONG = ("crm", "id")


@pytest.fixture
def url() -> Iterator[str]:
    with schema() as address:
        yield address


def opened(url: str, *, writable: bool = True) -> "closing[Store]":
    return closing(open_store(url, strong=STRONG, writable=writable))


def test_replicas_that_write_the_same_customers_at_once_lose_and_double_nothing(url: str) -> None:
    people = [f"crm:{n}" for n in range(6)]
    told = [Event(people[n % 6], f"e{n}", time=n, item=f"item-{n % 11}") for n in range(360)]
    shares = [told[start::5] + told[start + 1 :: 5][:20] for start in range(5)]  # some are sent twice, by two replicas

    def send(share: list[Event], store: Store) -> list[int]:
        return [int(o) for at in range(0, len(share), 8) for o in store.events.append(batch(share[at : at + 8]))]

    with ExitStack() as stack:
        replicas = [stack.enter_context(opened(url)) for _ in range(2)]
        with ThreadPoolExecutor(5) as pool:
            outcomes = list(pool.map(send, shares, [replicas[n % 2] for n in range(5)]))
        assert sum(outcome.count(Outcome.ACCEPTED) for outcome in outcomes) == 360
        assert not any(Outcome.CONFLICT in outcome for outcome in outcomes)
        for store in replicas:
            assert all(store.events.profile(p) == profile_of([e for e in told if e.identity == p]) for p in people)
            assert store.check()["problems"] == []


def test_a_connection_that_broke_while_it_was_idle_costs_nobody_an_answer(url: str) -> None:
    with closing(PostgresStore(url, STRONG)) as store, psycopg.connect(url, autocommit=True) as other:

        def cut() -> None:
            pid = store.events._database.fetch("SELECT pg_backend_pid()")[0][0]
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))

        cut()
        store.events.append(batch([Event("crm:1", "e1", item="pay")]))
        cut()
        assert len(store.events.profile("crm:1")) == 1
        cut()
        with store.events._database.reading() as connection:
            assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("round_", range(2))
def test_whoever_is_erased_while_replicas_write_their_events_and_answers_is_gone(
    url: str, round_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a secret of these tests")
    with ExitStack() as stack:
        replicas = [stack.enter_context(opened(url)) for _ in range(2)]
        people = [f"crm:{round_}-{n}" for n in range(4)]
        replicas[0].events.append(batch([Event(name, "first") for name in people]))

        def send(store: Store, start: int) -> list[int]:
            told: list[int] = []
            for n in range(30):
                events = [Event(name, f"e{start}-{n}", n, item=f"i{n % 5}") for name in people]
                told += [int(o) for o in store.events.append(batch(events))][:1]
                answer = {"recommendation_id": f"r{start}-{n}", "at": n, "customer": people[0], "slots": []}
                store.ledger.write([answer])
            return told

        with ThreadPoolExecutor(5) as pool:
            sending = [pool.submit(send, replicas[n % 2], n) for n in range(4)]
            erased = pool.submit(replicas[0].persons.erase, people[0], 1).result()
            outcomes = [done.result() for done in sending]
        assert erased["events"] >= 1
        for told in outcomes:  # once it is out, it stays out
            assert told == sorted(told)
            assert set(told) <= {Outcome.ACCEPTED, Outcome.ERASED}
        for store in replicas:
            assert list(store.persons.export(people[0])) == []
            assert store.check()["problems"] == []
            assert len(store.events.profile(people[1])) == 121


def test_whoever_is_erased_between_two_looks_at_who_they_are_leaves_no_orphan(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a secret of these tests")
    with opened(url) as store, opened(url) as other:
        store.events.append(batch([Event("crm:1", "first"), Event("crm:2", "first")]))

        def enrol_then_erase(*arguments: Any) -> tuple[IntArray, int]:  # noqa: ANN401 - whatever is passed on
            found = enrol(*arguments)
            monkeypatch.setattr(events, "enrol", enrol)
            other.persons.erase("crm:1", 1)
            return found

        monkeypatch.setattr(events, "enrol", enrol_then_erase)
        sent = batch([Event("crm:1", "late", 1), Event("crm:2", "late", 1)])
        assert store.events.append(sent).tolist() == [Outcome.ERASED, Outcome.ACCEPTED]
        assert store.events.count() == len(store.events.profile("crm:2")) == 2


def test_under_another_secret_a_replica_refuses_whoever_may_have_been_erased(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a secret of these tests")
    with opened(url) as store:
        store.persons.erase("crm:1", 5)
    monkeypatch.setenv(VARIABLE, "another secret of these")
    with opened(url) as store:
        with pytest.raises(StoreError, match="under another secret"):
            store.events.append(batch([Event("crm:1", "late")]))
        assert "under another secret" in store.check()["problems"][0]


def test_what_one_replica_accepts_is_in_the_next_answer_of_another(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        event = Event("crm:1", "e", item="pay")
        one.events.append(batch([event]))
        assert other.events.profile("crm:1") == profile_of([event])
        one.identities.link("crm:1", "web:1")
        assert other.events.profile("web:1") == profile_of([event])
        other.items.put([Item("new", Kind.CONTENT)])
        assert [item.id for item in one.items.changes(1)[1]] == ["new"]


def test_changes_of_the_catalogue_become_visible_in_the_order_of_their_numbers(url: str) -> None:
    """A reader who remembers a cursor would never see a change that appears below it later."""
    with ExitStack() as stack:
        replicas = [stack.enter_context(opened(url)) for _ in range(3)]
        seen: list[str] = []
        with ThreadPoolExecutor(3) as pool:
            writing = [
                pool.submit(lambda s, n: [s.items.put([Item(f"{n}-{i}", Kind.CONTENT)]) for i in range(20)], store, n)
                for n, store in enumerate(replicas[:2])
            ]
            cursor = 0
            while not all(done.done() for done in writing) or not seen or cursor < 40:
                cursor, put, _ = replicas[2].items.changes(cursor)
                seen += [item.id for item in put]
        assert len(seen) == len(set(seen)) == 40


def test_two_replicas_that_start_at_once_make_the_tables_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool, ExitStack() as stack:
        for store in pool.map(lambda _: open_store(url, strong=STRONG), range(4)):
            stack.enter_context(closing(store))
            assert store.check()["schema"] == VERSION


def test_opened_again_everything_is_still_there(url: str) -> None:
    with opened(url) as store:
        store.events.append(batch([Event("crm:1", "e", item="pay")]))
    with opened(url, writable=False) as store:
        assert store.events.count() == 1
        with pytest.raises(StoreError, match="reading only"):
            store.events.append(batch([Event("crm:1", "f")]))


def test_tables_of_a_newer_murmeli_are_refused(url: str) -> None:
    open_store(url, strong=STRONG).close()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE murmeli SET version = version + 1")
    with pytest.raises(StoreError, match="Upgrade Murmeli"):
        open_store(url, strong=STRONG)


def test_a_reader_does_not_make_tables(url: str) -> None:
    with pytest.raises(StoreError, match="import events"):
        open_store(url, strong=STRONG, writable=False)


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"'shop' at 127\.0\.0\.1 cannot be reached") as told:
        open_store("postgresql://ann:secret@127.0.0.1:1/shop?connect_timeout=1", strong=STRONG)
    assert "secret" not in str(told.value)


def test_a_closed_store_says_so(url: str) -> None:
    store = open_store(url, strong=STRONG)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.events.profile("crm:1")
