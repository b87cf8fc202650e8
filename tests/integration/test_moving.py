"""A site that moves to PostgreSQL answers there as it did before."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from recommender.consent import Purpose
from recommender.errors import StoreError, UsageError
from recommender.profile import HISTORY
from recommender.secrets import Secret
from recommender.stores import open_store
from recommender.stores.base import Item, Key, Outcome, Store
from recommender.stores.moving import move
from recommender.stores.sqlite.persons import SqlitePersons
from recommender.types import Kind, Role
from tests.contracts.places import schema
from tests.contracts.test_store import uses
from tests.contracts.worlds import Event, batch, profiles_in

STRONG = ("crm", "id")
SLOT = {"placement": "menu", "items": [{"item": "a"}, {"item": "b"}]}
ANSWER = {"recommendation_id": "r1", "at": 5, "customer": "crm:1", "slots": [SLOT]}


def fill(store: Store) -> None:
    store.events.append(batch([*uses("crm:1", range(60)), Event("web:ä", "1", 3, "maksu 🦫", extra='{"value":2.5}')]))
    store.events.append(batch(uses("crm:2", np.random.default_rng(3).permutation(HISTORY + 5_000).tolist())))
    store.identities.link("crm:1", "web:ä")
    store.items.put([Item("pay", Kind.FEATURE, "Pay", {"price": 2, "tags": ["a"]}, available=False)])
    store.items.put([Item("gone", Kind.CONTENT)])
    store.items.delete("gone")
    store.ledger.write([ANSWER])
    store.keys.add(Key("a", b"\0\xff", Role.DATA, "ä", 7))
    store.keys.revoke("a", 8)


def test_all_of_a_site_is_there_afterwards(tmp_path: Path) -> None:
    with closing(open_store(tmp_path, strong=STRONG)) as before:
        fill(before)
        with schema() as url:
            copied = move(tmp_path, url, lambda *_: None)
            assert copied["events"] == HISTORY + 5_061
            with closing(open_store(url, strong=STRONG)) as after:
                assert after.check()["problems"] == []
                assert profiles_in(list(after.events.scan())) == profiles_in(list(before.events.scan()))
                assert after.identities.find("web:ä") == ["crm:1", "web:ä"]
                assert after.events.recent("web:ä", 5) == before.events.recent("web:ä", 5)
                assert after.items.changes(0) == before.items.changes(0)
                assert after.ledger.read("r1") == before.ledger.read("r1") == ANSWER
                assert after.keys.all() == before.keys.all()
                assert [answer["customer"] for answer in after.ledger.given("crm:1", 0, 5)] == ["crm:1"]
                again = [*uses("crm:1", [7]), *uses("crm:1", [99]), *uses("crm:3", [1])]
                assert after.events.append(batch(again)).tolist() == [
                    Outcome.DUPLICATE,
                    Outcome.ACCEPTED,
                    Outcome.ACCEPTED,
                ]


def test_who_was_erased_stays_out_and_what_was_agreed_to_holds(tmp_path: Path) -> None:
    secret = Secret(tmp_path)
    with closing(open_store(tmp_path, strong=STRONG)) as before:
        fill(before)
        before.consents.state("web:ä", {Purpose.PERSONALISE: False}, 5, "cli")
        before.events.append(batch(uses("crm:gone", [1])))
        before.persons.erase("crm:gone", 9)
        with schema() as url:
            copied = move(tmp_path, url, lambda *_: None)
            assert (copied["consents"], copied["tombstones"]) == (2, 2)
            with closing(open_store(url, strong=STRONG, secret=secret)) as after:
                assert after.consents.history("crm:1") == before.consents.history("crm:1")
                assert not after.consents.allows("crm:1", Purpose.PERSONALISE)
                assert after.events.append(batch(uses("crm:gone", [1]))).tolist() == [Outcome.ERASED]
                assert after.events.append(batch(uses("crm:new", [1]))).tolist() == [Outcome.ACCEPTED]
                assert after.check()["problems"] == []
                assert list(after.persons.export("web:ä")) == list(before.persons.export("web:ä"))


def test_an_erasure_that_is_not_over_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_store(tmp_path, strong=STRONG)) as before, schema() as url:
        fill(before)
        monkeypatch.setattr(SqlitePersons, "_finish", lambda _: 0)
        before.persons.erase("crm:1", 5)
        with pytest.raises(UsageError, match="doctor"):
            move(tmp_path, url, lambda *_: None)


def test_a_target_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    with closing(open_store(tmp_path, strong=STRONG)) as before, schema() as url:
        fill(before)
        with closing(open_store(url, strong=STRONG)) as target:
            target.items.put([Item("theirs", Kind.CONTENT)])
            with pytest.raises(UsageError, match="nothing was copied"):
                move(tmp_path, url, lambda *_: None)
            assert target.events.count() == 0
            assert [item.id for item in target.items.changes(0)[1]] == ["theirs"]


def test_a_home_without_a_store_is_told_so(tmp_path: Path) -> None:
    with schema() as url, pytest.raises(StoreError, match="no store at"):
        move(tmp_path, url, lambda *_: None)


def test_a_home_that_is_written_to_meanwhile_is_copied_as_of_one_moment(tmp_path: Path) -> None:
    """An event that comes between two tables would be there without its identity, or in its profile and not the log."""
    with closing(open_store(tmp_path, strong=STRONG)) as before, schema() as url:
        fill(before)
        late = iter([batch(uses(f"crm:late{n}", [n])) for n in range(100)])

        def write(*_: object) -> None:
            before.events.append(next(late))

        copied = move(tmp_path, url, write)
        with closing(open_store(url, strong=STRONG)) as after:
            assert after.check()["problems"] == []
            assert after.events.count() == copied["events"] == HISTORY + 5_061
            assert after.identities.find("crm:late0") == ["crm:late0"]
            assert not len(after.events.profile("crm:late0"))
