"""An evaluation as one page that a data scientist can show to anybody: figures, pictures, and what they mean."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recommender.errors import StoreError
from recommender.settings import Training
from recommender.types import Kind
from training.html.cards import card, cards_of, day
from training.html.markup import Markup, join, tag
from training.html.plots import spark

STYLE = Path(__file__).with_name("style.css")

MEANINGS = {
    "one click (hit@1)": "the share of uses whose item stood in the first place.",
    "first 3, first 5": "the share of uses whose item stood among the first three, the first five.",
    "MRR": "the mean of 1 / place of the item that was used: 1 where it is always first, 0.5 where always second.",
    "recall@20": "the share of what a customer used that a page of 20 held.",
    "NDCG@20": "the same, with the upper places of the page worth more; 1 is the best possible order.",
    "MAP": "mean average precision over the first 20 places.",
    "coverage": "the share of the catalogue that was shown to anybody.",
    "novelty": "how surprising the shown items are: one bit more, and half as many customers had used them before.",
    "Gini": "how unequally items are shown, from 0, all alike, to 1, one takes all.",
    "interval": "made so that 95 in 100 hold the true value, by drawing the customers anew 1,000 times (blocks of time "
    "where there are fewer than 30 customers). A lead is taken question by question, so its interval is narrower than "
    "those of the two values.",
    "alone": "one of Murmeli's sources by itself, by its best column, chosen in its favour on these very questions.",
}


def write_report(path: Path, document: Mapping[str, Any], settings: Training) -> None:
    """Write the page of an evaluation with these settings. StoreError where it cannot be written."""
    about = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": f"Murmeli {version('murmeli')}, Python {platform.python_version()}, numpy {version('numpy')}",
        "settings": ", ".join(f"{name} {value}" for name, value in settings.model_dump(mode="json").items()),
        "time taken": ", ".join(f"{part} {seconds:.1f} s" for part, seconds in document["seconds"].items()),
    }
    try:
        path.write_text(page(document, about), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Choose another --report.") from error


def page(document: Mapping[str, Any], about: Mapping[str, str]) -> str:
    """The page. document: what `murmeli evaluate --json` prints. about: what the foot says of how it was made."""
    data, results, curves = document.get("data", {}), document["results"], document.get("curves", {})
    judged = [kind for kind in (Kind.FEATURE, Kind.CONTENT) if results.get(kind)]
    body = tag(
        "main",
        _head(document),
        *(cards_of(kind, results[kind], curves.get(kind), data.get("kinds", {}).get(kind, {})) for kind in judged),
        _log(document["log"], data) if data else None,
        _foot(about),
    )
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", "Murmeli: evaluation"),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _head(document: Mapping[str, Any]) -> Markup:
    log = document["log"]
    what = f"{log['events']:,} events of {log['customers']:,} customers, {day(log['first'])} to {day(log['last'])}. "
    lead = (
        "All figures are of a part of the log that training did not see. Each question was asked as serving would have "
        "been asked, before the answer was known; every way to rank was asked the same."
    )
    none = "Nothing could be judged: no use could be held back."
    return join(
        tag("h1", "How well does Murmeli rank?"),
        tag("p", what + (lead if document["results"] else none), class_="lead"),
        *(tag("p", note, class_="lead") for note in document["notes"]),
    )


def _log(log: Mapping[str, Any], data: Mapping[str, Any]) -> Markup:
    low, middle, high = data["uses_per_customer"] or (0, 0, 0)
    tiles = [
        (f"{log['events']:,}", "events"),
        (f"{log['customers']:,}", "customers"),
        *((f"{kind['items']:,}", f"items of kind {name}") for name, kind in data["kinds"].items()),
        (f"{middle:,.0f}", f"uses of a middle customer; 8 in 10 have {low:,.0f} to {high:,.0f}"),
    ]
    channels = ", ".join(f"{name} {share:.0%}" for name, share in data["channels"])
    picture = tag("p", "The log has no clock: what came before what is not known.", class_="soft")
    if len(data["over_time"]) > 1:
        over_time = spark(data["over_time"], day(log["first"]), day(log["last"]), "events over time")
        picture = tag("figure", over_time)
    shown = tag("div", *(tag("div", tag("b", value), tag("span", name)) for value, name in tiles), class_="tiles")
    return join(
        tag("h2", "The log behind it"),
        card("What it holds", f"Channels: {channels}.", shown, picture),
    )


def _foot(about: Mapping[str, str]) -> Markup:
    return join(
        tag("h2", "How to read it"),
        tag("section", _defined(MEANINGS), class_="card"),
        tag("footer", tag("h3", "How it was made"), _defined(about)),
    )


def _defined(words: Mapping[str, str]) -> Markup:
    return tag("dl", *(join(tag("dt", word), tag("dd", text)) for word, text in words.items()))
