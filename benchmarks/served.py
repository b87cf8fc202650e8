"""Is what is served what was measured? The top-n benchmark through `/v1/recommend`, beside the same model in memory.

    python -m benchmarks.served --train FILE --test FILE [--customers 2000]

The training pairs are imported into a new home, the model is fitted, published through the registry and mapped from
its files by the service, whose application is then asked for a page of each of some customers of the test file.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import numpy as np
from scipy import sparse

from benchmarks.measure import key_to, print_table
from recommender.bundle import LogRange, Manifest
from recommender.champion import promote
from recommender.events import Defaults
from recommender.model import KindModel, Model, model_arrays, model_kinds, untrained
from recommender.ranker import Ranker
from recommender.registry import MAIN, Registry
from recommender.settings import Training, load_settings
from recommender.sources.base import Source
from recommender.stores import store_of
from recommender.types import IntArray, Kind
from serving.app import create_app
from serving.bootstrap import build
from training.evaluation import Row
from training.fit.content import fit_content
from training.importers import import_events
from training.top_n import Task, asked, judge, ranking_of, read_task, top_lists

SETTINGS = '[placements."home.content"]\nkind = "content"\nsize = 20\nhide_used = true\n'
AT = 1_750_000_000_000
"""When everything was used: the files have no clock."""


def sample(task: Task, customers: int, seed: int = 7) -> Task:
    """The same task with so many of its customers to judge by."""
    chosen = np.random.default_rng(seed).permutation(asked(task))[:customers]
    kept = np.zeros(task.test.shape[0], np.float32)
    kept[chosen] = 1
    test = sparse.csr_array(sparse.diags_array(kept) @ task.test)
    test.eliminate_zeros()
    return replace(task, test=test)


def furnish(home: Path, task: Task, sources: Sequence[Source], ranker: Ranker) -> None:
    """A home with the training pairs in its store and the model as its champion."""
    (home / "murmeli.toml").write_text(SETTINGS, encoding="utf-8")
    log = home / "log.csv"
    pairs = zip(*task.train.nonzero(), strict=True)
    log.write_text("customer,item\n" + "".join(f"{who},{task.items.ids[int(what)]}\n" for who, what in pairs), "utf-8")
    settings = load_settings(home)
    store = store_of(home, settings)
    defaults = Defaults("use", Kind.CONTENT, None, AT)
    import_events(store.events, [log], zone=ZoneInfo("UTC"), defaults=defaults, rejects_path=home / "rejects.jsonl")
    store.close()
    content = KindModel(task.items.codes, task.items.ids, tuple(sources), ranker)
    model = Model({**untrained().kinds, Kind.CONTENT: content})
    span = LogRange(first=AT, last=AT, events=task.train.nnz, customers=task.train.shape[0])
    manifest = Manifest(code_version="benchmark", seed=7, configuration={}, log=span, kinds=model_kinds(model))
    registry = Registry(home / "models")
    promote(registry, registry.publish(MAIN, model_arrays(model), manifest), force="a benchmark of its serving")


async def served_lists(home: Path, task: Task, customers: IntArray) -> tuple[IntArray, float]:
    """What the service shows them, shape (n, k), -1 where there are fewer; and its CPU seconds for it."""
    place = {id_: position for position, id_ in enumerate(task.items.ids)}
    lists = np.full((customers.size, task.k), -1)
    headers = {"authorization": f"Bearer {key_to(home)}"}
    app = create_app(build(home))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://home", headers=headers) as client,
    ):
        busy = time.process_time()
        for row, customer in enumerate(customers.tolist()):
            call = {"customer": f"id:{customer}", "slots": [{"placement": "home.content", "k": task.k}]}
            answer = await client.post("/v1/recommend", json=call)
            shown = [place[item["item"]] for item in answer.raise_for_status().json()["slots"][0]["items"]]
            lists[row, : len(shown)] = shown
        return lists, time.process_time() - busy


def compare(task: Task, sources: Sequence[Source], ranker: Ranker) -> None:
    """Both rows, and what lies between them."""
    customers = asked(task)
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder), task, sources, ranker)
        served, busy = asyncio.run(served_lists(Path(folder), task, customers))
    lists = {"in memory": top_lists(task, ranking_of(task, sources, ranker), customers), "served": served}
    rows = [judge(task, name, found) for name, found in lists.items()]
    print_table(("", f"recall@{task.k}", f"ndcg@{task.k}", "customers"), [tuple(_figures(row, task.k)) for row in rows])
    same = float(np.mean((lists["in memory"] == lists["served"]).all(axis=1)))
    print(f"\n{same:.1%} of the pages are the same to the last place; {busy / customers.size * 1e3:.1f} CPU ms a page.")


def _figures(row: Row, k: int) -> list[object]:
    return [row["name"], *(f"{row[measure]:.4f}" for measure in (f"recall@{k}", f"ndcg@{k}")), row["n"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--customers", type=int, default=2_000)
    given = parser.parse_args()
    task = sample(read_task(given.train, given.test, 20), given.customers)
    compare(task, *fit_content(task.log, task.items, Training()))


if __name__ == "__main__":
    main()
