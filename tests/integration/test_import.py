"""Files into a store, every row accounted for: real logs where they lie beside the repository, and nasty small ones."""

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import UsageError
from recommender.events import Defaults
from recommender.profile import encode
from recommender.stores import open_store
from recommender.stores.base import Item, Store
from recommender.types import Kind
from training import runs
from training.importers import ImportSummary, import_events, import_items

DATA = Path(__file__).parents[3] / "shared" / "data"
NOW = 1_795_363_200_000
STRONG = ("crm", "id")
UNIX = {"customer": "user", "item": "command", "at": "time"}
RETAIL = {"customer": "CustomerID", "item": "Description", "at": "InvoiceDate", "value": "Quantity"}


def log(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the real log {name} does not lie at ../shared/data")
    return path


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory:", strong=STRONG)
    yield store
    store.close()


def bring(store: Store, *files: Path, zone: str = "UTC", **options: object) -> ImportSummary:
    options = {"now": lambda: NOW} | options
    summary = import_events(store.events, files, zone=ZoneInfo(zone), **options)  # type: ignore[arg-type]
    assert summary.rows == summary.accepted + summary.duplicate + summary.rejected
    assert sum(summary.reasons.values()) == summary.rejected
    return summary


def counts(summary: ImportSummary) -> tuple[int, int, int]:
    return summary.accepted, summary.duplicate, summary.rejected


def profiles(store: Store, customers: Sequence[str]) -> list[bytes]:
    return [encode(store.events.profile(customer)) for customer in customers]


def write(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rejects(path: Path) -> list[tuple[int, str]]:
    return [(row["line"], row["code"]) for row in map(json.loads, path.read_text().splitlines())]


def test_the_unix_log_comes_in_once_and_in_any_order_gives_the_same_profiles(tmp_path: Path) -> None:
    file = log("unix-commands.csv.gz")
    header, *lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    np.random.default_rng(7).shuffle(lines)
    shuffled = write(tmp_path, header + "".join(lines))
    feature = Defaults(kind=Kind.FEATURE)
    customers = [f"id:unix-{n}" for n in range(1, 5)]
    with closing(open_store(tmp_path / "a", strong=STRONG)) as first:
        assert counts(bring(first, file, mapping=UNIX, defaults=feature)) == (50_976, 0, 0)
        assert counts(bring(first, file, mapping=UNIX, defaults=feature)) == (0, 50_976, 0)
        wanted = profiles(first, customers)
    with closing(open_store(tmp_path / "b", strong=STRONG)) as second:
        assert counts(bring(second, shuffled, mapping=UNIX, defaults=feature)) == (50_976, 0, 0)
        assert profiles(second, customers) == wanted


def test_a_longer_version_of_a_log_adds_only_what_is_new(store: Store, tmp_path: Path) -> None:
    lines = gzip.decompress(log("unix-commands.csv.gz").read_bytes()).decode().splitlines(keepends=True)
    assert counts(bring(store, write(tmp_path, "".join(lines[:30_001])), mapping=UNIX)) == (30_000, 0, 0)
    assert counts(bring(store, write(tmp_path, "".join(lines)), mapping=UNIX)) == (20_976, 30_000, 0)


def test_the_retail_log_is_accounted_for_to_the_row(store: Store, tmp_path: Path) -> None:
    shop = Defaults(type="purchase", kind=Kind.CONTENT)
    options = {"mapping": RETAIL, "defaults": shop, "rejects_path": tmp_path / "rejects.jsonl"}
    summary = bring(store, log("online-retail.parquet"), zone="Europe/London", **options)
    assert (summary.rows, counts(summary)) == (541_909, (406_829, 0, 135_080))
    assert summary.reasons == {"no_customer": 135_080}
    assert (summary.returns, summary.customers) == (8_905, 4_372)
    assert len(rejects(tmp_path / "rejects.jsonl")) == 135_080
    newest = store.events.recent("id:17850", 1)[0]
    assert (newest.zone, newest.identity) == (0, "id:17850")
    again = bring(store, log("online-retail.parquet"), zone="Europe/London", **options)
    assert counts(again) == (0, 406_829, 135_080)


def test_a_log_without_times_needs_a_default_for_them(store: Store) -> None:
    file, mapping = log("msweb-visits.csv.gz"), {"customer": "visitor", "item": "area"}
    summary = bring(store, file, mapping=mapping)
    assert (counts(summary), summary.reasons) == ((0, 0, 113_845), {"no_time": 113_845})
    assert counts(bring(store, file, mapping=mapping, defaults=Defaults(time=886_291_200_000))) == (113_845, 0, 0)
    assert counts(bring(store, file, mapping=mapping, defaults=Defaults(time=886_291_200_000))) == (0, 113_845, 0)


def test_every_bad_row_is_rejected_with_its_line_and_the_rest_comes_in(store: Store, tmp_path: Path) -> None:
    rows = [
        b"customer,item,at,value,type",
        b"a,x,2020-01-01,1,use",
        b'a,"x, ""y""\r\nz",2020-01-01,1,use',  # lines 3 and 4: a line end and quotes within a field
        b"a," + b"x" * 300 + b",2020-01-01,1,use",
        b"a,x,2020-01-01,NaN,use",
        b"a,x,2020-01-01,1e999,use",
        b"a,x\x00y,2020-01-01,1,use",
        b"a,\xff\xfe,2020-01-01,1,use",
        b",x,2020-01-01,1,use",
        b"a,x,2020-01-01,1",
        b"a,x,2020-01-01,1,use,more",
        b"",
        b"a,x,2126-01-01,1,use",
        b"a,x,01/02/2020,1,use",
        b"a," + "käyttö 🐿️".encode() + b",2020-01-01,-2,purchase",
        b'a,"' + b"x" * 200_000 + b'",2020-01-01,1,use',
        b"b,x,2020-01-01,1,use",
    ]
    path = tmp_path / "rejects.jsonl"
    summary = bring(store, write(tmp_path, b"\r\n".join(rows)), rejects_path=path)
    assert counts(summary) == (4, 0, 11)
    assert sorted(rejects(path)) == [
        (5, "bad_item"),
        (6, "bad_value"),
        (7, "bad_value"),
        (8, "bad_item"),
        (9, "bad_item"),
        (10, "no_customer"),
        (11, "bad_row"),
        (12, "bad_row"),
        (14, "future"),
        (15, "bad_time"),
        (17, "field_too_large"),
    ]
    assert (summary.returns, summary.customers, summary.rejects_file) == (1, 2, str(path))
    told = {event.item: event for event in store.events.recent("id:a", 9)}
    assert set(told) == {"x", 'x, "y"␍␊z', "käyttö 🐿️"}
    assert (told["käyttö 🐿️"].type, told["käyttö 🐿️"].extra) == ("return", {"value": -2})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", (0, 0, 0)),
        ("customer,item,at\n", (0, 0, 0)),
        ("customer,item,at", (0, 0, 0)),
        ("customer,item,at\na,x,1", (1, 0, 0)),
        ("\ufeffcustomer;item;at\na;x;1\n", (1, 0, 0)),
        ("customer\titem\tat\r\na\tx\t1\r\n", (1, 0, 0)),
        ("item|at|customer\nx|1|a\n\n\n", (1, 0, 0)),
    ],
)
def test_small_and_empty_files_are_read(store: Store, tmp_path: Path, content: str, expected: tuple[int, ...]) -> None:
    assert counts(bring(store, write(tmp_path, content))) == expected


