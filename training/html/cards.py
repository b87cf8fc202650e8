"""One kind's part of the report: cards, each a question that a reader has and the picture that answers it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from recommender.gate import PRIMARY
from recommender.types import Kind, instant
from training.html.markup import Markup, join, tag
from training.html.plots import Line, Mark, Point, bars, curve, dots, percent, plain, reliability, scatter
from training.judge import CHAMPION, MURMELI
from training.judgement import SHOWN

Row = Mapping[str, Any]
Rows = Sequence[Row]

RULES = ("most-used", "most-recent", "popularity")
"""The baselines that need no model."""

TITLES = {Kind.FEATURE: "Features", Kind.CONTENT: "Content"}

ASKED = {
    Kind.FEATURE: "what will this customer use next?",
    Kind.CONTENT: "what will this customer want in the time ahead?",
}

ELSE = "what else would this customer use?"
"""What is asked of a log without a clock."""

MEASURES = {"mrr": "mean reciprocal rank", "ndcg@20": "NDCG of a page of 20"}

HEADLINE = {Kind.FEATURE: "hit@1", Kind.CONTENT: "recall@20"}
"""What the large figure is."""

WORDS = {
    "hit@1": ("one-click rate", "In {} of uses ({}) the feature that was used stood in the first place."),
    "recall@20": ("found on the page", "A page of 20 held {} ({}) of what its customer went on to use."),
}


def cards_of(kind: Kind, rows: Rows, curve_rows: Rows | None, data: Mapping[str, Any]) -> Markup:
    """Everything about one kind. rows: its judgement; curve_rows: its learning curve; data: what the log has of it."""
    return join(
        tag("h2", f"{TITLES[kind]}: {ASKED[kind] if data.get('clocked', True) else ELSE}"),
        _headline(kind, rows, data),
        _ranking(kind, rows),
        tag("div", _calibration(rows[0]), _learning(kind, curve_rows), class_="pair"),
        _slices(kind, rows),
        _challenge(kind, rows),
        _tradeoff(kind, rows),
        _table(kind, rows),
    )


def card(title: str, about: Markup | str, *contents: Markup) -> Markup:
    """A question, a sentence or two, and what answers it."""
    return tag("section", tag("h3", title), tag("p", about, class_="about"), *contents, class_="card")


# The headline.


def _headline(kind: Kind, rows: Rows, data: Mapping[str, Any]) -> Markup:
    measure, ours, rule = HEADLINE[kind], rows[0], _best_rule(rows, HEADLINE[kind])
    name, sentence = WORDS[measure]
    said = [sentence.format(_share(ours[measure]), _range(ours, measure))]
    lines = [("Murmeli", value_of(ours, measure), MURMELI)]
    if rule is not None:
        said.append(_against(rule, measure))
        lines.append((name_of(rule), value_of(rule, measure), "baseline"))
    if kind is Kind.CONTENT:
        said.append(f"Its one-click rate, the share of uses whose item stood first, is {_share(ours['hit@1'])}.")
    since = f"from {day(data['held_from'])} on" if data.get("held_from") else "drawn at random"
    asked = f"{ours['steps']:,} uses" + (f" and the pages of {ours['n']:,} customers" if kind is Kind.CONTENT else "")
    number = tag("div", tag("div", _share(ours[measure]), class_="big"), tag("div", name, class_="soft"))
    words = tag(
        "div",
        tag("p", *_verdict(rows)),
        tag("p", " ".join(said), class_="said"),
        tag("figure", bars(lines, f"{name} of Murmeli and of the best simple rule")),
        tag("p", f"{asked} were asked for, {since}; training did not see them.", class_="soft"),
    )
    return tag("section", tag("div", number, words, class_="hero"), class_="card")


def _against(rule: Row, measure: str) -> str:
    lead, low, high = (100 * value_of(rule, f"behind_{measure}{end}") for end in ("", "_low", "_high"))
    best = f"The best simple rule, “{name_of(rule)}”, reaches {_share(rule[measure])}"
    if low > 0:
        return f"{best}: Murmeli is {lead:.1f} points ahead ({low:.1f} to {high:.1f})."
    if high < 0:
        return f"{best}: Murmeli is {-lead:.1f} points behind ({-high:.1f} to {-low:.1f})."
    return f"{best}: the difference is not clear ({low:+.1f} to {high:+.1f} points)."


def _verdict(rows: Rows) -> list[Markup]:
    """One chip for the simple rules together, one for the champion."""
    chips = []
    standing = {name_of(row): _standing(row) for row in rules_of(rows)}
    for css, word in (("behind", "behind"), ("even", "not clearly ahead of")):
        names = [name for name, found in standing.items() if found == css]
        if names:
            chips.append((css, f"{word} {' and '.join(names)}"))
    if standing and set(standing.values()) == {"ahead"}:
        chips.append(("ahead", "ahead of every simple rule"))
    champion = named(rows, CHAMPION)
    if champion is not None:
        css = _standing(champion)
        words = {"ahead": "ahead of the champion", "behind": "behind the champion", "even": "level with the champion"}
        chips.append((css, "the champion's own settings" if _same(champion) else words[css]))
    return [join(tag("span", text, class_=f"chip {css}"), " ") for css, text in chips]


def _standing(row: Row) -> str:
    """Whether Murmeli is ahead of this ranking, behind it, or neither, beyond its interval."""
    if value_of(row, "behind_low") > 0:
        return "ahead"
    return "behind" if value_of(row, "behind_high") < 0 else "even"


def _same(champion: Row) -> bool:
    """Whether the champion answered exactly as Murmeli did."""
    return value_of(champion, "behind_low") == value_of(champion, "behind_high") == 0


# All rankings.


def _ranking(kind: Kind, rows: Rows) -> Markup:
    measure = PRIMARY[kind]
    known = [row for row in rows if row[measure] is not None]
    known.sort(key=lambda row: -row[measure] if css_of(row) == "alone" else -math.inf)
    lines = [Line(name_of(row), [_mark(row, measure, css_of(row))], _decimal(row[measure])) for row in known]
    about = f"{_sentence(MEASURES[measure])}, with its 95 % interval. Right is better."
    plot = dots(lines, MEASURES[measure], describe=f"{MEASURES[measure]} of every ranking")
    return card("Every way to rank, on the same questions", about, tag("figure", plot))


def _table(kind: Kind, rows: Rows) -> Markup:
    heads = ["leads by", "one click", "first 3", "first 5", "MRR", "recall@20", "NDCG@20", "MAP", "coverage", "novelty"]
    head = tag("tr", *(tag("th", name) for name in ("", f"Murmeli {heads[0]}", *heads[1:], "Gini")))
    about = (
        f"The lead is in {MEASURES[PRIMARY[kind]]}. Small: 95 % intervals, and the column by which a source ranked. "
        f"Coverage, novelty and Gini are of the first {SHOWN[kind]} places."
    )
    body = tag("tbody", *map(_table_row, rows))
    return card("All figures", about, tag("div", tag("table", tag("thead", head), body), class_="scroll"))


def _table_row(row: Row) -> Markup:
    ends, css = tag("small", _interval(row, "behind")), _standing(row) if "behind" in row else None
    measured = ("mrr", "recall@20", "ndcg@20")
    return tag(
        "tr",
        tag("td", name_of(row), tag("small", row["column"]) if "column" in row else None),
        tag("td", _decimal(row.get("behind"), "+"), ends, class_=css),
        tag("td", _share(row["hit@1"]), tag("small", _range(row, "hit@1"))),
        *(tag("td", _share(row[name])) for name in ("hit@3", "hit@5")),
        *(tag("td", _decimal(row[name]), tag("small", _interval(row, name))) for name in measured),
        tag("td", _decimal(row["map"])),
        tag("td", _share(row["coverage"])),
        tag("td", "" if row["novelty"] is None else f"{row['novelty']:.1f}"),
        tag("td", _decimal(row["gini"])),
        class_=css_of(row),
    )


# Calibration and learning.


def _calibration(ours: Row) -> Markup:
    title = "Does it mean what it says?"
    if not ours.get("reliability"):
        return card(title, "It says nothing that could be compared.")
    about = (
        "Of what stands first with a score of 40 %, 40 in 100 should be used next. On average it is "
        f"{100 * value_of(ours, 'ece'):.1f} points off (expected calibration error). On the dashed line it is right."
    )
    return card(title, about, tag("figure", reliability(ours["reliability"], "stated against observed frequency")))


def _learning(kind: Kind, rows: Rows | None) -> Markup:
    title, measure = "Would more data help?", PRIMARY[kind]
    ours = sorted((r for r in rows or [] if r.get("share") and r[measure] is not None), key=lambda row: row["share"])
    if len(ours) < 2:
        return card(
            title, join("No learning curve was drawn. ", tag("code", "murmeli evaluate --curve"), " asks for it.")
        )
    points = [
        Point(row["share"], row[measure], MURMELI, percent(row["share"]), row[f"{measure}_low"], row[f"{measure}_high"])
        for row in ours
    ]
    rule = named(rows or [], "most-used")
    rival = Point(0, rule[measure], "baseline", "most used") if rule and rule[measure] is not None else None
    about = (
        "Trained on the newest part only of what came before, judged on "
        f"{ours[0]['n']:,} questions. Where the line still climbs at the right, a longer log would help."
    )
    plot = curve(points, rival, "share of the earlier log", MEASURES[measure], "learning curve")
    return card(title, about, tag("figure", plot))


# Slices and the champion.


def _slices(kind: Kind, rows: Rows) -> Markup:
    measure, ours = PRIMARY[kind], rows[0]
    champion = named(rows, CHAMPION)
    rival = _best_rule(rows, measure) if champion is None or _same(champion) else champion
    title = "For whom does it work?"
    if rival is None or not ours.get("slices"):
        return card(title, "There is nothing to divide.")
    lines = []
    for name, part in ours["slices"].items():
        pair = [(part, MURMELI, "Murmeli"), (rival["slices"].get(name, {}), css_of(rival), name_of(rival))]
        marks = [_mark(one, measure, css, who) for one, css, who in pair if one.get(measure) is not None]
        lines.append(Line(name, marks, f"{part['n']:,}"))
    key = tag("p", _key(MURMELI, "Murmeli"), _key(css_of(rival), name_of(rival)), class_="key")
    about = (
        f"{_sentence(MEASURES[measure])}; at the right how many questions. New customers had fewer than 5 uses before, "
        "light ones fewer than 50. New items were first used after training."
    )
    plot = dots(lines, MEASURES[measure], describe=f"{MEASURES[measure]} of each slice")
    return card(title, about, key, tag("figure", plot))


def _challenge(kind: Kind, rows: Rows) -> Markup:
    champion, title = named(rows, CHAMPION), "Challenger against champion"
    if champion is None:
        return card(title, "There is no champion to compare with: the first model that is trained becomes it.")
    if _same(champion):
        about = "These are the champion's own settings: fitted on the same, they rank the same. What a change in "
        return card(
            title, join(about, tag("code", "murmeli.toml"), " is worth will show here, before it is published.")
        )
    lines = [_lead("everything", champion, champion["n"])]
    lines += [_lead(name, part, part["n"]) for name, part in champion["slices"].items() if part["behind"] is not None]
    about = (
        "How far these settings are ahead of the champion's, fitted on the same part of the log, in "
        f"{MEASURES[PRIMARY[kind]]}, question by question. Right of the line is better; across it nothing is decided."
    )
    plot = dots(lines, f"lead in {MEASURES[PRIMARY[kind]]}", zero=True, describe="lead over the champion")
    return card(title, about, tag("figure", plot))


def _lead(label: str, part: Row, n: int) -> Line:
    css = {"ahead": "good", "behind": "bad", "even": "flat"}[_standing(part)]
    return Line(label, [_mark(part, "behind", css)], f"{n:,}")


def _tradeoff(kind: Kind, rows: Rows) -> Markup:
    measure = PRIMARY[kind]
    shown = [row for row in reversed(rows) if row[measure] is not None and row["novelty"] is not None]
    shown = [row for row in shown if row["name"] != CHAMPION or not _same(row)]
    plots = []
    for name, across, tick in (
        ("coverage", "share of the catalogue shown", percent),
        ("novelty", "novelty, bits", plain),
    ):
        points = [
            Point(row[name], row[measure], css_of(row), name_of(row), quiet=css_of(row) == "alone") for row in shown
        ]
        if points:
            plots.append(tag("figure", scatter(points, across, MEASURES[measure], f"{measure} against {name}", tick)))
    about = (
        "How much of the catalogue anybody is shown, and how far from the obvious that is. Up is more accurate, right "
        "is more varied; the pale points are single sources."
    )
    return card("What does accuracy cost?", about, tag("div", *plots, class_="pair"))


# Small things.


def rules_of(rows: Rows) -> list[Row]:
    """The simple rules among the rows."""
    return [row for row in rows if row["name"] in RULES]


def named(rows: Rows, name: str) -> Row | None:
    """The row of this name."""
    return next((row for row in rows if row["name"] == name), None)


def css_of(row: Row) -> str:
    """What a ranking is, as the style sheet calls it."""
    name = str(row["name"])
    return name if name in (MURMELI, CHAMPION) else "alone" if "column" in row else "baseline"


def name_of(row: Row) -> str:
    """A ranking's name for a reader."""
    name = str(row["name"])
    return {MURMELI: "Murmeli", "popularity": "most popular"}.get(name, name.replace("-", " "))


def value_of(row: Row, name: str) -> float:
    """A figure, 0 where there is none."""
    return float(row.get(name) or 0)


def day(time: int) -> str:
    """The day of an instant."""
    return instant(time)[:10]


def _best_rule(rows: Rows, measure: str) -> Row | None:
    return max(rules_of(rows), key=lambda row: value_of(row, measure), default=None)


def _mark(row: Row, measure: str, css: str, who: str = "") -> Mark:
    low, high = row.get(f"{measure}_low"), row.get(f"{measure}_high")
    title = f"{who} {_decimal(row[measure])} ({_interval(row, measure)})".strip()
    return Mark(row[measure], low, high, css, title)


def _key(css: str, text: str) -> Markup:
    return tag("span", tag("i", class_=css), text)


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _decimal(value: float | None, sign: str = "") -> str:
    """Three places without the zero before the point; sign: "+" to show it always."""
    return "" if value is None else f"{value:{sign}.3f}".replace("0.", ".", 1)


def _interval(row: Row, name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else f"{_decimal(low)} to {_decimal(high)}"


def _range(row: Row, name: str) -> str:
    """The interval of a share, in percent."""
    return f"{100 * value_of(row, name + '_low'):.1f} to {100 * value_of(row, name + '_high'):.1f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
