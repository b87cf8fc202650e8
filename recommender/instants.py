"""From what people write for a time to milliseconds UTC and a zone: a column at a time.

Three ways to state an instant:

    naive      2010-12-01 08:26:00, a date, a datetime of a Parquet file    the site's wall clock
    instant    ...Z, or seconds or milliseconds since 1970                  the site's zone applies
    offset     ...+02:00                                                    the event's own zone

`Z` says when, not where (RFC 9557, section 2), so it leaves the site's zone
in force, and `+00:00` does not. A number below 1e11 counts seconds (they
reach the year 5138), any other milliseconds (from 1973 on). Eight digits in
a text are a date, 20101201. Where the clocks are set back, the first of the
two hours is meant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from recommender.types import DAY, HOUR, MINUTE, IntArray

EARLIEST = int((datetime(1, 1, 3, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000
LATEST = int((datetime(9999, 12, 29, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000
"""Calendars end at the years 1 and 9999, less two days for zones."""

_SECONDS_BELOW = 1e11
_STEP = 15 * MINUTE  # no zone has changed its offset at a finer step since 1900
_FEW = 64
_NUMBER = re.compile(r"\s*-?\d{1,20}(\.\d*)?\s*")
_HEAD = len("2010-12-01T08:26:00")
_DIGITS = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BAD, _NAIVE, _INSTANT, _OFFSET, _MISSING = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Instants:
    """A column of times; all arrays of shape (n,).

    utc: milliseconds. zone: minutes east. stated: one number for what the sender said, the same whatever the site's
    zone is. missing, bad: nothing was given; what was given is no time. The rest of such a row is 0.
    """

    utc: IntArray
    zone: npt.NDArray[np.int16]
    stated: IntArray
    missing: npt.NDArray[np.bool_]
    bad: npt.NDArray[np.bool_]


class Clock:
    """Reads times for one site; remembers the offsets it has looked up."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int] = {}

    def read(self, values: Sequence[object]) -> Instants:
        """The instants that a column of raw values states."""
        wall, offset, form = _read(values)
        bad = (form == _BAD) | (((wall < EARLIEST) | (wall > LATEST)) & (form != _MISSING))
        unusable = bad | (form == _MISSING)
        if unusable.any():
            wall[unusable], form[unusable] = 0, _INSTANT
        utc = wall.copy()
        zone = offset // MINUTE
        own = form == _OFFSET
        utc[own] -= offset[own]
        for there, naive in ((form == _NAIVE, True), (form == _INSTANT, False)):
            if there.any():
                shift = self.offsets(wall[there], local=naive)
                zone[there] = shift // MINUTE
                utc[there] -= shift * naive
        stated = np.where(form == _NAIVE, ~wall, utc)
        return Instants(utc, zone.astype(np.int16), stated, unusable & ~bad, bad)

    def offsets(self, times: IntArray, *, local: bool) -> IntArray:
        """Milliseconds east of UTC, in the site's zone, at instants (or at wall clock times, if local)."""
        if self._zone.key == "UTC":
            return np.zeros(times.size, np.int64)
        steps = times // _STEP
        if times.size <= _FEW:
            return np.array([self._offset(step, local) for step in steps.tolist()], np.int64)
        low, high = int(steps.min()), int(steps.max())
        if high - low < 10 * times.size:
            table = np.zeros(high - low + 1, np.int64)
            table[steps - low] = 1
            met = np.flatnonzero(table)
            table[met] = [self._offset(step, local) for step in (met + low).tolist()]
            return table[steps - low]
        met, where = np.unique(steps, return_inverse=True)
        return np.array([self._offset(step, local) for step in met.tolist()], np.int64)[where]

    def zone_at(self, time: int) -> int:
        """Minutes east of UTC at an instant."""
        return 0 if self._zone.key == "UTC" else self._offset(time // _STEP, False) // MINUTE

    def _offset(self, step: int, local: bool) -> int:
        key = 2 * step + local
        found = self._offsets.get(key)
        if found is None:
            moment = _EPOCH + timedelta(milliseconds=step * _STEP)
            there = moment.replace(tzinfo=self._zone) if local else moment.astimezone(self._zone)
            found = self._offsets[key] = _milliseconds(there.utcoffset())
        return found


def _milliseconds(span: timedelta | None) -> int:
    return 0 if span is None else span // timedelta(milliseconds=1)


def _read(values: Sequence[object]) -> tuple[IntArray, IntArray, IntArray]:
    """Wall clock milliseconds, the offset that was stated with them, and the form of each value."""
    n = len(values)
    kinds = set(map(type, values)) if n > _FEW else set()
    if kinds == {str}:
        return _read_texts(values)  # type: ignore[arg-type]
    if kinds and kinds <= {int, float}:
        return _read_numbers(values)  # type: ignore[arg-type]
    if kinds == {datetime} and not any(value.tzinfo for value in values):  # type: ignore[attr-defined]
        wall = np.array(values, "M8[ms]").astype(np.int64)
        return wall, np.zeros(n, np.int64), np.full(n, _NAIVE)
    return _columns([_read_one(value) for value in values])


def _columns(rows: list[tuple[int, int, int]]) -> tuple[IntArray, IntArray, IntArray]:
    table = np.array(rows, np.int64).reshape(-1, 3)
    return table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()


def _read_numbers(values: Sequence[float]) -> tuple[IntArray, IntArray, IntArray]:
    try:
        number = np.array(values, np.float64)
    except OverflowError:
        return _columns([_read_one(value) for value in values])
    number = np.where(np.abs(number) < _SECONDS_BELOW, number * 1000, number)
    good = np.abs(number) <= LATEST
    wall = np.rint(np.where(good, number, 0)).astype(np.int64)
    form = np.where(good, _INSTANT, np.where(np.isnan(number), _MISSING, _BAD))
    return wall, np.zeros(number.size, np.int64), form.astype(np.int64)


def _read_texts(values: Sequence[str]) -> tuple[IntArray, IntArray, IntArray]:
    n = len(values)
    wall, offset, form = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -1, np.int64)
    lengths = np.fromiter(map(len, values), np.int64, n)
    for length in np.flatnonzero(np.bincount(np.minimum(lengths, 40))).tolist():
        if _HEAD <= length < 40:
            rows = np.flatnonzero(lengths == length)
            chosen = values if rows.size == n else [values[i] for i in rows.tolist()]
            _read_alike(chosen, length, rows, wall, offset, form)
    for i in np.flatnonzero(form < 0).tolist():
        wall[i], offset[i], form[i] = _read_one(values[i])
    return wall, offset, form


