import pytest

from serving import limits
from serving.limits import BURST, CAME, LATE, QUIET, SHED, SUSTAINED, Overload, Rates


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


def sheds(overload: Overload, waited: float, now: float) -> bool:
    scope = {CAME: now - waited}
    refused = overload.sheds(scope, now)
    assert scope.get(SHED, False) == refused
    return refused


def test_late_requests_are_refused_once_that_has_lasted() -> None:
    overload = Overload()
    assert not sheds(overload, LATE * 2, 1.0)
    assert not sheds(overload, LATE * 2, 1.0 + SUSTAINED)
    assert sheds(overload, LATE * 2, 1.1 + SUSTAINED)
    assert not sheds(overload, LATE / 2, 1.1 + SUSTAINED), "who did not wait long is answered all the time"


def test_a_pause_of_the_process_refuses_nobody() -> None:
    overload = Overload()
    for start in range(0, 100, 2):
        assert not any(sheds(overload, LATE * 4, start + n * SUSTAINED / 100) for n in range(100))


def test_an_overload_is_over_when_nobody_comes_late_for_a_while() -> None:
    overload = Overload()
    assert [sheds(overload, LATE * 2, now) for now in (0.0, 0.6)] == [False, True]
    assert not sheds(overload, LATE * 2, 0.7 + QUIET)


def test_where_nobody_says_when_a_request_came_none_is_late() -> None:
    overload = Overload()
    assert not any(overload.sheds({}, float(now)) for now in range(100))