def test_excels_unicode_text_is_read(store: Store, tmp_path: Path) -> None:
    assert counts(bring(store, write(tmp_path, "customer\titem\tat\nä\tx\t1\n".encode("utf-16")))) == (1, 0, 0)
    assert len(store.events.profile("id:ä")) == 1


@pytest.mark.parametrize("name", ["log.jsonl", "log.unknown"])
def test_json_lines_are_read_one_by_one(store: Store, tmp_path: Path, name: str) -> None:
    lines = [
        b'{"customer": 7, "item": "x", "at": "2020-01-01T00:00:00Z", "properties": {"a": 1}}',
        b'{"customer": "7.0", "item": "y", "at": 1577836800, "event_id": "e"}',
        b'{"customer": "7", "item": "y", "at": 1577836801, "event_id": "e"}',
        b'{"customer": "7", "item": "\xff", "at": 1}',
        b'{"customer": "7", "item": "x", "at": 1, "value": 1e999}',
        b'{"customer": "7", "item": "x", "at": 1, "value": NaN}',
        b"[1]",
        b"",
        b"{",
    ]
    path = tmp_path / "rejects.jsonl"
    summary = bring(store, write(tmp_path, b"\n".join(lines), name), rejects_path=path)
    assert counts(summary) == (2, 0, 6)
    assert summary.reasons == {"conflict": 1, "bad_json": 5}
    assert sorted(rejects(path))[:2] == [(3, "conflict"), (4, "bad_json")]
    assert summary.customers == 1


