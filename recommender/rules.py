"""Rules: small expressions over the attributes of one thing, such as an item; nothing is ever evaluated as code.

    price < 50 and category in ["shoes", "bags"]
    "sale" in tags or not has(brand)
    on_sale_from <= now < on_sale_until

Names are attributes; `now` is the moment of the question. Texts, numbers,
True, False and lists are written as in JSON or Python. Comparisons may be
chained; `and`, `or`, `not` and brackets join them. `a in b` asks whether a
list has an element, or a text a part. `has(x)` asks whether there is such
an attribute at all.

A comparison with an attribute that is not there, or is of another type, is
false: an item without a price is neither below 50 nor above it. So `x != 1`
wants an x, and `not x = 1` does not. A text that is compared with `now` is
read as a time, ISO 8601, UTC where it names no zone.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from warnings import catch_warnings, simplefilter

from recommender.errors import UsageError

LONGEST = 1_000
"""Characters of a rule."""

DEEPEST = 32
"""Levels of brackets and operators."""

NOW = "now"
HAS = "has"

Values = Mapping[str, Any]
"""Attributes by name: text, numbers, booleans, or lists of text."""

_Test = Callable[[Values, int], Any]
"""Gives the value of an expression for some attributes at an instant, milliseconds UTC; _NOTHING where it has none."""

_NOTHING = object()

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. names: the attributes that it asks for. timed: whether its answer may change by itself."""

    text: str
    names: frozenset[str]
    timed: bool
    _test: _Test

    def holds(self, values: Values, now: int = 0) -> bool:
        """Whether the rule is true of a thing with these attributes at an instant, milliseconds UTC."""
        return self._test(values, now) is True


def read_rule(text: str) -> Rule:
    """The rule that a text states. Raises UsageError that says what is wrong, and at which character."""
    if len(text) > LONGEST:
        raise UsageError(f"A rule has at most {LONGEST} characters; this one has {len(text)}.")
    source = " ".join(text.split())
    try:
        with catch_warnings():
            simplefilter("ignore")  # of escapes in texts that are none
            tree = ast.parse(source or "''", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        at = getattr(error, "offset", None)
        where = f" near character {at}" if at else ""
        raise UsageError(f"This is no rule{where}. Write one like: price < 50 and category in ['a', 'b'].") from None
    names: set[str] = set()
    test = _condition(tree, names, DEEPEST)
    return Rule(text, frozenset(names - {NOW}), NOW in names, test)


def _condition(node: ast.expr, names: set[str], depth: int) -> _Test:
    """What is true or false."""
    if depth == 0:
        raise UsageError(f"A rule has at most {DEEPEST} levels.")
    match node:
        case ast.BoolOp(op, parts):
            tests = [_condition(part, names, depth - 1) for part in parts]
            every = isinstance(op, ast.And)
            return lambda values, now: (all if every else any)(test(values, now) is True for test in tests)
        case ast.UnaryOp(ast.Not(), part):
            inner = _condition(part, names, depth - 1)
            return lambda values, now: inner(values, now) is not True
        case ast.Compare(left, operators, rights):
            return _comparison([left, *rights], operators, names)
        case ast.Call(ast.Name("has"), [ast.Name(name)], []):
            names.add(name)
            return lambda values, _: values.get(name) is not None
        case ast.Name(name) if name != NOW:
            names.add(name)
            return lambda values, _: values.get(name)
        case ast.Constant(bool() as value):
            return lambda *_: value
    raise _unfit(node, "wanted a comparison, has(...), or attributes that are true or false")


def _comparison(parts: list[ast.expr], operators: list[ast.cmpop], names: set[str]) -> _Test:
    values_of = [_value(part, names) for part in parts]
    with_now = any(isinstance(part, ast.Name) and part.id == NOW for part in parts)
    links = [_link(op, with_now) for op in operators]

    def test(values: Values, now: int) -> bool:
        found = [value(values, now) for value in values_of]
        return all(link(found[at], found[at + 1]) for at, link in enumerate(links))

    return test


def _value(node: ast.expr, names: set[str]) -> _Test:
    """What can be compared."""
    match node:
        case ast.Name(name):
            names.add(name)
            if name == NOW:
                return lambda _, now: now
            return lambda values, _: values.get(name, _NOTHING)
        case ast.Constant(str() | int() | float() as value):
            return lambda *_: value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
            return lambda *_: -value
        case ast.List(elements) | ast.Tuple(elements):
            constants = [_constant(element) for element in elements]
            return lambda *_: constants
    raise _unfit(node, "wanted an attribute, a text, a number, or a list of these")


def _constant(node: ast.expr) -> object:
    match node:
        case ast.Constant(str() | int() | float() as value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
            return -value
    raise _unfit(node, "a list holds texts and numbers")


def _link(op: ast.cmpop, with_now: bool) -> Callable[[Any, Any], bool]:
    if isinstance(op, ast.In):
        return _within
    if isinstance(op, ast.NotIn):
        return lambda part, whole: _comparable(part, whole) and not _within(part, whole)
    if type(op) not in _ORDER:
        raise UsageError("A rule compares with <, <=, >, >=, ==, !=, in and not in.")
    compare = _ORDER[type(op)]

    def ordered(left: object, right: object) -> bool:
        if with_now:
            left, right = _instant(left), _instant(right)
        return _alike(left, right) and compare(left, right)

    return ordered


def _within(part: object, whole: object) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    return isinstance(whole, list) and _comparable(part, whole) and part in whole


def _comparable(part: object, whole: object) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str)
    return isinstance(whole, list) and part is not _NOTHING and part is not None and not isinstance(part, list)


def _alike(left: object, right: object) -> bool:
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, bool)) or (
        _is_number(left) and _is_number(right)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _instant(value: object) -> object:
    """Milliseconds UTC of a text that is a time; a number, already milliseconds, as it is."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _NOTHING
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _unfit(node: ast.expr, wanted: str) -> UsageError:
    return UsageError(f"A rule cannot have what stands at character {node.col_offset + 1}; {wanted}.")
