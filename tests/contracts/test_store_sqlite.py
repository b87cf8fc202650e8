"""What the store on disk promises beyond the contract: it lasts, it is shared, and it never lies half written."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from recommender.consent import Purpose
from recommender.errors import StoreError, StoreFullError
from recommender.secrets import FILE
from recommender.stores import open_store
from recommender.stores.base import Item, Outcome
from recommender.stores.sqlite import parts
from recommender.stores.sqlite.database import Database
from recommender.stores.sqlite.ledger import _GIVEN
from recommender.stores.sqlite.persons import SqlitePersons
from recommender.stores.sqlite.schema import APPLICATION, LEDGER, MAIN, prepare
from recommender.stores.sqlite.store import LEDGER_FILE, MAIN_FILE, SqliteStore
from recommender.types import Kind
from tests.contracts.worlds import Event, batch, profile_of

STRONG = ("crm", "id")
EVENTS = [Event("web:1", "a", 1), Event("web:1", "b", 2, item="news", type="view"), Event("crm:1", "c", 3)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path, STRONG)) as opened:
        yield opened


def write_all(home: Path) -> None:
    with closing(open_store(home, strong=STRONG)) as store:
        store.events.append(batch(EVENTS))
        store.identities.link("web:1", "crm:1")
        store.items.put([Item("x", Kind.CONTENT, attributes={"tags": ["a"]})])
        store.ledger.write([{"recommendation_id": "r1", "at": 5}])


@pytest.mark.parametrize("writable", [True, False])
def test_a_home_opened_again_holds_the_same(tmp_path: Path, writable: bool) -> None:
    write_all(tmp_path)
    with closing(open_store(str(tmp_path), strong=STRONG, writable=writable)) as store:
        assert store.events.profile("crm:1") == profile_of(EVENTS)
        assert store.identities.find("crm:1") == ["crm:1", "web:1"]
        assert store.items.get("x") == Item("x", Kind.CONTENT, attributes={"tags": ["a"]})
        assert store.ledger.read("r1") == {"recommendation_id": "r1", "at": 5}
        assert store.check()["ok"]


def test_a_ledger_of_before_there_was_an_index_gets_it(tmp_path: Path) -> None:
    write_all(tmp_path)
    with closing(apsw.Connection(str(tmp_path / LEDGER_FILE))) as connection:
        connection.execute("DROP INDEX answers_by_customer")
    with closing(open_store(tmp_path, strong=STRONG)) as store:
        assert store.ledger.given("crm:1", 0, 1) == []
    with closing(apsw.Connection(str(tmp_path / LEDGER_FILE))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {_GIVEN}", ("crm:1", "0", 1)).fetchall()
    assert [row[3] for row in plan] == [
        "SEARCH answers USING INDEX answers_by_customer (<expr>=? AND recommendation_id>?)"
    ]


def test_an_acknowledged_event_is_durable(store: SqliteStore) -> None:
    with store._main.writing() as connection:
        assert connection.pragma("synchronous") == 2  # FULL
        assert connection.pragma("journal_mode") == "wal"
    found = store.check()
    assert (found["main"]["synchronous"], found["main"]["journal_mode"]) == ("FULL", "wal")
    assert found["ledger"]["synchronous"] == "NORMAL"


def test_each_of_two_sees_what_the_other_commits(tmp_path: Path, store: SqliteStore) -> None:
    with closing(SqliteStore(tmp_path, STRONG)) as other:
        for at in range(6):
            writer, reader = (store, other) if at % 2 else (other, store)
            assert writer.events.append(batch([Event("crm:1", f"e{at}", at)])) == [Outcome.ACCEPTED]
            assert reader.events.append(batch([Event("crm:1", f"e{at}", at)])) == [Outcome.DUPLICATE]
            assert len(reader.events.profile("crm:1")) == at + 1
        store.identities.link("crm:1", "web:1")
        assert other.identities.find("web:1") == ["crm:1", "web:1"]


def test_processes_that_open_a_new_home_together_share_one_truth(tmp_path: Path) -> None:
    code = "import sys; from tests.contracts.test_store_sqlite import append_some; print(append_some(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    root = Path(__file__).parents[2]
    running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]  # noqa: S603
    accepted = [int(process.communicate()[0]) for process in running]
    assert sum(accepted) == 40
    with closing(open_store(tmp_path / "home", strong=STRONG)) as store:
        assert store.events.count() == 40
        assert sum(len(store.events.profile(f"crm:{n}")) for n in range(4)) == 40


def append_some(home: str) -> int:
    with closing(open_store(home, strong=STRONG)) as store:
        outcomes = [store.events.append(batch([Event(f"crm:{n % 4}", f"e{n}", n)])) for n in range(40)]
        return sum(int(outcome[0] == Outcome.ACCEPTED) for outcome in outcomes)


def test_a_crash_in_the_middle_leaves_nothing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("power cut")

    store.events.append(batch(EVENTS[:1]))
    with monkeypatch.context() as patch:
        patch.setattr(parts, "extend", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            store.events.append(batch(EVENTS))
    assert store.events.count() == len(store.events.profile("web:1")) == 1
    assert store.items.get("news") is None
    with store._main.writing() as connection:
        assert connection.execute("SELECT count(*) FROM identities").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    assert store.events.append(batch(EVENTS)).tolist() == [Outcome.DUPLICATE, Outcome.ACCEPTED, Outcome.ACCEPTED]
    assert store.items.get("news") == Item("news", Kind.CONTENT)
    assert store.events.profile("web:1") == profile_of(EVENTS[:2])


def test_a_full_disk_refuses_the_write_whole_and_reading_goes_on(store: SqliteStore) -> None:
    store.events.append(batch(EVENTS))
    with store._main.writing() as connection:
        pages = int(connection.pragma("page_count"))
        connection.pragma("max_page_count", pages)
    with pytest.raises(StoreFullError, match="no room left"):
        store.events.append(batch([Event("crm:1", f"e{n}", n, extra='{"x":"' + "y" * 99 + '"}') for n in range(2_000)]))
    assert store.events.profile("crm:1") == profile_of(EVENTS[2:])
    assert store.events.count() == 3


def test_many_threads_read_while_one_writes(store: SqliteStore) -> None:
    def read(_: int) -> bool:
        profile = store.events.profile("crm:1")
        return len(profile) == profile.events.size

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(read, range(200))
        for n in range(50):
            store.events.append(batch([Event("crm:1", f"e{n}", n)]))
        assert all(answers)
    assert len(store.events.profile("crm:1")) == 50


def test_a_scan_is_of_one_moment(store: SqliteStore) -> None:
    store.events.append(batch(EVENTS))
    logs = store.events.scan(batch=1)
    first = next(logs)
    store.events.append(batch([Event("crm:1", "late", 9), Event("crm:9", "new", 9)]))
    assert first.events.size + sum(log.events.size for log in logs) == 3


def test_a_store_may_close_while_a_scan_is_left_half_way(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, STRONG)
    store.events.append(batch(EVENTS))
    logs = store.events.scan(batch=1)
    next(logs)
    store.close()
    del logs


def test_the_check_finds_an_event_that_is_in_the_log_and_in_no_profile(store: SqliteStore) -> None:
    store.events.append(batch(EVENTS))
    with store._main.writing() as connection:
        connection.execute("DELETE FROM parts WHERE id = (SELECT max(id) FROM parts)")
    found = store.check()
    assert not found["ok"]
    assert found["problems"] == ["3 events were accepted, the log holds 3, the profiles 2"]


def test_the_check_tells_of_damage_and_does_not_fall_over_it(tmp_path: Path) -> None:
    write_all(tmp_path)
    with (tmp_path / MAIN_FILE).open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 4096 * 5)
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        found = store.check()
    assert not found["ok"]
    assert found["problems"]


def tables(path: Path) -> list[tuple[str, str]]:
    with closing(apsw.Connection(str(path))) as connection:
        return list(connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name"))


@pytest.mark.parametrize("steps", [MAIN, LEDGER])
def test_a_file_of_any_earlier_version_is_brought_up_to_date_once_by_whoever_comes_first(
    tmp_path: Path, steps: tuple[str, ...]
) -> None:
    def opened(name: str) -> None:
        Database(tmp_path / name, steps, synchronous="NORMAL", writable=True).close()

    opened("new")
    for version in range(1, len(steps)):
        with closing(apsw.Connection(str(tmp_path / f"old{version}"))) as connection:
            prepare(connection, steps[:version])
        with pytest.raises(StoreError, match="doctor"):
            Database(tmp_path / f"old{version}", steps, synchronous="NORMAL", writable=False)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(opened, [f"old{version}"] * 4))
        assert tables(tmp_path / f"old{version}") == tables(tmp_path / "new")


@pytest.mark.parametrize(
    ("application", "version", "message"),
    [
        (APPLICATION, len(MAIN) + 1, "Upgrade Murmeli"),
        (APPLICATION, 0, "from a backup"),
        (0, 7, "another program"),
    ],
)
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("name", [MAIN_FILE, LEDGER_FILE])
def test_a_file_of_another_version_or_program_is_refused(
    tmp_path: Path, application: int, version: int, message: str, writable: bool, name: str
) -> None:
    write_all(tmp_path)
    with closing(apsw.Connection(str(tmp_path / name))) as connection:
        connection.pragma("application_id", application)
        connection.pragma("user_version", version)
    with pytest.raises(StoreError, match=message):
        open_store(tmp_path, strong=STRONG, writable=writable)


def test_a_damaged_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / MAIN_FILE).write_bytes(b"This is no database. " * 500)
    with pytest.raises(StoreError, match="restore it from a backup"):
        open_store(tmp_path, strong=STRONG)


def test_a_home_that_cannot_be_written_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="writable for this user, or choose another home"):
        open_store(tmp_path / "home", strong=STRONG)


def test_a_store_for_reading_alone_is_neither_made_nor_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        open_store(tmp_path / "home", strong=STRONG, writable=False)
    assert not (tmp_path / "home").exists()
    write_all(tmp_path)
    with closing(open_store(tmp_path, strong=STRONG, writable=False)) as store:
        with pytest.raises(StoreError, match="reading only"):
            store.events.append(batch(EVENTS))
        with pytest.raises(StoreError, match="reading only"):
            store.identities.link("web:1", "crm:2")


def test_closing_twice_is_harmless_and_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, STRONG)
    store.events.profile("crm:1")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.events.profile("crm:1")
    with pytest.raises(StoreError, match="closed"):
        store.events.append(batch(EVENTS))


def test_what_is_known_of_people_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_all(tmp_path)
    for name in (MAIN_FILE, LEDGER_FILE):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


# Erasure, which spans two files.


def answer(n: int, customer: str) -> dict[str, object]:
    return {"recommendation_id": f"r{n}", "at": n, "customer": customer, "slots": []}


def test_an_erasure_that_a_crash_broke_off_is_finished_by_whoever_opens_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two files: the person is gone from the one, and named in it until their answers are gone too."""
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        store.events.append(batch(EVENTS))
        store.identities.link("web:1", "crm:1")
        store.ledger.write([answer(1, "web:1"), answer(2, "crm:1"), answer(3, "crm:2")])
        monkeypatch.setattr(SqlitePersons, "_finish", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.persons.erase("crm:1", 5)
        monkeypatch.undo()
        assert store.ledger.read("r1") is not None
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        assert [store.ledger.read(f"r{n}") is None for n in (1, 2, 3)] == [True, True, False]
        assert not list(store.persons.export("web:1"))
    assert not any(b"web:1" in path.read_bytes() for path in tmp_path.iterdir())


def test_an_answer_that_waits_for_the_ledger_does_not_come_in_behind_an_erasure(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, STRONG)) as store, closing(SqliteStore(tmp_path, STRONG)) as other:
        store.events.append(batch(EVENTS))
        with ThreadPoolExecutor(2) as pool:
            for n in range(40):
                who = f"web:{n}"
                written = pool.submit(other.ledger.write, [answer(n, who)])
                pool.submit(store.persons.erase, who, n).result()
                written.result()
        assert store.ledger.state()["answers"] == 0


