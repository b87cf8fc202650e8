"""The report: one file that needs nothing else, whatever a log calls its channels."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from recommender.errors import StoreError
from recommender.settings import Training
from recommender.types import Kind
from training.evaluation import Row
from training.html.markup import Markup, join, tag
from training.html.page import page, write_report
from training.html.plots import Scale, ticks
from training.judgement import Answers, Known, Paper, Sitting, rows_of
from training.report import judgement_table

HOSTILE = """</svg><script src="https://evil.example/x.js">alert('1')</script>&amp;\u202e\u2603"""
VOID = {"meta"}


class Parsed(HTMLParser):
    """A page's elements and texts; refuses what is not closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def rows(kind: Kind, names: tuple[str, ...], n: int = 60, channel: str = "mobile") -> list[Row]:
    """A judgement of rankings each of which is one place worse than the one before."""
    customer, once = np.arange(n), np.arange(n)
    paper = Paper(customer, once, np.full(n, 9), once, once % 7)
    lists = np.tile(np.arange(5), (n, 1))
    answers = {
        name: Answers(np.full(n, place + 1), lists, np.full(n, 0.8) if name == "murmeli" else None)
        for place, name in enumerate(names)
    }
    sat = Sitting(paper, answers)
    known = Known(np.array([30, 20, 10, 5, 1, 0, 3]), 40, {9: channel})
    return rows_of(kind, sat, sat if kind is Kind.CONTENT else None, known)


NAMES = ("murmeli", "most-used", "most-recent", "popularity", "champion", "habit alone")


def document(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a JSON document
    """What `murmeli evaluate --json` prints."""
    curve = [row | {"share": share} for share, row in zip((1.0, 0.5), rows(Kind.FEATURE, ("a", "b")), strict=True)]
    kinds = {kind.value: {"items": 7, "held_from": 86_400_000, "clocked": True} for kind in Kind}
    return {
        "log": {"first": 0, "last": 9 * 86_400_000, "events": 1234, "customers": 60},
        "results": {kind.value: rows(kind, NAMES) for kind in Kind},
        "curves": {"feature": curve},
        "data": {"over_time": [1, 0, 5], "channels": [["mobile", 1.0]], "uses_per_customer": [1, 2, 3], "kinds": kinds},
        "notes": [],
        "seconds": {"judge": 1.0},
    } | changed


CARDS = (
    "Every way to rank",
    "Does it mean what it says?",
    "Would more data help?",
    "For whom does it work?",
    "Challenger against champion",
    "What does accuracy cost?",
    "All figures",
    "What it holds",
    "How to read it",
    "How it was made",
)


def test_the_report_is_whole_html_with_every_part_in_it() -> None:
    parsed = Parsed(page(document(), {"settings": "seed 7"}))
    for part in (*CARDS, "Features", "Content", "one-click rate", "found on the page", "seed 7"):
        assert part in parsed.text, part
    assert parsed.tags.count("svg") == 2 * 7 + 1 + 1  # in both kinds; one curve; the log


def test_the_headline_says_in_words_what_the_figures_say() -> None:
    text = Parsed(page(document(), {})).text
    assert "In 100.0 % of uses (100.0 to 100.0) the feature that was used stood in the first place." in text
    assert "“most used”, reaches 0.0 %: Murmeli is 100.0 points ahead (100.0 to 100.0)." in text
    assert "ahead of every simple rule" in text
    ours, rule = rows(Kind.FEATURE, NAMES[:2])
    behind = [ours, rule | {f"behind{end}": -0.5 for end in ("", "_low", "_high")}]
    assert "behind most used" in Parsed(page(document(results={"feature": behind}), {})).text


def test_the_report_needs_no_network_and_no_script() -> None:
    text = page(document(), {})
    assert "script" not in Parsed(text).tags
    assert not re.search(r"https?://|//[a-z]|@import|url\(", text)


def test_what_a_log_calls_its_channels_is_text_and_nothing_else() -> None:
    hostile = document(results={"feature": rows(Kind.FEATURE, NAMES, channel=HOSTILE)}, notes=[HOSTILE])
    hostile["data"]["channels"] = [[HOSTILE, 1.0]]
    hostile["results"]["feature"][5] |= {"name": f"{HOSTILE} alone", "column": HOSTILE}
    parsed = Parsed(page(hostile, {HOSTILE: HOSTILE}))
    assert "script" not in parsed.tags
    assert "".join(parsed.texts).count(HOSTILE) >= 5
    assert {name for name, _ in parsed.attributes} <= {
        *("lang", "charset", "name", "content", "class", "viewbox", "role", "aria-label", "transform", "points"),
        *("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height"),
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"results": {}, "data": {}, "curves": {}, "notes": ["The log is empty."]},
        {"results": {"content": rows(Kind.CONTENT, NAMES)}, "curves": {}},
        {"results": {"feature": rows(Kind.FEATURE, ("murmeli",), n=1)}, "curves": {}},
        {"results": {"feature": rows(Kind.FEATURE, NAMES[:4])}, "data": {}},
    ],
    ids=["nothing", "one kind", "one question", "no champion"],
)
def test_the_report_says_what_it_can_of_hardly_anything(changed: dict[str, Any]) -> None:
    assert "How well does Murmeli rank?" in Parsed(page(document(**changed), {})).text


def test_a_report_that_cannot_be_written_is_a_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Choose another --report"):
        write_report(tmp_path / "absent" / "r.html", document(), Training())
    write_report(tmp_path / "r.html", document(), Training())
    assert "seed 7" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_table_of_an_older_version_is_shown_as_far_as_it_goes() -> None:
    figures = {"hit@1": 0.4, "hit@3": 0.6, "hit@5": 0.7, "mrr": 0.5, "mrr_low": 0.45, "mrr_high": 0.55, "n": 900}
    old = {"name": "murmeli", **figures}
    console = Console(width=80)
    with console.capture() as captured:
        for kind in Kind:
            console.print(judgement_table(kind, [old, old | {"name": "most-used"}]))
    shown = " ".join(captured.get().split())
    assert shown.count(".400 .600 .700 .500 .450-.550") == 4
    assert "900 uses" in shown


# Markup and axes.


@given(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=20))
def test_any_text_comes_back_out_of_an_element_as_it_went_in(text: str) -> None:
    parsed = Parsed(tag("p", "[", text, "]", title=text))
    assert "".join(parsed.texts) == f"[{text}]"
    assert parsed.attributes == [("title", text)]


def test_markup_is_not_escaped_again_and_nothing_is_nothing() -> None:
    assert join(tag("b", "a < b"), None, 0.5) == Markup("<b>a &lt; b</b>0.5")
    assert tag("p", class_="x", aria_label=None) == '<p class="x"></p>'


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_few_and_span_what_is_shown(low: float, length: float) -> None:
    found = ticks(low, low + length)
    step = found[1] - found[0] if len(found) > 1 else 0
    assert found[0] <= low + 1e-6 * length + 1e-9
    assert found[-1] >= low + length - 1e-6 * length - 1e-9
    assert 1 <= len(found) <= 13
    if step:
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert any(mantissa == pytest.approx(good, rel=1e-3) for good in (1, 2, 2.5, 5, 10))


def test_a_scale_is_straight_and_a_logarithmic_one_counts_doublings() -> None:
    assert [Scale(0, 4, 0, 100)(value) for value in (0, 1, 4)] == [0, 25, 100]
    assert [Scale(1, 16, 0, 100, log=True)(value) for value in (1, 4, 16)] == [0, 50, 100]
    assert Scale(3, 3, 10, 20)(3) == 10
