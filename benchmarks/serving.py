"""Pages over HTTP under load, beside constant answers of FastAPI and of a bare ASGI application in the same run.

    python -m benchmarks.serving [--seconds 5] [--items 1000 10000 100000] [--folder FOLDER]

The machine is shared with the load generator, so the server's CPU time per call
is the figure, and its ratio to FastAPI's constant answer; rate and latency are
shown beside it. Features: 200, the model trained for real on a simulated log,
customers with 500, 4,096 and 16,384 events. Content: see benchmarks/world.py.
Latency is to be read at half of the rate that saturates the server: 64 clients
who pause between calls.
With --folder the homes stay there for the next run; 1000000 items take 3.3 GB.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import Call, Seen, Target, load, server, serving, shared
from benchmarks.measure import print_table
from benchmarks.world import (
    CUSTOMERS,
    LENGTHS,
    customers_of,
    make_content_home,
    make_features_home,
    make_page_home,
)

FLOOR = "from benchmarks.serving import floor; floor()"
BARE = "from benchmarks.serving import bare; bare()"
CONNECTIONS = 64
ON_THE_PAGE = 10_000
"""Content items, beside 200 features, behind the whole page."""
SHARE = 0.5
"""Of the rate at saturation: where a page's latency is measured."""
PAGE = "/v1/recommend"
HEAD = ("call", "connections", "calls/s", "server CPU us/call", "ratio", "p50 ms", "p99 ms", "not 200")


def _constant() -> dict[str, Any]:
    items = [{"item": f"feature-{n}", "score": 0.123456, "reason": "habit", "propensity": 1.0} for n in range(6)]
    slots = [{"placement": "home.features", "items": items}]
    return {"recommendation_id": "0" * 32, "model": "main/1", "degraded": [], "slots": slots}


def _listen(app: Any) -> None:  # noqa: ANN401 - an ASGI application
    import uvicorn

    from serving.bootstrap import listen, say, url_of

    listener = listen("127.0.0.1", 0)
    say(url_of(listener))
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error")).run(sockets=[listener])


def floor() -> None:
    """The service's own models around a constant, on bare FastAPI."""
    from fastapi import FastAPI

    from serving.answers import RecommendationOut
    from serving.schemas import RecommendCall

    app, constant = FastAPI(), _constant()

    @app.post(PAGE, response_model=RecommendationOut)
    async def recommend(_: RecommendCall) -> dict[str, Any]:
        return constant

    _listen(app)


def bare() -> None:
    """The same constant, made JSON anew each time, with nothing in front."""
    constant = _constant()

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] == "http":
            orjson.loads((await receive())["body"])
            body = orjson.dumps(constant)
            headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    _listen(app)


def page_of(customers: list[str], *slots: tuple[str, int]) -> Call:
    """Pages with these slots, of customers drawn at random."""
    draw = random.Random(7)  # noqa: S311 - not a secret
    wanted = [{"placement": placement, "k": k} for placement, k in slots]

    def body() -> object:
        return {"customer": draw.choice(customers), "slots": wanted, "context": {"channel": "mobile"}}

    return PAGE, body


def measure(rows: list[list[object]], target: Target, name: str, call: Call, seconds: float) -> Seen:
    """Warm up, load, note."""
    asyncio.run(load(target, call, 8, 0.5))
    seen = asyncio.run(load(target, call, CONNECTIONS, seconds))
    alone = asyncio.run(load(target, call, 2, seconds / 2))
    rows.append([name, CONNECTIONS, seen.rate, seen.cpu, seen.cpu, seen.p50, seen.p99, seen.wrong])
    rows.append([name, 2, alone.rate, alone.cpu, alone.cpu, alone.p50, alone.p99, alone.wrong])
    some, pause = shared(seen.rate, SHARE, CONNECTIONS)
    half = asyncio.run(load(target, call, some, 2 * seconds, pause))
    rows.append([f"{name}, half the rate", some, half.rate, half.cpu, half.cpu, half.p50, half.p99, half.wrong])
    return seen


def pages(folder: Path, items: list[int]) -> Iterator[tuple[str, Path, Call, int]]:
    """What is measured of Murmeli: a name, a home, the call, and the workers."""
    features = folder / "features"
    if not features.exists():
        make_features_home(features)
    for length in LENGTHS:
        yield f"6 of 200 features, {length:,} events", features, page_of(customers_of(length), ("home.features", 6)), 1
    yield "the same, 500 events, 2 workers", features, page_of(customers_of(500), ("home.features", 6)), 2
    whole = folder / f"page-{ON_THE_PAGE}"
    if not whole.exists():
        make_page_home(whole, features, ON_THE_PAGE)
    slots = ("home.features", 6), ("home.content", 20)
    name = f"a whole page: 6 of 200 features and 20 of {ON_THE_PAGE:,} items, filtered, boosted, capped"
    yield name, whole, page_of(customers_of(500), *slots), 1
    for size in items:
        home = folder / f"content-{size}"
        if not home.exists():
            make_content_home(home, size)
        customers = [f"crm:{number}" for number in range(CUSTOMERS)]
        yield f"20 of {size:,} content items", home, page_of(customers, ("home.content", 20)), 1
    yield "the same, 2 workers", home, page_of(customers, ("home.content", 20)), 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        call = page_of(["crm:1"], ("home.features", 6))
        with server(BARE) as target:
            measure(rows, target, "raw ASGI, constant answer", call, chosen.seconds)
        with server(FLOOR) as target:
            unit = measure(rows, target, "FastAPI response_model, constant answer", call, chosen.seconds).cpu
        for name, home, body, workers in pages(chosen.folder or Path(scratch), chosen.items):
            with serving(home, workers) as target:
                measure(rows, target, name, body, chosen.seconds)
    for row, number in zip(rows, count(), strict=False):
        rows[number] = [*row[:4], f"{float(str(row[4])) / unit:.2f}", *row[5:]]
    print_table(HEAD, rows)


if __name__ == "__main__":
    main()
