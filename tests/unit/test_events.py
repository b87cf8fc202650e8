import math
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.events import FIELDS, REASONS, Admitted, Defaults, Door
from recommender.types import RETURN, Kind, code32, code64, mix

NOW = 1_795_363_200_000  # 2026-11-22T16:00:00Z
HELSINKI = ZoneInfo("Europe/Helsinki")
EVENT = {"event_id": "e1", "customer": "crm:1", "type": "use", "item": "pay-bill", "at": "2026-11-22T16:00:00Z"}


def http(*, remember: int = 1000) -> Door:
    return Door(HELSINKI, now=lambda: NOW, remember=remember)


def files(**defaults: object) -> Door:
    given = {"type": "use"} | defaults
    return Door(HELSINKI, Defaults(**given), files=True, now=lambda: NOW)  # type: ignore[arg-type]


def one(door: Door, **changes: object) -> Admitted:
    row = {name: value for name, value in (EVENT | changes).items() if value != "-"}
    return door.admit_rows([row])


def code(**changes: object) -> str | None:
    rejects = one(http(), **changes).rejects
    return rejects[0].code if rejects else None


def test_an_event_becomes_the_record_that_its_fields_say() -> None:
    batch = one(http(), kind="feature", channel="web", position=2, seq=7, value=1.5, session="s").batch
    record = batch.records[0]
    assert batch.identities == ["crm:1"]
    assert record["key"] == mix(code64("crm:1"), code64("e1"))[0]
    assert (record["time"], record["zone"]) == (NOW, 120)
    assert (record["item"], record["seq"], record["position"]) == (code64("pay-bill"), 7, 2)
    assert batch.items == {code64("pay-bill"): ("pay-bill", Kind.FEATURE)}
    assert batch.names == {code32("use"): "use", code32("web"): "web"}
    assert orjson.loads(batch.extras[0] or "") == {"session": "s", "value": 1.5}
    assert batch.event_ids == ["e1"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"customer": "-"}, "no_customer"),
        ({"customer": "x" * 300}, "bad_customer"),
        ({"customer": "Crm:1"}, "bad_customer"),
        ({"customer": True}, "bad_customer"),
        ({"customer": ["a"]}, "bad_customer"),
        ({"event_id": "-"}, "no_event_id"),
        ({"event_id": "a\x00"}, "bad_event_id"),
        ({"event_id": {}}, "bad_event_id"),
        ({"type": None}, "no_type"),
        ({"type": "x" * 65}, "bad_type"),
        ({"item": "-"}, "no_item"),
        ({"item": "x" * 257}, "bad_item"),
        ({"item": "a\nb"}, "bad_item"),
        ({"item": "\ud83d"}, "bad_item"),
        ({"kind": "page"}, "bad_kind"),
        ({"at": "yesterday"}, "bad_time"),
        ({"at": "2026-02-29"}, "bad_time"),
        ({"at": True}, "bad_time"),
        ({"at": NOW + 600_001}, "future"),
        ({"at": "9999-12-31T23:59:59Z"}, "bad_time"),
        ({"channel": "\x7f"}, "bad_channel"),
        ({"session": "s" * 257}, "bad_session"),
        ({"recommendation_id": "\x00"}, "bad_recommendation_id"),
        ({"position": 0}, "bad_position"),
        ({"position": 1.5}, "bad_position"),
        ({"position": 32_768}, "bad_position"),
        ({"value": math.nan}, "bad_value"),
        ({"value": math.inf}, "bad_value"),
        ({"value": "1e999"}, "bad_value"),
        ({"value": "much"}, "bad_value"),
        ({"properties": [1]}, "bad_properties"),
        ({"properties": {"a": "x" * 33_000}}, "bad_properties"),
        ({"properties": {"a": "\ud800"}}, "bad_properties"),
        ({"seq": 2**31}, "bad_seq"),
        ({"userid": "7"}, "unknown_field"),
    ],
)
def test_what_is_wrong_stays_outside_with_its_reason_and_without_its_value(
    changes: dict[str, object], reason: str
) -> None:
    admitted = one(http(), **changes)
    assert [(reject.row, reject.code, reject.detail) for reject in admitted.rejects] == [(0, reason, REASONS[reason])]
    assert admitted.batch.records.size == admitted.rows.size == 0


def test_what_is_no_object_stays_outside_and_its_neighbours_come_in() -> None:
    admitted = http().admit_rows([1, EVENT, None, []])
    assert [(reject.row, reject.code) for reject in admitted.rejects] == [
        (0, "not_an_object"),
        (2, "not_an_object"),
        (3, "not_an_object"),
    ]
    assert admitted.rows.tolist() == [1]


def test_no_rows_are_no_events() -> None:
    admitted = http().admit_rows([])
    assert admitted.batch.records.size == 0
    assert admitted.rejects == []