def test_a_field_that_only_late_lines_have_is_read_too(store: Store, tmp_path: Path) -> None:
    lines = [f'{{"customer": "crm:{n}", "item": "a", "at": {n}}}' for n in range(1_500)]
    lines.append('{"customer": "crm:7", "item": "a", "at": 2000, "value": -1, "session": "late"}')
    summary = bring(store, write(tmp_path, "\n".join(lines), "log.jsonl"))
    assert (summary.accepted, summary.returns) == (1_501, 1)
    assert store.events.recent("crm:7", 1)[0].extra == {"session": "late", "value": -1}
    longer = write(
        tmp_path, "\n".join([*lines, '{"customer": "crm:8", "channel": "web", "item": "a", "at": 3}']), "log.jsonl"
    )
    assert counts(bring(store, longer)) == (1, 1_501, 0)


def test_parquet_is_read_in_its_own_types_also_zipped(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    table = duckdb.sql(
        "SELECT 17850.0::DOUBLE AS customer, 'x' AS item, 2.50::DECIMAL(9, 2) AS value, "
        "make_timestamp(2020, 7, 1, 12, 0, 0) AS naive, to_timestamp(1593604800) AS instant, DATE '2020-07-01' AS day"
    )
    assert table is not None
    table.write_parquet(str(path))
    zipped = write(tmp_path, gzip.compress(path.read_bytes()), "log.parquet.gz")
    for column in ("naive", "instant", "day"):
        for file in (path, zipped):
            bring(store, file, mapping={"at": column}, zone="Europe/Helsinki")
    events = store.events.profile("id:17850").events
    assert events["time"].tolist() == [1_593_550_800_000, 1_593_594_000_000, 1_593_604_800_000]
    assert set(events["zone"].tolist()) == {180}
    assert store.events.recent("id:17850", 1)[0].extra == {"value": 2.5}


def test_what_is_no_parquet_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a Parquet file"):
        bring(store, write(tmp_path, "customer,item\n", "log.parquet"))


def test_a_torn_archive_is_read_up_to_the_tear_and_then_whole(store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    text = "customer,item,at\n" + "".join(f"c{n},{rng.random()},{n}\n" for n in range(5000))
    packed = gzip.compress(text.encode())
    torn = bring(store, write(tmp_path, packed[: len(packed) // 2], "log.csv.gz"))
    assert torn.reasons == {"file_ends_early": 1}
    assert 0 < torn.accepted < 5000
    assert counts(bring(store, write(tmp_path, packed, "log.csv.gz"))) == (5000 - torn.accepted, torn.accepted, 0)


@pytest.mark.parametrize("name", ["log.csv.gz", "log.jsonl.gz"])
@pytest.mark.parametrize("size", [0, 3, 30])
def test_an_archive_torn_at_its_start_is_one_reject_at_most(store: Store, tmp_path: Path, name: str, size: int) -> None:
    line = "customer,item,at\na,x,1\n" if "csv" in name else '{"customer": "a", "item": "x", "at": 1}\n'
    packed = gzip.compress(line.encode())
    assert bring(store, write(tmp_path, packed[:size], name)).accepted == 0


def test_a_column_that_is_not_there_is_refused_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    good = write(tmp_path, "customer,item,at\na,x,1\n", "good.csv")
    bad = write(tmp_path, "user,item,at\na,x,1\n", "bad.csv")
    with pytest.raises(UsageError, match=r"no column `customer`; it has `user`, `item`, `at`.*--map customer="):
        bring(store, good, bad)
    with pytest.raises(UsageError, match=r"no column `nobody`; it has `user`, `item`, `at`"):
        bring(store, bad, mapping={"customer": "nobody"})
    with pytest.raises(UsageError, match=r"--map names `who`; an event has .*`customer`"):
        bring(store, bad, mapping={"who": "user"})
    with pytest.raises(UsageError, match="cannot be read"):
        bring(store, tmp_path / "none.csv")
    assert store.events.count() == 0


def test_equal_rows_of_a_file_are_as_many_events_and_stay_so(store: Store, tmp_path: Path) -> None:
    file = write(tmp_path, "customer,item,at\n" + "a,x,1\n" * 3 + "b,x,1\n")
    assert counts(bring(store, file)) == (4, 0, 0)
    assert counts(bring(store, file)) == (0, 4, 0)
    assert len(store.events.profile("id:a")) == 3


def test_other_options_for_rows_that_are_there_are_a_conflict(store: Store, tmp_path: Path) -> None:
    file = write(tmp_path, "customer,item,at\na,x,2020-01-01\n")
    bring(store, file)
    for options in ({"defaults": Defaults(type="view")}, {"zone": "Europe/Helsinki"}):
        assert bring(store, file, **options).reasons == {"conflict": 1}


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["x", "y,\n", '"z']),
        st.integers(0, 5),
        st.sampled_from(["", "e1", "e2"]),
    ),
    max_size=30,
)


@settings(max_examples=30)
@given(rows=ROWS, seed=st.integers(0, 99), run=st.integers(1, 9), batch=st.integers(1, 9))
def test_any_order_and_any_runs_give_the_same_profiles(
    rows: list[tuple[str, str, int, str]], seed: int, run: int, batch: int
) -> None:
    shuffled = [rows[n] for n in np.random.default_rng(seed).permutation(len(rows))]
    kept = [dict.fromkeys([(row[0], row[3]) for row in order if row[3]]) for order in (rows, shuffled)]
    first = {key: next(row for row in rows if (row[0], row[3]) == key) for key in kept[0]}
    rows, shuffled = (
        [row for row in order if not row[3] or first[row[0], row[3]] == row] for order in (rows, shuffled)
    )
    assert _imported(rows, runs.RUN, runs.BATCH) == _imported(shuffled, run, batch)


def _imported(rows: Sequence[tuple[str, str, int, str]], run: int, batch: int) -> list[bytes]:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("customer", "item", "at", "event_id"), *rows])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.runs.RUN", run)
        patch.setattr("training.runs.BATCH", batch)
        patch.setattr("training.importers.CHUNK", run)
        with closing(open_store("memory:", strong=STRONG)) as store:
            bring(store, write(Path(folder), text.getvalue()))
            return profiles(store, ["id:a", "id:b", "id:c"])


