"""The door: raw columns in, events that need no further check out, and a reason for every row that stays outside.

Both ways in use it, HTTP with a few rows and the importer with a hundred
thousand at a time, so an event means the same whichever way it came. The
columns have the names of the HTTP fields and hold what the parser gave:
text, numbers, None, datetimes, objects. A text is checked and hashed once,
and remembered, so a row costs a few look-ups.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import orjson

from recommender.columns import MISSING, UNFIT, Names, distinct, read_ids, read_numbers, read_properties
from recommender.instants import Clock
from recommender.stores.base import EventBatch
from recommender.types import EVENT, MINUTE, RETURN, BoolArray, EventArray, IntArray, Kind, code32, code64, mix

FIELDS = (
    "event_id", "customer", "type", "item", "kind", "at", "channel",
    "session", "recommendation_id", "position", "value", "properties", "seq",
)  # fmt: skip
"""The columns that the door knows; it looks at no other."""

AHEAD = 10 * MINUTE
"""How far a sender's clock may run ahead."""

REASONS = {
    "not_an_object": "An event is a JSON object.",
    "unknown_field": "There is a field that events do not have; put fields of your own into `properties`.",
    "no_customer": "`customer` is missing or empty; without it nobody can be remembered.",
    "bad_customer": "`customer` is `namespace:value` or a plain id: at most 256 characters, none a control character.",
    "no_event_id": "`event_id` is missing; with it, sending again after an error changes nothing.",
    "bad_event_id": "`event_id` is 1 to 256 characters, none a control character or half of one.",
    "no_type": "`type` is missing: use, view, click, purchase, dismiss, or a name of your own.",
    "bad_type": "`type` is 1 to 64 characters, none a control character or half of one.",
    "no_item": "This type of event is about an item, and `item` is missing or empty.",
    "bad_item": "`item` is 1 to 256 characters, none a control character or half of one.",
    "bad_kind": "`kind` is `content` or `feature`.",
    "no_time": "`at` is missing. For a log without times give `--default-time`.",
    "bad_time": "`at` is ISO 8601, or seconds or milliseconds since 1970.",
    "future": "`at` is more than 10 minutes ahead of the clock here. Check the sender's clock and the zone.",
    "bad_channel": "`channel` is at most 64 characters, none a control character or half of one.",
    "bad_session": "`session` is at most 256 characters, none a control character or half of one.",
    "bad_recommendation_id": "`recommendation_id` is at most 256 characters, none a control character.",
    "bad_position": "`position` is a whole number from 1 to 32767.",
    "bad_value": "`value` is a finite number.",
    "bad_properties": "`properties` is a JSON object of at most 32 KB.",
    "bad_seq": "`seq` is a whole number that fits into 32 bits.",
}
"""What each code of a reject tells the sender; never a value that was sent."""
_CODES = list(REASONS)

ABOUT_AN_ITEM = np.array(list(map(code32, ("use", "view", "click", "purchase", "return", "dismiss"))), np.int64)
_TAKEN_BACK_BELOW_ZERO = np.array(list(map(code32, ("use", "purchase"))), np.int64)
_ZERO = code64("zero")
_TAGS = {field: code64(f"field:{field}") for field in FIELDS}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row has that does not say. time: milliseconds UTC."""

    type: str | None = None
    kind: Kind | None = None
    channel: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that stayed outside, and why; `detail` is for people and holds nothing that was sent."""

    row: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """What came in. rows: shape (n,), the raw row of each event; rejects: the other rows, ascending.

    bases: shape (n,), what an event without an id is known by, equal for equal rows (`key` is final in the
    others, where it is 0). See `with_ordinals`.
    """

    batch: EventBatch
    rows: IntArray
    bases: IntArray
    rejects: list[Reject]


def with_ordinals(identities: IntArray, bases: IntArray, ordinals: IntArray) -> IntArray:
    """Event keys of rows without an id. identities: code64; ordinals: how many equal rows of the file came before."""
    return mix(identities, mix(bases, ordinals))


