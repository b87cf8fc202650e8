"""Homes to measure in: features with a model trained for real, content of any size with a made-up one.

The content model has the sources and the shapes that `murmeli train` gives a
catalogue of that size, filled at random: what a page costs depends on the
shapes, and fitting a million items would take hours.
"""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from scipy import sparse

from recommender.bundle import Array, LogRange, Manifest
from recommender.champion import choose
from recommender.events import Defaults
from recommender.history import Context
from recommender.model import KindModel, Model, column_names, model_arrays, model_kinds, untrained
from recommender.plugins import registry_at
from recommender.ranker import Ranker
from recommender.registry import MAIN, Registry
from recommender.settings import Settings, load_settings
from recommender.sources import SOURCES
from recommender.sources.base import Source, from_arrays
from recommender.stores import open_store
from recommender.stores.base import Item
from recommender.tokens import pieces_of, tokens_of
from recommender.types import FloatArray, Kind, codes64

FEATURES = 200
LENGTHS = {500: 200, 4_096: 20, 16_384: 10}
"""Events of a customer, and how many such customers there are."""
FAVOURITES = 30
STAY = 0.7
"""How often the next step is the usual one after the last."""
START = 1_750_000_000_000
STEP = 20 * 60_000

DIMENSIONS = 128
NEIGHBOURS = 50
USES = 50
"""Of a customer of content."""
CUSTOMERS = 200

Rng = np.random.Generator


def customers_of(length: int) -> list[str]:
    """The customers of the features' home who have so many events."""
    return [f"crm:{length}-{number}" for number in range(LENGTHS[length])]


def make_features_home(home: Path) -> None:
    """200 features, customers with habits of their own, and the model that `murmeli train` makes of their log."""
    from training.pipeline import train

    rng, settings = np.random.default_rng(7), Settings()
    rows = [
        (START + number * STEP, customer, item)
        for length in LENGTHS
        for customer in customers_of(length)
        for number, item in enumerate(_steps(rng, length))
    ]
    _import(home, rows, Kind.FEATURE)
    with closing(open_store(home, strong=settings.strong)) as store:
        train(store, Registry(home / "models"), settings, promote=True, progress=lambda *_: None)


def make_crowd(home: Path, features: Path, customers: int) -> None:
    """The features' home with so many more customers, of three events each."""
    shutil.copytree(features, home)
    rng = np.random.default_rng(7)
    what = rng.choice(FEATURES, (customers, 3), p=_zipf(FEATURES))
    rows = [
        (START + n * STEP, f"crm:crowd-{who}", f"feature-{f}")
        for who, own in enumerate(what)
        for n, f in enumerate(own)
    ]
    _import(home, rows, Kind.FEATURE)


def _steps(rng: Rng, length: int) -> list[str]:
    """What one customer does: mostly the usual next step, else one of the favourites."""
    favourites = rng.choice(FEATURES, FAVOURITES, replace=False, p=_zipf(FEATURES))
    after, drawn = rng.permutation(FAVOURITES), rng.choice(FAVOURITES, length, p=_zipf(FAVOURITES))
    stays, now, steps = rng.random(length) < STAY, 0, []
    for other, stay in zip(drawn.tolist(), stays.tolist(), strict=True):
        now = int(after[now]) if stay else other
        steps.append(f"feature-{favourites[now]}")
    return steps


