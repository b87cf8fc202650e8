"""Rules say what they look like they say, and nothing that they hold is ever run."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import UsageError
from recommender.rules import DEEPEST, LONGEST, key_of, read_rule

SHOE: dict[str, Any] = {
    "price": 45.5,
    "category": "shoes",
    "tags": ["sale", "ö"],
    "new": True,
    "from": "2026-01-01",
    "on_from": "2026-01-01T00:00:00+02:00",
    "on_until": "2026-02-01",
    "stock": 0,
}
JANUARY_15, MARCH_1 = 1_768_435_200_000, 1_772_323_200_000


@pytest.mark.parametrize(
    "text",
    [
        "price < 50",
        "0 < price <= 45.5",
        "stock == 0 and stock >= -1",
        'category in ["shoes", "bags"]',
        "category not in ('bags',)",
        '"sale" in tags',
        '"hoe" in category',
        "new",
        "new == True",
        "not (price > 50) and has(price)",
        "price > 50 or not has(brand)",
        "not brand == 'x'",
        "True",
        "  price\n <  50 ",
    ],
)
def test_what_is_true_of_the_shoe(text: str) -> None:
    assert read_rule(text).holds(SHOE)


@pytest.mark.parametrize(
    "text",
    [
        "price > 50",
        "brand == 'x'",
        "brand != 'x'",
        "brand not in ['x']",
        "brand < 3",
        "price < 'a'",
        "price == '45.5'",
        "new == 1",
        "has(brand)",
        "tags",
        "category",
        "stock",
        '"x" in price',
        "tags in tags",
        "False",
        "brand",
    ],
)
def test_what_is_not_true_of_the_shoe(text: str) -> None:
    """What is not there, or of another type, compares with nothing; and only True is true."""
    assert not read_rule(text).holds(SHOE)


def test_a_window_of_time_opens_and_closes_by_itself() -> None:
    rule = read_rule("on_from <= now < on_until")
    assert rule.timed
    assert rule.names == {"on_from", "on_until"}
    assert rule.holds(SHOE, JANUARY_15)
    assert not rule.holds(SHOE, MARCH_1)
    assert not rule.holds({"on_from": "soon", "on_until": "2027-01-01"}, JANUARY_15)
    assert read_rule("'2026-01-10' < now").holds({}, JANUARY_15)
    assert not read_rule("price < 50").timed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "price <",
        "__import__('os').system('true')",
        "(lambda: 1)() == 1",
        "price.real < 3",
        "tags[0] == 'sale'",
        "[x for x in tags] == 1",
        "f'{price}' == '1'",
        "price is 3",
        "price + 1 < 3",
        "has('price')",
        "has(price, 1)",
        "now",
        "x := 3",
        "a = 1",
        "price < 50 and 'text'",
        "[['a']] == x",
        "1 < 2; 3",
        "x == 1j",
        "x == b'1'",
        "x == None",
        "\x00",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_rule(text)


def test_a_refusal_says_where() -> None:
    with pytest.raises(UsageError, match="character 14"):
        read_rule("price < 1 or tags[0] == 'sale'")


def test_length_and_depth_are_bounded() -> None:
    with pytest.raises(UsageError, match=str(LONGEST)):
        read_rule("price < " + "1" * LONGEST)
    with pytest.raises(UsageError):
        read_rule("not " * (DEEPEST + 1) + "new")
    with pytest.raises(UsageError):
        read_rule("(" * 400 + "new" + ")" * 400)


@given(st.text(max_size=60), st.dictionaries(st.text(max_size=3), st.none() | st.text() | st.floats() | st.booleans()))
def test_any_text_is_a_rule_or_a_clear_error(text: str, values: dict[str, Any]) -> None:
    with suppress(UsageError):
        assert read_rule(text).holds(values) in (True, False)


@pytest.mark.parametrize(
    ("rule", "said", "holds"),
    [
        ("context.device == 'mobile'", {"device": "mobile"}, True),
        ("context.device == 'mobile'", {}, False),
        ("not context.device == 'mobile'", {}, True),
        ("category == context.wanted", {"wanted": "shoes"}, True),
        ("has(context.wanted) and price < context.most", {"wanted": 1, "most": 46}, True),
        ("context.new and new", {"new": True}, True),
        ("context.new and new", {"new": 1}, False),
    ],
)
def test_a_rule_may_ask_for_the_context(rule: str, said: dict[str, Any], holds: bool) -> None:
    values = SHOE | {key_of(name): value for name, value in said.items()}
    assert read_rule(rule).holds(values) is holds


def test_contexts_are_told_apart_where_the_rule_does() -> None:
    def situations(rule: str, *values: object) -> int:
        return len({read_rule(rule).situation({key_of("x"): value}) for value in values})

    assert situations("context.x > 18 or price < 3", 19, 20, 99) == 1
    assert situations("context.x > 18 and price < 3", 17, 19, "a") == 2
    assert situations("price < context.x", 17, 19, 20) == 3
    assert situations("flag == context.x", True, 1) == 2
    assert situations("price < 3", 1, 2) == 1