def system_clock() -> int:
    """Now, in milliseconds UTC."""
    return time.time_ns() // 1_000_000


class Door:
    """Lets events in. Not safe for several threads at once: each has its own.

    files: rows are of files, so numbers may be text (`17850.0` is the id 17850), ids may be missing (they are
    derived from the row), and a missing time is a reject where there is no default. Otherwise they come from
    programs: text is taken as it is, `event_id` must be there, and a missing time is now.
    remember: how many texts of a column are remembered.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        defaults: Defaults | None = None,
        *,
        files: bool = False,
        now: Callable[[], int] = system_clock,
        remember: int = 500_000,
    ) -> None:
        self.files, self.now = files, now
        self.clock = Clock(zone)
        self.defaults = defaults or Defaults()
        named = ("customer", "type", "item", "kind", "channel", "session", "recommendation_id")
        self.names = {field: Names(field, files=files, limit=remember) for field in named}

    def admit_rows(self, rows: Sequence[object]) -> Admitted:
        """`admit` of events as parsed JSON."""
        objects = [row if isinstance(row, dict) and len(row) <= len(FIELDS) else {} for row in rows]
        named = set[object]().union(*objects)
        wrong = [(i, "not_an_object") for i, row in enumerate(rows) if not isinstance(row, dict)]
        wrong += [
            (i, "unknown_field") for i, row in enumerate(rows) if isinstance(row, dict) and len(row) > len(FIELDS)
        ]
        if named.difference(FIELDS):
            wrong += [(i, "unknown_field") for i, row in enumerate(objects) if row.keys() - FIELDS]
        columns = {field: [row.get(field) for row in objects] for field in FIELDS if field in named}
        return self.admit(columns, len(rows), wrong)

    def admit(self, columns: Mapping[str, Sequence[object]], n: int, wrong: Sequence[tuple[int, str]] = ()) -> Admitted:
        """The events in n rows. columns: by names of FIELDS; wrong: rows already known to be, and the code why."""
        return _Admission(self, columns, n, wrong).finish()


class _Admission:
    """One call of the door: reads column after column, then keeps the rows that nothing speaks against."""

    def __init__(
        self, door: Door, columns: Mapping[str, Sequence[object]], n: int, wrong: Sequence[tuple[int, str]]
    ) -> None:
        self.door, self.columns, self.n = door, columns, n
        self.reason = np.zeros(n, np.int64)  # 0, or 1 + the place in REASONS of what was found first
        self.records = np.zeros(n, EVENT)
        self.slots: dict[str, IntArray] = {}
        self.stated: dict[str, IntArray] = {}  # by field: a code of what each row says, 0 where it says nothing
        self.assumed: dict[str, int] = {}  # by field: the code of what rows get that say nothing
        for row, code in wrong:
            self.reason[row] = 1 + _CODES.index(code)

    def finish(self) -> Admitted:
        defaults, records = self.door.defaults, self.records
        identity = self._name("customer")
        self._reject(self.slots["customer"] == 0, "no_customer")
        event_ids, id_codes = self._event_ids()
        records["type"] = self._name("type", defaults.type)
        self._reject(records["type"] == 0, "no_type")
        records["item"] = self._name("item")
        self._name("kind", defaults.kind)
        said_times = self._times()
        records["channel"] = self._name("channel", defaults.channel)
        self._name("session")
        self._name("recommendation_id")
        records["position"] = self._number("position", 1, 32_767)
        value = self._number("value")
        properties = self._properties()
        records["seq"] = self._number("seq", -(2**31), 2**31 - 1)
        self._reject((records["item"] == 0) & np.isin(records["type"], ABOUT_AN_ITEM), "no_item")
        if "value" in self.columns:
            records["type"][(value < 0) & np.isin(records["type"], _TAKEN_BACK_BELOW_ZERO)] = RETURN
        digests, bases = self._digests(said_times)
        derived = id_codes == 0
        records["key"] = np.where(derived, 0, mix(identity, id_codes))
        rows = np.flatnonzero(self.reason == 0)
        batch = self._batch(rows, digests, event_ids, self._extras(rows, value, properties))
        return Admitted(batch, rows, np.where(derived, bases, 0)[rows], self._rejects())

    def _reject(self, wrong: BoolArray, code: str) -> None:
        if wrong.any():
            self.reason[wrong & (self.reason == 0)] = 1 + _CODES.index(code)

    def _name(self, field: str, default: str | None = None) -> IntArray:
        """The code of each row's name, the default's where it gives none."""
        names, values = self.door.names[field], self.columns.get(field)
        slots = names.slots([None] * self.n if values is None else values)
        if values is not None:
            self._reject(slots == UNFIT, f"bad_{field}")
            self.stated[field] = names.codes(slots)
        if default is not None:
            slots = np.where(slots == MISSING, names[default], slots)
            self.assumed[field] = int(names.codes(np.array([names[default]]))[0])
        self.slots[field] = slots
        return names.codes(slots)

    def _event_ids(self) -> tuple[list[str | None], IntArray]:
        ids, codes = read_ids(self.columns.get("event_id"), self.n, files=self.door.files)
        self._reject(codes == -1, "bad_event_id")
        if not self.door.files:
            self._reject(codes == 0, "no_event_id")
        return ids, codes

    def _times(self) -> IntArray:
        """Fills in time and zone; returns what the senders said of the time, whatever the site's zone."""
        door, values = self.door, self.columns.get("at")
        now = door.now()
        times = door.clock.read([None] * self.n if values is None else values)
        self._reject(times.bad, "bad_time")
        self._reject(times.utc > now + AHEAD, "future")
        if values is not None:
            self.stated["at"] = np.where(times.missing, 0, _nonzero(times.utc))
        utc, zone = times.utc, times.zone
        if times.missing.any():
            default = door.defaults.time if door.files else now
            if default is None:
                self._reject(times.missing, "no_time")
            else:
                utc = np.where(times.missing, default, utc)
                zone = np.where(times.missing, door.clock.zone_at(default), zone)
        self.records["time"], self.records["zone"] = utc, zone
        return times.stated

    def _number(self, field: str, low: float = -math.inf, high: float = math.inf) -> npt.NDArray[np.float64]:
        """The numbers of a column, 0 where there is none; whole ones where a range is given."""
        values = self.columns.get(field)
        if values is None:
            return np.zeros(self.n)
        number = read_numbers(values)
        missing = np.isnan(number)
        number[missing] = 0
        wrong = np.isinf(number) | (number < low) | (number > high)
        if high < math.inf:
            wrong |= number != np.rint(number)
            wrong &= ~missing
        self._reject(wrong, f"bad_{field}")
        number[wrong] = 0
        self.stated[field] = np.where(missing, 0, _nonzero((number + 0.0).view(np.int64)))
        return number

    def _properties(self) -> list[bytes | None]:
        values = self.columns.get("properties")
        if values is None:
            return []
        texts, self.stated["properties"] = read_properties(values)
        self._reject(self.stated["properties"] == -1, "bad_properties")
        return texts

    def _digests(self, said_times: IntArray) -> tuple[IntArray, IntArray]:
        """One code of all that each row states, defaults included, and one of what its own columns say."""
        fields = list(self.stated)
        tags = np.array([_TAGS[field] for field in fields], np.int64)[:, None]
        codes = np.array([self.stated[field] for field in fields]).reshape(len(fields), self.n)
        parts = np.where(codes == 0, 0, mix(tags, codes))
        said = parts.sum(axis=0)
        digests = said.copy()
        for field, code in self.assumed.items():
            part = mix(_TAGS[field], code).item()
            digests += part if field not in self.stated else np.where(self.stated[field] == 0, part, 0)
        if "at" in self.stated and self.door.files:
            said += np.where(self.stated["at"] == 0, 0, mix(_TAGS["at"], said_times)) - parts[fields.index("at")]
        return digests, said

    def _extras(
        self, rows: IntArray, value: npt.NDArray[np.float64], properties: list[bytes | None]
    ) -> list[str | None]:
        """What a profile has no room for, as JSON, in the order of these rows."""
        parts: list[list[str]] = []
        for field in ("session", "recommendation_id"):
            if field in self.columns:
                texts = self.door.names[field].texts
                parts.append([_part(field, texts[slot]) if slot else "" for slot in self.slots[field][rows].tolist()])
        if "value" in self.columns:
            met, where = np.unique(value[rows], return_inverse=True)
            shown = np.array([_part("value", _plain(number)) for number in met.tolist()], object)[where]
            parts.append(np.where(self.stated["value"][rows] != 0, shown, "").tolist())
        if properties:
            found = [properties[row] for row in rows.tolist()]
            parts.append(["" if text is None else f'"properties":{text.decode()}' for text in found])
        if not parts:
            return [None] * rows.size
        joined = parts[0] if len(parts) == 1 else [",".join(filter(None, said)) for said in zip(*parts, strict=True)]
        return [f"{{{text}}}" if text else None for text in joined]

    def _batch(
        self, rows: IntArray, digests: IntArray, event_ids: Sequence[str | None], extras: list[str | None]
    ) -> EventBatch:
        whole = rows.size == self.n
        records = self.records if whole else self.records[rows]
        who = self.slots["customer"][rows]
        met = distinct(who)
        place = np.zeros(int(met[-1]) + 1 if met.size else 0, np.int64)
        place[met] = np.arange(met.size)
        texts = self.door.names["customer"].texts
        return EventBatch(
            identities=[texts[slot] for slot in met.tolist()],
            who=place[who],
            records=records,
            digests=digests[rows],
            items=self._items(rows),
            names=self._kept_names(rows, records),
            event_ids=event_ids if whole else [event_ids[row] for row in rows.tolist()],
            extras=extras,
        )

    def _items(self, rows: IntArray) -> dict[int, tuple[str, Kind | None]]:
        names, slots = self.door.names["item"], self.slots["item"][rows]
        met = distinct(slots)
        kind = np.zeros(int(met[-1]) + 1 if met.size else 0, np.int64)
        met = met[met != MISSING]
        kind[slots[::-1]] = self.slots["kind"][rows][::-1]  # the last assignment stays: the first row's
        kinds = [Kind(text) if text else None for text in self.door.names["kind"].texts]
        codes = names.codes(met).tolist()
        chosen = [(names.texts[slot], kinds[k]) for slot, k in zip(met.tolist(), kind[met].tolist(), strict=True)]
        return dict(zip(codes, chosen, strict=True))

    def _kept_names(self, rows: IntArray, records: EventArray) -> dict[int, str]:
        found: dict[int, str] = {}
        for field in ("type", "channel"):
            names = self.door.names[field]
            slots = distinct(self.slots[field][rows])
            found |= {code: names.texts[s] for s, code in zip(slots.tolist(), names.codes(slots).tolist(), strict=True)}
        if (records["type"] == RETURN).any():
            found[int(RETURN)] = "return"
        found.pop(0, None)
        return found

    def _rejects(self) -> list[Reject]:
        rows = np.flatnonzero(self.reason)
        codes = [_CODES[reason - 1] for reason in self.reason[rows].tolist()]
        return [Reject(row, code, REASONS[code]) for row, code in zip(rows.tolist(), codes, strict=True)]


def _nonzero(codes: IntArray) -> IntArray:
    """Codes in which 0 has become another, since 0 says that nothing was stated."""
    return np.where(codes == 0, _ZERO, codes)


def _plain(value: float) -> float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _part(field: str, value: object) -> str:
    return f'"{field}":{orjson.dumps(value).decode()}'