def _zipf(size: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    share = 1 / np.arange(1, size + 1)
    return np.asarray(share / share.sum())


def make_content_home(home: Path, items: int) -> None:
    """So many content items, a model of them, and customers who used some."""
    rng = np.random.default_rng(7)
    names = [f"item-{number}" for number in range(items)]
    used = rng.choice(items, (CUSTOMERS, USES))
    rows = [(START + n * STEP, f"crm:{who}", names[item]) for who, own in enumerate(used) for n, item in enumerate(own)]
    _import(home, rows, Kind.CONTENT)
    publish_content(home, in_order(names), rng)


def make_described_home(home: Path, items: int) -> None:
    """So many content items with titles and attributes, a model that goes by these too, customers who used some."""
    from training.dataset import items_of
    from training.fit.attributes import fit_attributes
    from training.fit.text import fit_text

    rng = np.random.default_rng(7)
    names = in_order([f"item-{number}" for number in range(items)])
    used = rng.choice(items, (CUSTOMERS, USES))
    rows = [(START + n * STEP, f"crm:{who}", names[item]) for who, own in enumerate(used) for n, item in enumerate(own)]
    _import(home, rows, Kind.CONTENT)
    described = describe(names, rng)
    with closing(open_store(home, strong=Settings().strong)) as store:
        for at in range(0, items, 1000):
            store.items.put(described[at : at + 1000])
    shelf = items_of(names, [tokens_of(item) for item in described], [pieces_of(item) for item in described])
    counts = sparse.csr_array(
        (np.ones(used.size, np.float32), used.ravel(), np.arange(0, used.size + 1, USES)), shape=(CUSTOMERS, items)
    )
    publish_content(home, names, rng, more=(fit_attributes(counts, shelf), fit_text(shelf)))


def describe(names: Sequence[str], rng: Rng) -> list[Item]:
    """Entries of a catalogue: titles of four words, some of which many share, a category, a brand and a price."""
    words = max(500, len(names) // 20)
    title = rng.choice(words, (len(names), 4), p=_zipf(words))
    category, brand = rng.integers(0, 40, len(names)), rng.integers(0, 2_000, len(names))
    price = rng.integers(100, 10_000, len(names)) / 100
    return [
        Item(
            name,
            Kind.CONTENT,
            " ".join(f"word{word}" for word in title[n]),
            {"category": f"category-{category[n]}", "brand": f"brand-{brand[n]}", "price": float(price[n])},
        )
        for n, name in enumerate(names)
    ]


def in_order(names: Sequence[str]) -> list[str]:
    """Names in the order of their codes, as a model has them."""
    return [names[at] for at in np.argsort(codes64(names))]


def make_page_home(home: Path, features: Path, items: int) -> None:
    """The features' home with so many content items as well, described, and placements that ask for much."""
    shutil.copytree(features, home)
    (home / "murmeli.toml").write_text(_PAGE_SETTINGS, "utf-8")
    rng, names = np.random.default_rng(7), [f"item-{number}" for number in range(items)]
    customers = customers_of(500)
    used = rng.choice(items, (len(customers), USES))
    rows = [
        (START + n * STEP + STEP // 2, who, names[at])
        for who, own in zip(customers, used, strict=True)
        for n, at in enumerate(own)
    ]
    _import(home, rows, Kind.CONTENT)
    margins = rng.random(items).round(3).tolist()
    described = [
        Item(name, Kind.CONTENT, f"About {name}", {"category": f"category-{n % 10}", "margin": margins[n]})
        for n, name in enumerate(names)
    ]
    settings = load_settings(home)
    with closing(open_store(home, strong=settings.strong)) as store:
        for at in range(0, items, 1000):
            store.items.put(described[at : at + 1000])
    publish_content(home, in_order(names), rng, choose(registry_at(home, settings)).model)


_PAGE_SETTINGS = """
[placements."home.features"]
kind = "feature"
size = 6

[placements."home.content"]
kind = "content"
size = 20
filter = 'category in ["category-1", "category-2", "category-3", "category-4", "category-5"] and margin > 0.05'
boosts = [{when = 'margin > 0.7', by = 1.5}]
cap = 1000
implied = true
"""
"""The cap is high, so that what is capped does not depend on how long the load lasts; it counts all the same."""


def publish_content(
    home: Path, names: Sequence[str], rng: Rng, beside: Model | None = None, more: Sequence[Source] = ()
) -> int:
    """Publish a model of these items, in order of their codes, and put it in use; its number.

    beside: of features. more: sources beside the usual ones.
    """
    sources = (*_sources(len(names), rng), *more)
    columns = column_names(sources)
    weights = np.ones((1, len(columns)), np.float32)
    content = KindModel(codes64(names), names, sources, Ranker(columns, weights))
    model = Model({**(beside or untrained()).kinds, Kind.CONTENT: content})
    span = LogRange(first=START, last=START, events=CUSTOMERS * USES, customers=CUSTOMERS)
    manifest = Manifest(code_version="benchmark", seed=7, configuration={}, log=span, kinds=model_kinds(model))
    registry = Registry(home / "models")
    return registry.promote(MAIN, registry.publish(MAIN, model_arrays(model), manifest))


def _sources(items: int, rng: Rng) -> tuple[Source, ...]:
    """Popularity, neighbours, factors and the graph, as for a log without a clock."""

    def table(*shape: int) -> FloatArray:
        return np.asarray((rng.random(shape, np.float32) - 0.5) / 8, np.float32)

    waves = min(DIMENSIONS, items // 4)
    graph, often = table(items, 2 * waves), np.sqrt(1 + rng.integers(0, 100, (items, 1), np.int32)).astype(np.float32)
    share = np.log(_zipf(items)).astype(np.float32)
    near = np.sort(rng.integers(0, items, (items, NEIGHBOURS), np.int32), axis=1).ravel()
    made: dict[str, dict[str, Array]] = {
        "popularity": {"log_share": rng.permutation(share), "new": np.array(share.min(), np.float32)},
        "neighbours": {
            "starts": np.arange(items + 1, dtype=np.int64) * NEIGHBOURS,
            "item": near,
            "weight": rng.random(near.size, np.float32),
        },
        "factors": {
            "factors": table(items, waves),
            "gram": np.eye(waves, dtype=np.float32) * items / 100,
            "inverse": np.eye(waves, dtype=np.float32) * 100 / items,
            "alpha": np.array(40, np.float32),
            "worth": rng.random(items, np.float32),
        },
        "graph": {
            "used": graph / often,
            "found": graph * often,
            "spread": table(2 * waves, waves),
            "region": np.ascontiguousarray(graph[:, :waves]),
        },
    }
    return tuple(from_arrays(SOURCES[name], arrays) for name, arrays in made.items())


def _import(home: Path, rows: Sequence[tuple[int, str, str]], kind: Kind) -> None:
    from training.importers import import_events

    home.mkdir(parents=True, exist_ok=True)
    log = home / "log.csv"
    log.write_text("at,customer,item\n" + "".join(f"{at},{who},{what}\n" for at, who, what in sorted(rows)), "utf-8")
    with closing(open_store(home, strong=Settings().strong)) as store:
        import_events(
            store.events, [log], zone=ZoneInfo("UTC"), defaults=Defaults("use", kind), rejects_path=home / "rejects"
        )


NOW = Context(now=START + 20_000 * STEP)
"""When questions are asked: after everything."""
