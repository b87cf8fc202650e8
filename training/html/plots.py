"""Plots as inline SVG. Colours and fonts are the style sheet's; a mark's title shows where the pointer rests on it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.html.markup import Markup, tag

WIDTH = 720
"""Of a plot that fills the page, in the SVG's own units; the page scales it."""

LABELS = 178
"""Room for the names at the left of a dot plot."""

LEFT = 60
"""The same of a small plot's values and what they measure."""

LETTER = 6.4
"""How wide a letter beside a point is, about."""

Format = Callable[[float], str]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One value with its interval. css: the class that colours it; None for an end that is not known."""

    value: float
    low: float | None
    high: float | None
    css: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a dot plot: a name, its marks one below the other, and a note at the right."""

    label: str
    marks: Sequence[Mark]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a scatter plot or a curve; quiet: without a label beside it."""

    x: float
    y: float
    css: str
    label: str = ""
    low: float | None = None
    high: float | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places along an axis; log: by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (value - low) / ((high - low) or 1) * (self.end - self.start), 1)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values that span low to high, about so many of them."""
    raw = (high - low) / about or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def plain(value: float) -> str:
    """A short number: .25, 1, -.1."""
    return f"{value:.4g}"


def dots(lines: Sequence[Line], axis: str, *, zero: bool = False, tick: Format = plain, describe: str) -> Markup:
    """Names at the left, values along a common axis from 0; zero: a line marks 0, which lies wherever it lies."""
    marks = [mark for line in lines for mark in line.marks]
    known = [v for mark in marks for v in (mark.value, mark.low, mark.high) if v is not None]
    grid = ticks(min(0, *known), max(0, *known) or 1)
    notes = 74 if any(line.note for line in lines) else 12
    x = Scale(grid[0], grid[-1], LABELS, WIDTH - notes)
    parts, y = [], 14.0
    for line in lines:
        size = max(len(line.marks), 1)
        middle = y + 11 + (size - 1) * 6
        parts.append(tag("text", line.label, x=LABELS - 14, y=middle + 4, class_=f"name {_first(line)}"))
        parts += [_whisker(mark, x, y + 11 + number * 12) for number, mark in enumerate(line.marks)]
        if line.note:
            parts.append(tag("text", line.note, x=WIDTH, y=middle + 4, class_="note end"))
        y += 24 + (size - 1) * 12
    below = y + 6
    return _svg(
        WIDTH,
        below + 36,
        describe,
        *(_vertical(x(value), 6, below, "zero" if zero and value == 0 else "grid") for value in grid),
        *parts,
        *(tag("text", tick(value), x=x(value), y=below + 15, class_="tick middle") for value in grid),
        tag("text", axis, x=(x.start + x.end) / 2, y=below + 32, class_="axis middle"),
    )


def _first(line: Line) -> str:
    return line.marks[0].css if len(line.marks) == 1 else ""


def _whisker(mark: Mark, x: Scale, y: float) -> Markup:
    ends = Markup()
    if mark.low is not None and mark.high is not None:
        ends = tag("line", x1=x(mark.low), x2=x(mark.high), y1=y, y2=y, class_="whisker")
    return tag("g", tag("title", mark.title), ends, tag("circle", cx=x(mark.value), cy=y, r=4.6), class_=mark.css)


def bars(lines: Sequence[tuple[str, float, str]], describe: str) -> Markup:
    """A few shares as bars from 0, each (name, share, css), to be taken in at a glance."""
    width = 480
    x = Scale(0, max(*(share for _, share, _ in lines), 1e-9), 0, width - 170)
    parts = []
    for number, (name, share, css) in enumerate(lines):
        y = 2 + number * 23
        parts.append(tag("rect", x=0, y=y, width=x(share), height=17, rx=2.5, class_=f"bar {css}"))
        parts.append(tag("text", f"{name} {100 * share:.1f} %", x=x(share) + 8, y=y + 13, class_=f"large {css}"))
    return _svg(width, 4 + 23 * len(lines), describe, *parts)