def test_a_journey_step_needs_no_item() -> None:
    assert code(type="mortgage.step", item="-") is None


@pytest.mark.parametrize("at", [NOW + 600_000, "0001-06-01T00:00:00Z", -1, 0])
def test_any_age_and_ten_minutes_ahead_are_let_in(at: object) -> None:
    assert code(at=at) is None


@pytest.mark.parametrize("type_", ["use", "purchase"])
def test_a_value_below_zero_takes_back(type_: str) -> None:
    batch = one(http(), type=type_, value=-1).batch
    assert batch.records["type"][0] == RETURN
    assert batch.names[int(RETURN)] == "return"


def test_a_view_of_negative_value_stays_a_view() -> None:
    assert one(http(), type="view", value=-1).batch.records["type"][0] == code32("view")


def test_whole_floats_are_ids_without_their_fraction() -> None:
    batch = (
        files().admit({"customer": ["17850.0", 17850.0, 17850, "17850"], "item": ["1.50"] * 4, "at": [0] * 4}, 4).batch
    )
    assert batch.identities == ["id:17850"]
    assert batch.items == {code64("1.50"): ("1.50", None)}


def test_text_of_a_program_is_taken_as_it_is() -> None:
    assert one(http(), item="1.0").batch.items == {code64("1.0"): ("1.0", None)}
    assert one(http(), item=1.0).batch.items == {code64("1"): ("1", None)}


def test_pressed_keys_in_a_file_become_their_pictures_and_nul_does_not() -> None:
    admitted = files().admit({"customer": ["a", "a"], "item": ["\x1b[1m", "\x00"], "at": [0, 0]}, 2)
    assert admitted.batch.items == {code64("␛[1m"): ("␛[1m", None)}
    assert [(reject.row, reject.code) for reject in admitted.rejects] == [(1, "bad_item")]


def test_a_row_without_a_time_is_of_now_over_http_of_the_default_in_files_and_else_rejected() -> None:
    assert one(http(), at="-").batch.records["time"][0] == NOW
    row: dict[str, list[object]] = {"customer": ["a"], "item": ["b"]}
    assert files(time=5).admit(row, 1).batch.records["time"][0] == 5
    assert files().admit(row, 1).rejects[0].code == "no_time"


def test_a_retry_without_a_time_states_the_same() -> None:
    first = one(Door(HELSINKI, now=lambda: NOW), at="-").batch.digests
    later = one(Door(HELSINKI, now=lambda: NOW + 9), at="-").batch.digests
    assert first == later


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"event_id"}))
def test_any_other_statement_has_another_digest(field: str) -> None:
    others = {
        "customer": "crm:2", "type": "view", "item": "x", "kind": "feature", "at": 1, "channel": "c", "session": "s",
        "recommendation_id": "r", "position": 1, "value": 0, "properties": {"a": 1}, "seq": 0,
    }  # fmt: skip
    assert one(http()).batch.digests != one(http(), **{field: others[field]}).batch.digests


def test_http_and_a_file_agree_on_one_event() -> None:
    row = {"kind": "feature", "channel": "web", "value": 2, "position": 1, "properties": {"b": 1, "a": 2}}
    sent = one(http(), **row).batch
    columns: dict[str, list[object]] = {name: [str(value)] for name, value in EVENT.items() if name != "type"}
    columns |= {"value": ["2.0"], "position": ["1"], "properties": ['{"a": 2, "b": 1}'], "at": ["2026-11-22 18:00:00"]}
    read = files(kind=Kind.FEATURE, channel="web").admit(columns, 1).batch
    assert sent.digests.tolist() == read.digests.tolist()
    assert sent.records.tobytes() == read.records.tobytes()
    assert sent.extras == read.extras


def test_the_first_row_says_what_kind_an_item_is() -> None:
    columns: dict[str, list[object]] = {
        "customer": ["a"] * 3,
        "item": ["x"] * 3,
        "kind": ["", "feature", "content"],
        "at": [1, 2, 3],
    }
    assert files(kind=Kind.CONTENT).admit(columns, 3).batch.items[code64("x")] == ("x", Kind.CONTENT)
    assert files().admit(columns, 3).batch.items[code64("x")] == ("x", None)


def test_a_door_that_forgets_lets_in_the_same() -> None:
    rows = [EVENT | {"event_id": f"e{n}", "customer": f"c{n % 7}", "item": f"i{n % 5}"} for n in range(60)]
    forgetful, mindful = http(remember=3), http()
    for start in range(0, 60, 10):
        a, b = forgetful.admit_rows(rows[start : start + 10]).batch, mindful.admit_rows(rows[start : start + 10]).batch
        assert a.records.tobytes() == b.records.tobytes()
        assert [a.identities[i] for i in a.who] == [b.identities[i] for i in b.who]
        assert a.items == b.items


