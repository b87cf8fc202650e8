"""Rules: small expressions over the attributes of one thing, such as an item; nothing is ever evaluated as code.

    price < 50 and category in ["shoes", "bags"]
    "sale" in tags or not has(brand)
    on_sale_from <= now < on_sale_until
    context.device == "mobile" and not has(desktop_only)

Names are attributes; `now` is the moment of the question, and `context.x`
what it says of x. Texts, numbers,
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard
from warnings import catch_warnings, simplefilter

from recommender.errors import UsageError

LONGEST = 1_000
"""Characters of a rule."""

DEEPEST = 32
"""Levels of brackets and operators."""

LATEST = 2**53
"""Milliseconds; a number from here on is no time."""

NOW = "now"
HAS = "has"
CONTEXT = "context"

Values = Mapping[str, Any]
"""Attributes by name: text, numbers, booleans, or lists of text; of the context, by what `key_of` makes of a name."""

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
    """A rule that was read.

    names: the attributes that it asks for. context: what it asks of the context. timed: whether its answer may
    change by itself.
    """

    text: str
    names: frozenset[str]
    context: frozenset[str]
    timed: bool
    _test: _Test
    _of_context: tuple[_Test, ...]

    def holds(self, values: Values, now: int = 0) -> bool:
        """Whether the rule is true of a thing with these attributes at an instant, milliseconds UTC."""
        return self._test(values, now) is True

    def situation(self, context: Values) -> tuple[object, ...]:
        """What the rule makes of a context: contexts that are alike in this give the same answer of every thing."""
        found = [test(context, 0) for test in self._of_context]
        return tuple([(type(value), value) for value in found])  # True equals 1


@dataclass(slots=True)
class _Read:
    """What was met while a rule was read: attributes, context keys, and the parts that the context decides."""

    names: set[str] = field(default_factory=set)
    context: set[str] = field(default_factory=set)
    of_context: list[_Test] = field(default_factory=list)


def key_of(name: str) -> str:
    """Where the values have what the context says of a name; no attribute is called so."""
    return f"\0{name}"


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
    read = _Read()
    test = _condition(tree, read, DEEPEST)
    names, timed = frozenset(read.names - {NOW}), NOW in read.names
    return Rule(text, names, frozenset(read.context), timed, test, tuple(read.of_context))


def _condition(node: ast.expr, read: _Read, depth: int) -> _Test:
    """What is true or false."""
    if depth == 0:
        raise UsageError(f"A rule has at most {DEEPEST} levels.")
    match node:
        case ast.BoolOp(op, parts):
            tests = [_condition(part, read, depth - 1) for part in parts]
            every = isinstance(op, ast.And)
            return lambda values, now: (all if every else any)(test(values, now) is True for test in tests)
        case ast.UnaryOp(ast.Not(), part):
            inner = _condition(part, read, depth - 1)
            return lambda values, now: inner(values, now) is not True
        case ast.Compare(left, operators, rights):
            return _comparison([left, *rights], operators, read)
        case ast.Call(ast.Name("has"), [ast.Name() | ast.Attribute() as one], []):
            key, known = _key(one, read)
            return known(lambda values, _: values.get(key) is not None)
        case ast.Name() | ast.Attribute() if not _is_now(node):
            key, known = _key(node, read)
            return known(lambda values, _: values.get(key))
        case ast.Constant(bool() as value):
            return lambda *_: value
    raise _unfit(node, "wanted a comparison, has(...), or attributes that are true or false")


def _key(node: ast.Name | ast.Attribute, read: _Read) -> tuple[str, Callable[[_Test], _Test]]:
    """The key of a name's value, and what takes note of a test of it that the context alone decides."""
    match node:
        case ast.Name(name):
            read.names.add(name)
            return name, lambda test: test
        case ast.Attribute(ast.Name("context"), name):
            read.context.add(name)
            return key_of(name), lambda test: _noted(test, read)
    raise _unfit(node, "only what is known of the context has a name with a dot, such as context.device")


def _noted(test: _Test, read: _Read) -> _Test:
    read.of_context.append(test)
    return test


def _is_now(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == NOW


def _comparison(parts: list[ast.expr], operators: list[ast.cmpop], read: _Read) -> _Test:
    values_of = [_value(part, read) for part in parts]
    with_now = any(map(_is_now, parts))
    links = [_link(op, with_now) for op in operators]

    def test(values: Values, now: int) -> bool:
        found = [value(values, now) for value in values_of]
        return all(link(found[at], found[at + 1]) for at, link in enumerate(links))

    of_context = [at for at, part in enumerate(parts) if isinstance(part, ast.Attribute)]
    if of_context and not any(isinstance(part, ast.Name) for part in parts):
        return _noted(test, read)
    for at in of_context:
        _noted(values_of[at], read)
    return test


def _value(node: ast.expr, read: _Read) -> _Test:
    """What can be compared."""
    match node:
        case ast.Name() if _is_now(node):
            read.names.add(NOW)
            return lambda _, now: now
        case ast.Name() | ast.Attribute():
            key, _ = _key(node, read)
            return lambda values, _: values.get(key, _NOTHING)
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


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _instant(value: object) -> object:
    """Milliseconds UTC of a text that is a time; anything else as it is."""
    if not isinstance(value, str):
        return value
    found = instant_in(value)
    return _NOTHING if found is None else found


def instant_in(value: object) -> int | None:
    """Milliseconds UTC of a text in ISO 8601, UTC where it names no zone, or of a number; None of all else."""
    if _is_number(value):
        return int(value) if abs(value) < LATEST else None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _unfit(node: ast.expr, wanted: str) -> UsageError:
    return UsageError(f"A rule cannot have what stands at character {node.col_offset + 1}; {wanted}.")
