import pytest

from serving import limits
from serving.limits import BURST, LATE, SUSTAINED, Overload, Rates


def test_a_key_may_call_at_its_rate_and_a_burst_at_once() -> None:
    rates = Rates(key_rate=10, customer_rate=10)
    assert [rates.wait("mk_1", None, 0.0) for _ in range(int(BURST) * 10)] == [0.0] * 20
    wait = rates.wait("mk_1", None, 0.0)
    assert wait == pytest.approx(0.1)
    assert rates.wait("mk_2", None, 0.0) == 0.0
    assert rates.wait("mk_1", None, wait) == 0.0
    assert [rates.wait("mk_1", None, 100 + n / 10) for n in range(200)] == [0.0] * 200


def test_a_call_that_was_refused_is_not_counted() -> None:
    rates = Rates(key_rate=1, customer_rate=1)
    assert [rates.wait("mk_1", None, 0.0) for _ in range(9)] == [0.0] * 2 + [1.0] * 7
    assert Rates(0.001, 1).wait("mk_1", None, 0.0) == 0.0, "a first call is always allowed"


def test_the_customers_of_a_front_end_do_not_share_their_rate_but_share_the_keys() -> None:
    rates = Rates(key_rate=3, customer_rate=1)
    assert [bool(rates.wait("mk_1", "crm:1", 0.0)) for _ in range(3)] == [False, False, True]
    assert [bool(rates.wait("mk_1", f"crm:{n}", 0.0)) for n in range(2, 8)] == [False] * 4 + [True] * 2


def test_many_callers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 10)
    rates = Rates(key_rate=1000, customer_rate=1)
    for n in range(1000):
        assert rates.wait("mk_1", f"crm:{n}", 10.0 * n) == 0.0
        assert len(rates._paid) <= 12


def flood(overload: Overload, start: float, seconds: float, cost: float = 0.05) -> list[bool]:
    """Whether each of those was admitted who come every hundredth of a second, where one is begun every `cost`."""
    queue: list[float] = []
    admitted = []
    begin = start
    for n in range(int(seconds * 100)):
        now = start + n / 100
        admitted.append(overload.admits(now))
        if admitted[-1]:
            queue.append(now)
        while queue and begin <= now:
            overload.begins(queue.pop(0), now)
            begin += cost
    while queue:
        overload.begins(queue.pop(0), begin)
        begin += cost
    return admitted


def test_while_more_comes_than_can_be_answered_as_many_are_let_in_as_are_begun() -> None:
    overload = Overload()
    before, later = flood(overload, 0.0, SUSTAINED), flood(Overload(), 0.0, 20.0)
    assert all(before)
    assert sum(later[-1000:]) == pytest.approx(200, rel=0.2)


def test_a_pause_of_the_process_refuses_nobody() -> None:
    overload = Overload()
    for start in range(0, 100, 2):
        assert all(overload.admits(start) for _ in range(100))
        for n in range(100):
            overload.begins(start, start + LATE * 4 + n * SUSTAINED / 200)


def test_who_was_refused_and_comes_again_is_no_pause_of_the_process() -> None:
    overload = Overload()
    flood(overload, 0.0, 5.0)
    assert not all(flood(overload, 7.0, 0.4))


def test_an_overload_is_over_when_nobody_comes_late_for_a_while() -> None:
    overload = Overload()
    assert not all(flood(overload, 0.0, 5.0))
    assert all(flood(overload, 60.0, 1.0, cost=0.001))