def reliability(table: Sequence[Sequence[float]], describe: str) -> Markup:
    """What was promised against what was kept, beside the diagonal on which a promise is kept."""
    size, left, top = 340, LEFT, 10
    high = ticks(0, max((max(said, right) for said, right, _ in table), default=1), 4)
    x, y = Scale(0, high[-1], left, size - 10), Scale(0, high[-1], size - 46, top)
    path = " ".join(f"{x(said)},{y(right)}" for said, right, _ in table)
    marks = [
        tag(
            "circle",
            tag("title", f"said {said:.1%}, right {right:.1%}, {n:.0f} times"),
            cx=x(said),
            cy=y(right),
            r=4.2,
            class_="murmeli",
        )
        for said, right, n in table
    ]
    return _svg(
        size,
        size,
        describe,
        *_frame(x, y, high, high, percent, percent),
        tag("line", x1=x(0), y1=y(0), x2=x(high[-1]), y2=y(high[-1]), class_="ideal"),
        tag("polyline", points=path, class_="path murmeli"),
        *marks,
        tag("text", "stated probability of the first item", x=(left + size) / 2, y=size - 8, class_="axis middle"),
        _sideways("how often it was right", 12, (top + size - 46) / 2),
    )


def curve(points: Sequence[Point], rival: Point | None, axis: str, measure: str, describe: str) -> Markup:
    """A measure that grows with x, on a logarithmic axis, in its band; rival: a height to compare with."""
    width, height, left = 340, 340, LEFT
    tops = [value for p in points for value in (p.y, p.high) if value is not None] + ([rival.y] if rival else [])
    grid = ticks(0, max(tops, default=1), 4)
    x = Scale(points[0].x, points[-1].x, left + 14, width - 24, log=points[0].x < points[-1].x)
    y = Scale(0, grid[-1], height - 46, 10)
    band = [*((p.x, p.high) for p in points), *((p.x, p.low) for p in reversed(points))]
    parts = [_horizontal(left, width - 10, y(value), "grid") for value in grid]
    parts += [tag("text", plain(value), x=left - 7, y=y(value) + 4, class_="tick end") for value in grid]
    parts += [tag("text", p.label, x=x(p.x), y=height - 28, class_="tick middle") for p in points]
    if all(value is not None for _, value in band):
        corners = " ".join(f"{x(at)},{y(value)}" for at, value in band if value is not None)
        parts.append(tag("polygon", points=corners, class_="band"))
    if rival:
        parts.append(_horizontal(left, width - 10, y(rival.y), "ideal"))
        parts.append(tag("text", rival.label, x=width - 12, y=y(rival.y) - 6, class_="tick end"))
    parts.append(tag("polyline", points=" ".join(f"{x(p.x)},{y(p.y)}" for p in points), class_="path murmeli"))
    parts += [
        tag("circle", tag("title", f"{p.label}: {p.y:.4f}"), cx=x(p.x), cy=y(p.y), r=4.2, class_="murmeli")
        for p in points
    ]
    parts.append(tag("text", axis, x=(left + width) / 2, y=height - 8, class_="axis middle"))
    return _svg(width, height, describe, *parts, _sideways(measure, 12, (height - 36) / 2))


