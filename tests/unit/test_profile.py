"""The laws of the profile algebra, for any events, in any order, split in any way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import profile as profile_module
from recommender.errors import StoreError
from recommender.profile import COUNT, EMPTY, HISTORY, Profile, decode, encode, fold, merge
from recommender.types import EVENT, EventArray

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = 8
"""A bound that a handful of events crosses."""


@pytest.fixture(params=[SMALL, HISTORY], ids=["small bound", "real bound"], autouse=True, scope="module")
def bound(request: pytest.FixtureRequest) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "HISTORY", request.param)
        yield request.param


ROW = st.tuples(
    st.one_of(st.integers(0, 4), st.integers(-(2**63), 2**63 - 1)),  # many at one time, and the farthest times
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 3),
    st.integers(-1, 1),
    st.integers(1, 2),
    st.integers(0, 1),
    st.integers(-720, 840),
    st.integers(0, 3),
)
ROWS = st.lists(ROW, max_size=3 * SMALL, unique_by=lambda row: row[1])


def events(*rows: tuple[int, ...]) -> EventArray:
    return np.array(list(rows), EVENT)


@dataclass
class Parts:
    """The same events: as a whole, and dealt to several hands in some order."""

    whole: EventArray
    hands: list[EventArray]


@st.composite
def dealt(draw: st.DrawFn, hands: int = 4) -> Parts:
    rows = draw(ROWS)
    shuffled = np.random.default_rng(draw(st.integers(0, 99))).permutation(events(*rows))
    cuts = draw(st.lists(st.integers(0, len(rows)), min_size=hands - 1, max_size=hands - 1).map(sorted))
    return Parts(events(*rows), np.split(shuffled, cuts))


@given(dealt())
def test_any_order_and_any_split_of_the_same_events_give_the_same_bytes(parts: Parts) -> None:
    at_once = fold(EMPTY, parts.whole)
    stepwise = EMPTY
    for hand in parts.hands:
        stepwise = fold(stepwise, hand)
    one_by_one = EMPTY
    for record in np.concatenate(parts.hands):
        one_by_one = fold(one_by_one, record.reshape(1))
    assert encode(at_once) == encode(stepwise) == encode(one_by_one)


@given(dealt())
def test_a_profile_is_the_newest_events_in_order_and_counts_of_the_rest(parts: Parts) -> None:
    bound: int = profile_module.HISTORY
    rows = sorted(parts.whole.tolist(), key=lambda row: (row[0], row[3], row[1]))
    old, kept = rows[: max(0, len(rows) - bound)], rows[max(0, len(rows) - bound) :]
    counts = Counter((row[2], row[4]) for row in old)
    made = fold(EMPTY, parts.whole)
    assert made.events.tolist() == kept
    assert made.counts.tolist() == [(*key, counts[key]) for key in sorted(counts)]
    assert len(made) == len(rows)


@given(dealt())
def test_merging_what_was_folded_apart_is_folding_together(parts: Parts) -> None:
    assert merge(*(fold(EMPTY, hand) for hand in parts.hands)) == fold(EMPTY, parts.whole)


@given(dealt())
def test_merge_is_commutative_and_associative_across_the_bound(parts: Parts) -> None:
    a, b, c, _ = (fold(EMPTY, hand) for hand in parts.hands)
    assert merge(a, b) == merge(b, a)
    assert merge(a, merge(b, c)) == merge(merge(a, b), c) == merge(c, a, b)


@given(dealt())
def test_the_empty_profile_is_zero(parts: Parts) -> None:
    made = fold(EMPTY, parts.whole)
    assert merge() == EMPTY
    assert merge(made, EMPTY) == merge(EMPTY, made) == merge(made) == made
    assert fold(made, events()) == made


@given(dealt())
def test_within_the_bound_a_repeat_changes_nothing(parts: Parts) -> None:
    whole = parts.whole[:SMALL]
    made = fold(EMPTY, whole)
    assert merge(made, made) == made
    assert fold(made, whole[::2]) == fold(made, np.concatenate([whole, whole])) == made


@given(dealt(), dealt())
def test_within_the_bound_profiles_that_share_events_merge_in_any_grouping(parts: Parts, others: Parts) -> None:
    shared, left, right = parts.whole[:2], others.whole[:3], others.whole[3:6]
    a, b, c = (fold(EMPTY, np.concatenate([shared, more])) for more in (left, right, events()))
    assert merge(a, merge(b, c)) == merge(merge(a, b), c) == fold(EMPTY, np.concatenate([shared, left, right]))


@given(dealt())
def test_no_input_is_changed(parts: Parts) -> None:
    first, second = parts.hands[0], parts.hands[1]
    before, copies = fold(EMPTY, first), (first.tobytes(), second.tobytes())
    written = encode(before)
    fold(before, second)
    merge(before, fold(EMPTY, second))
    assert (encode(before), first.tobytes(), second.tobytes()) == (written, *copies)
    assert len(EMPTY) == 0


@given(dealt())
def test_decoding_what_was_encoded_is_exact(parts: Parts) -> None:
    made = fold(EMPTY, parts.whole)
    back = decode(encode(made))
    assert back == made
    assert hash(back) == hash(made)
    assert (back.events.dtype, back.counts.dtype) == (EVENT, COUNT)
    assert not back.events.flags.writeable
    assert not back.counts.flags.writeable


@given(dealt(), st.data())
def test_cut_or_lengthened_bytes_are_refused(parts: Parts, data: st.DataObject) -> None:
    written = encode(fold(EMPTY, parts.whole))
    cut = data.draw(st.integers(0, len(written) - 1))
    for damaged in (written[:cut], written + b"\0", written + bytes(COUNT.itemsize)):
        with pytest.raises(StoreError, match=r"not a profile|cut short"):
            decode(damaged)


def test_foreign_bytes_are_refused() -> None:
    for foreign in (b"", b"\x80\x04K*.", b"PK\x03\x04" * 10):
        with pytest.raises(StoreError, match="not a profile"):
            decode(foreign)


def test_a_newer_format_asks_for_an_upgrade() -> None:
    newer = bytearray(encode(EMPTY))
    newer[3] = 2
    with pytest.raises(StoreError, match=r"format 2.*Upgrade"):
        decode(bytes(newer))


def test_an_event_of_each_time_orders_before_sequence_before_key() -> None:
    made = fold(EMPTY, events((2, 1, 7, 0, 1, 0, 0, 0), (1, 9, 7, 1, 1, 0, 0, 0), (1, 5, 7, 1, 1, 0, 0, 0)))
    assert made.events["key"].tolist() == [5, 9, 1]


def test_a_profile_differs_from_other_profiles_and_from_other_things() -> None:
    one = fold(EMPTY, events((1, 1, 1, 0, 1, 0, 0, 0)))
    assert one != EMPTY
    assert one != "one"
    assert len({one, EMPTY, decode(encode(one))}) == 2


def test_the_profile_of_format_1_loads_forever() -> None:
    """Written by the first Murmeli: 20 events of a bound of 16, so that 4 of them are counts."""
    loaded = decode((GOLDEN / "profile-1.bin").read_bytes())
    written = np.array([(1000 * i, 100 + i, 1 + i % 3, 0, 5, 6, 120, i % 4) for i in range(20)], EVENT)
    assert loaded.events.tolist() == written[4:].tolist()
    assert loaded.counts.tolist() == [(1, 5, 2), (2, 5, 1), (3, 5, 1)]
    assert len(loaded) == 20


def test_ten_thousand_events_past_the_real_bound_are_counted() -> None:
    size = HISTORY + 10_000
    many = np.zeros(size, EVENT)
    many["time"] = many["key"] = np.arange(size)
    many["item"] = np.arange(size) % 7
    shuffled = np.random.default_rng(7).permutation(many)
    parts = [fold(EMPTY, part) for part in np.array_split(shuffled, 5)]
    assert merge(*parts) == fold(EMPTY, many) == fold(fold(EMPTY, shuffled[: size // 2]), shuffled[size // 2 :])
    assert len(merge(*parts)) == size


def test_a_profile_from_the_bytes_of_a_smaller_one_can_be_folded_on() -> None:
    one = events((1, 1, 1, 0, 1, 0, 0, 0))
    two = events((2, 2, 2, 0, 1, 0, 0, 0))
    assert fold(decode(encode(fold(EMPTY, one))), two) == Profile(np.concatenate([one, two]), EMPTY.counts)