def _read_alike(
    texts: Sequence[str], length: int, rows: IntArray, wall: IntArray, offset: IntArray, form: IntArray
) -> None:
    """Fill in the rows whose text is shaped like the first one: date, time, and some fraction and zone."""
    shape = re.fullmatch(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", texts[0], re.ASCII)
    try:
        letters = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(-1, length)
    except UnicodeEncodeError:
        return
    if shape is None:
        return
    fraction, zone = shape[2] or "", shape[3] or ""
    fixed = [(4, "-"), (7, "-"), (10, shape[1]), (13, ":"), (16, ":")]
    fixed += [(_HEAD + i, letter) for i, letter in enumerate(fraction[:1])]
    fixed += [(length - len(zone) + i, letter) for i, letter in enumerate(zone)]
    digits = np.concatenate([_DIGITS, np.arange(_HEAD + 1, _HEAD + max(1, len(fraction)))])
    good = np.logical_and.reduce([letters[:, at] == ord(letter) for at, letter in fixed])
    values = letters.T[digits] - np.uint8(ord("0"))
    good &= (values <= 9).all(axis=0)
    milliseconds, real = _count(values)
    good &= real
    chosen = rows[good]
    wall[chosen] = milliseconds[good]
    form[chosen] = _INSTANT if zone == "Z" else _OFFSET if zone else _NAIVE
    offset[chosen] = _zone_offset(zone) if len(zone) > 1 else 0


def _zone_offset(zone: str) -> int:
    return (int(zone[1:3]) * HOUR + int(zone[4:6]) * MINUTE) * (-1 if zone[0] == "-" else 1)


def _count(digits: npt.NDArray[np.uint8]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Milliseconds since 1970 of rows of digits (year to second, then a fraction), and whether each is on the calendar.

    digits: shape (14 or more, n).
    """
    pair = digits[:14].astype(np.int32).reshape(7, 2, -1)
    century, year, month, day, hour, minute, second = pair[:, 0] * 10 + pair[:, 1]
    year = century * 100 + year
    months = np.clip((year - 1970) * 12 + month - 1, -23_628, 96_359)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    following = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    real = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (first + day <= following)
    real &= (hour < 24) & (minute < 60) & (second < 60)
    thousandths = np.zeros(day.size, np.int64)
    for digit, weight in zip(digits[14:17], (100, 10, 1), strict=False):
        thousandths += digit.astype(np.int64) * weight
    within = (hour * 60 + minute) * 60 + second
    return (first + day - 1) * DAY + within.astype(np.int64) * 1000 + thousandths, real


def _read_one(value: object) -> tuple[int, int, int]:
    """(wall clock milliseconds, stated offset, form) of one value, in any form there is."""
    if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN is how data frames say "nothing"
        return 0, 0, _MISSING
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, datetime):
        return _of_datetime(value, _OFFSET)
    if isinstance(value, date):
        return _of_datetime(datetime(value.year, value.month, value.day), _NAIVE)  # noqa: DTZ001 - naive is meant
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value)
    return 0, 0, _BAD


def _read_text(text: str) -> tuple[int, int, int]:
    if len(text) > 64:
        return 0, 0, _BAD
    text = text.strip()
    try:
        if _NUMBER.fullmatch(text) and not (len(text) == 8 and text.isdecimal()):
            return _of_number(float(text) if "." in text else int(text))
        return _of_datetime(datetime.fromisoformat(text), _INSTANT if text[-1:] in "Zz" else _OFFSET)
    except ValueError:
        return 0, 0, _BAD


def _of_number(number: float) -> tuple[int, int, int]:
    if abs(number) > LATEST:
        return 0, 0, _BAD
    return round(number * 1000 if abs(number) < _SECONDS_BELOW else number), 0, _INSTANT


def _of_datetime(moment: datetime, aware: int) -> tuple[int, int, int]:
    wall = (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    if moment.tzinfo is None:
        return wall, 0, _NAIVE
    return wall, _milliseconds(moment.utcoffset()), aware