def test_a_catalogue_comes_in_with_its_attributes(store: Store, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "sku,name,price,zip,available,note\n"
        "A.0,Lamp,2.50,00123,true,\n17.0,Chair,9,4,no,\xff\nA.0,Lamp 2,3,1,,\n,x,1,1,,\n"
        "B,x,1,1,perhaps,\n",
    )
    options = {"mapping": {"id": "sku", "title": "name", "cost": "price"}, "kind": Kind.CONTENT}
    summary = import_items(store, [file], rejects_path=tmp_path / "rejects.jsonl", **options)  # type: ignore[arg-type]
    assert (summary.rows, counts(summary)) == (5, (2, 1, 2))
    assert summary.reasons == {"no_id": 1, "bad_available": 1}
    assert store.items.get("A.0") == Item("A.0", Kind.CONTENT, "Lamp 2", {"cost": 3, "zip": 1})
    assert store.items.get("17") == Item(
        "17", Kind.CONTENT, "Chair", {"cost": 9, "zip": 4, "note": "\xff"}, available=False
    )


def test_an_item_of_another_kind_is_a_conflict_and_the_others_come_in(store: Store, tmp_path: Path) -> None:
    store.items.put([Item("b", Kind.FEATURE)])
    lines = [json.dumps({"id": id_, "kind": "content", "tags": ["x", "y"]}) for id_ in "abcde"]
    summary = import_items(store, [write(tmp_path, "\n".join(lines), "items.jsonl")])
    assert (counts(summary), summary.reasons) == ((4, 0, 1), {"conflict": 1})
    assert store.items.get("e") == Item("e", Kind.CONTENT, None, {"tags": ["x", "y"]})


def test_an_attribute_that_only_late_lines_have_is_kept_and_an_empty_line_is_a_reject(
    store: Store, tmp_path: Path
) -> None:
    lines = ["{}", *(f'{{"id": "i{n}", "kind": "content"}}' for n in range(1_100))]
    lines.append('{"id": "late", "kind": "content", "price": 3}')
    summary = import_items(store, [write(tmp_path, "\n".join(lines), "items.jsonl")])
    assert (summary.accepted, summary.reasons) == (1_101, {"no_id": 1})
    found = store.items.get("late")
    assert found is not None
    assert found.attributes == {"price": 3}
    assert import_items(store, [write(tmp_path, "{}", "empty.jsonl")]).reasons == {"no_id": 1}