def times(values: list[object], zone: str = "Europe/Helsinki") -> list[tuple[int, int]]:
    n = len(values)
    columns: dict[str, list[object]] = {"customer": ["a"] * n, "item": ["b"] * n, "at": values}
    admitted = Door(ZoneInfo(zone), Defaults(type="use"), files=True, now=lambda: 4_000_000_000_000).admit(columns, n)
    assert admitted.rejects == []
    return list(zip(admitted.batch.records["time"].tolist(), admitted.batch.records["zone"].tolist(), strict=True))


MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2090, 1, 1))  # noqa: DTZ001 - naive is meant


@pytest.mark.parametrize("many", [1, 100])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2010-12-01 08:26:00", (1_291_184_760_000, 120)),
        ("2010-12-01T08:26", (1_291_184_760_000, 120)),
        ("2010-12-01 08:26:00.5", (1_291_184_760_500, 120)),
        ("2010-12-01T06:26:00Z", (1_291_184_760_000, 120)),
        ("2010-12-01T06:26:00+00:00", (1_291_184_760_000, 0)),
        ("2010-12-01T06:26:00.123456Z", (1_291_184_760_123, 120)),
        ("2010-12-01T01:26:00.25-05:00", (1_291_184_760_250, -300)),
        ("2010-12-01", (1_291_154_400_000, 120)),
        ("20101201", (1_291_154_400_000, 120)),
        (date(2010, 12, 1), (1_291_154_400_000, 120)),
        (datetime(2010, 12, 1, 8, 26), (1_291_184_760_000, 120)),  # noqa: DTZ001 - naive is meant
        ("1291184760", (1_291_184_760_000, 120)),
        ("1291184760.5", (1_291_184_760_500, 120)),
        ("1291184760000", (1_291_184_760_000, 120)),
        (1_291_184_760, (1_291_184_760_000, 120)),
        (1_291_184_760.25, (1_291_184_760_250, 120)),
        (1_291_184_760_000, (1_291_184_760_000, 120)),
        ("2026-07-01 12:00:00", (1_782_896_400_000, 180)),
        ("2026-03-29 03:30:00", (1_774_747_800_000, 120)),  # in the hour that is skipped: the offset before it
        ("2026-10-25 03:30:00", (1_792_888_200_000, 180)),  # in the hour that comes twice: the first
        ("1969-12-31T23:59:59.999Z", (-1, 120)),
        ("2000-02-29T00:00:00Z", (951_782_400_000, 120)),
    ],
)
def test_a_time_is_read_in_every_form_alone_and_in_a_column(
    value: object, expected: tuple[int, int], many: int
) -> None:
    assert times([value] * many) == [expected] * many


@given(st.lists(MOMENTS, min_size=65, max_size=80), st.sampled_from("T "))
def test_a_column_of_times_is_read_as_each_time_alone(moments: list[datetime], separator: str) -> None:
    texts: list[object] = [moment.isoformat(separator, "milliseconds") + "Z" for moment in moments]
    assert times(texts) == [times([text])[0] for text in texts]


def test_an_odd_time_in_a_column_does_not_disturb_the_others() -> None:
    even: list[object] = ["2010-12-01T06:26:00Z"] * 100
    columns = {"customer": ["a"] * 103, "item": ["b"] * 103}
    odd: list[object] = ["2010-13-01T06:26:00Z", "2010-12-01T06:26:0\u0660Z", "2010-12-01T06:61:00Z"]
    admitted = files().admit(columns | {"at": [*even[:50], *odd, *even[50:]]}, 103)
    assert [(reject.row, reject.code) for reject in admitted.rejects] == [(row, "bad_time") for row in (50, 51, 52)]
    assert set(admitted.batch.records["time"].tolist()) == {1_291_184_760_000}


TEXTS = st.one_of(
    st.none(), st.text(max_size=5), st.integers(), st.floats(), st.booleans(), st.lists(st.integers(), max_size=1)
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, TEXTS)), max_size=8), st.booleans())
def test_every_row_comes_in_or_is_rejected_once_whatever_it_holds(
    rows: list[dict[str, object]], from_file: bool
) -> None:
    door = Door(HELSINKI, Defaults(type="use"), files=from_file, now=lambda: NOW)
    admitted = door.admit_rows(rows)
    outside = [reject.row for reject in admitted.rejects]
    assert sorted([*admitted.rows.tolist(), *outside]) == list(range(len(rows)))
    batch = admitted.batch
    assert len(batch.extras) == len(batch.event_ids) == batch.who.size == batch.digests.size == batch.records.size
    assert set(np.unique(batch.records["item"]).tolist()) - {0} == set(batch.items)
    assert all(text is None or isinstance(orjson.loads(text), dict) for text in batch.extras)