def test_while_somebody_reads_a_snapshot_an_erasure_does_not_wait_and_wipes_the_log_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.stores.sqlite.database.WIPE_EVERY", 0.0)
    log = tmp_path / f"{MAIN_FILE}-wal"
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        store.events.append(batch([Event("web:Somebody", f"e{n}", n) for n in range(50)]))
        scan = store.events.scan(batch=1)
        next(scan)
        store.persons.erase("web:Somebody", 5)
        assert b"Somebody" in log.read_bytes()
        scan.close()  # type: ignore[attr-defined]
        store.events.append(batch(EVENTS))
        assert b"Somebody" not in log.read_bytes() + (tmp_path / MAIN_FILE).read_bytes()


def test_under_another_secret_nobody_is_let_in_who_may_have_been_erased(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        store.events.append(batch(EVENTS))
        store.persons.erase("crm:1", 5)
    (tmp_path / FILE).write_text("another secret of the same length")
    with closing(SqliteStore(tmp_path, STRONG)) as store:
        assert store.events.append(batch([Event("web:1", "late")])).tolist() == [Outcome.ACCEPTED]  # who is known
        for work in (
            lambda: store.events.append(batch([Event("crm:1", "late")])),
            lambda: store.ledger.write([answer(1, "crm:1")]),
            lambda: store.persons.erase("web:1", 6),
            lambda: store.consents.allows("crm:1", Purpose.PERSONALISE),
        ):
            with pytest.raises(StoreError, match="under another secret"):
                work()
        assert store.events.count() == 3
        (problem,) = store.check()["problems"]
        assert "under another secret" in problem