def scatter(points: Sequence[Point], across: str, up: str, describe: str, tick: Format = plain) -> Markup:
    """One labelled point for each ranking; labels step aside where they would meet."""
    width, height, left = 340, 320, LEFT
    columns, lines = ticks(0, max(p.x for p in points) or 1, 4), ticks(0, max(p.y for p in points) or 1, 4)
    x, y = Scale(0, columns[-1], left, width - 12), Scale(0, lines[-1], height - 46, 10)
    places = [(x(p.x), y(p.y)) for p in points]
    taken = [(at - 6, up - 6, at + 6, up + 6) for at, up in places]
    marks = []
    for p, (at, height_) in zip(points, places, strict=True):
        label = None if p.quiet else _label(p.label, at, height_, taken, width)
        title, circle = tag("title", f"{p.label}: {p.x:.3f}, {p.y:.4f}"), tag("circle", cx=at, cy=height_, r=4.6)
        marks.append(tag("g", title, circle, label, class_=p.css))
    return _svg(
        width,
        height,
        describe,
        *_frame(x, y, columns, lines, tick, plain),
        *marks,
        tag("text", across, x=(left + width) / 2, y=height - 8, class_="axis middle"),
        _sideways(up, 12, (height - 36) / 2),
    )


def _label(text: str, x: float, y: float, taken: list[Box], width: float) -> Markup:
    """A point's name where it covers least: at a side, above or below, or between; noted among the boxes taken."""
    long = LETTER * len(text)
    middle = [(x + side * (9 + long / 2), y + down) for down in (4, -9, 17) for side in (1, -1)]
    middle += [(x, y - 10), (x, y + 19)]
    boxes = {at: (at[0] - long / 2, at[1] - 10, at[0] + long / 2, at[1] + 3) for at in middle}

    def covered(at: tuple[float, float]) -> float:
        left, _, right, _ = boxes[at]
        outside = max(LEFT - left, 0) + max(right - width, 0)
        return sum(_common(boxes[at], other) for other in taken) + 100 * outside

    best = min(middle, key=covered)
    taken.append(boxes[best])
    return tag("text", text, x=round(best[0], 1), y=round(best[1], 1), class_="tag middle")


def _common(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0) * max(down, 0)


def spark(counts: Sequence[int], first: str, last: str, describe: str, height: int = 90) -> Markup:
    """Columns of how many, from the first day to the last."""
    y, width = Scale(0, max(counts, default=0) or 1, height - 20, 6), WIDTH / max(len(counts), 1)
    gap = 1 if width > 3 else 0
    columns = [
        tag("rect", x=round(at * width, 1), y=y(n), width=round(width - gap, 1), height=round(height - 20 - y(n), 1))
        for at, n in enumerate(counts)
    ]
    return _svg(
        WIDTH,
        height,
        describe,
        tag("g", *columns, class_="columns"),
        tag("text", first, x=0, y=height - 4, class_="tick"),
        tag("text", last, x=WIDTH, y=height - 4, class_="tick end"),
    )


def percent(value: float) -> str:
    """A share as whole percent."""
    return f"{100 * value:.4g} %"


def _frame(
    x: Scale, y: Scale, columns: Sequence[float], lines: Sequence[float], across: Format, up: Format
) -> list[Markup]:
    return [
        *(_vertical(x(value), y.end, y.start, "grid") for value in columns),
        *(_horizontal(x.start, x.end, y(value), "grid") for value in lines),
        *(tag("text", across(value), x=x(value), y=y.start + 16, class_="tick middle") for value in columns),
        *(tag("text", up(value), x=x.start - 7, y=y(value) + 4, class_="tick end") for value in lines),
    ]


def _svg(width: float, height: float, describe: str, *parts: Markup) -> Markup:
    box, css = f"0 0 {width:g} {height:g}", "wide" if width == WIDTH else "small"
    return tag("svg", *parts, viewBox=box, role="img", aria_label=describe, class_=css)


def _vertical(x: float, top: float, bottom: float, css: str) -> Markup:
    return tag("line", x1=x, x2=x, y1=top, y2=bottom, class_=css)


def _horizontal(left: float, right: float, y: float, css: str) -> Markup:
    return tag("line", x1=left, x2=right, y1=y, y2=y, class_=css)


def _sideways(text: str, x: float, y: float) -> Markup:
    return tag("text", text, transform=f"rotate(-90 {x:g} {y:g})", x=x, y=y, class_="axis middle")
