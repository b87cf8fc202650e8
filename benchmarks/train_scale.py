"""`murmeli train` on a large log, part by part, beside a bare implicit fit of the same matrix.

    python -m benchmarks.import_scale --folder FOLDER      # first: leaves a store in FOLDER/home
    python -m benchmarks.train_scale FOLDER/home

Each leg runs in a process of its own. The ratio is what counts: extract, fit
and publish over the bare fit (`AlternatingLeastSquares.fit`: same weights,
factors, iterations and threads; neither its extract nor any other source).
Judging on held-back events is shown apart.
"""

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Clock, leg, peak_mb, print_table

STRONG = ("crm", "id")


def train_leg(home: Path) -> dict[str, Any]:
    """The command's own function, with each source's fits timed within its stages."""
    from recommender.registry import Registry
    from recommender.settings import Settings
    from recommender.stores import open_store
    from training import pipeline
    from training.fit import content, kind, ranker

    clock, stage = Clock(), [""]
    watched = {
        content: ("fit_popularity", "fit_neighbours", "fit_factors", "fit_graph", "fit_attributes", "fit_content"),
        kind: ("fit_transitions",),
        ranker: ("replay_log", "rehearse", "fit_layer"),
    }
    for module, names in watched.items():
        for name in names:
            if hasattr(module, name):
                clock.watch(module, name, partial(_label, stage, name))

    def progress(part: str, _done: float, _total: float | None) -> None:
        stage[0] = part

    store = open_store(home, strong=STRONG, writable=False)
    with tempfile.TemporaryDirectory() as models:
        outcome = pipeline.train(store, Registry(Path(models)), Settings(), promote=False, progress=progress)
    store.close()
    return {
        "document": outcome.document(),
        "stages": dict(outcome.seconds),
        "parts": dict(clock.seconds),
        "calls": dict(clock.calls),
        "cpu": time.process_time(),
        "peak_mb": peak_mb(),
    }


def _label(stage: list[str], name: str) -> str:
    return f"{stage[0]}: {name.removeprefix('fit_')}"


def bare_leg(home: Path) -> dict[str, Any]:
    """What implicit takes alone, on the same weights of the kind with the most items."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse
    from threadpoolctl import threadpool_limits

    from recommender.settings import Settings
    from recommender.stores import open_store
    from training.dataset import extract
    from training.fit.factors import FactorSettings
    from training.fit.matrix import user_items, weights_of
    from training.pipeline import subjects_of

    store = open_store(home, strong=STRONG, writable=False)
    subject = max(subjects_of(store, extract(store)), key=lambda subject: subject.items.codes.size)
    store.close()
    weights = weights_of(user_items(subject.log, subject.items))
    settings = Settings().training
    factors = FactorSettings.of(settings, weights)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors.factors,
            alpha=factors.alpha,
            regularization=factors.regularisation,
            iterations=factors.iterations,
            num_threads=settings.threads,
            random_state=factors.seed,
        )
        started, busy = time.perf_counter(), time.process_time()
        model.fit(sparse.csr_matrix(weights), show_progress=False)
        seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    return {
        "seconds": seconds,
        "cpu": cpu,
        "rows": weights.shape[0],
        "columns": weights.shape[1],
        "entries": weights.nnz,
        "threads": settings.threads,
        "peak_mb": peak_mb(),
    }


def report(trained: dict[str, Any], bare: dict[str, Any]) -> None:
    """The tables."""
    stages = trained["stages"]
    total = sum(stages.values())
    counted = sum(stages[name] for name in ("extract", "fit", "publish"))
    print(f"\n{bare['entries']:,} entries, {bare['rows']:,} x {bare['columns']:,}, {bare['threads']} threads\n")
    rows: list[tuple[object, ...]] = []
    for name, seconds in stages.items():
        rows.append((name, seconds, seconds / bare["seconds"], None))
        inner = {part: spent for part, spent in trained["parts"].items() if part.startswith(f"{name}: ")}
        rows += [(f"- {p}", s, s / bare["seconds"], trained["calls"][p]) for p, s in sorted(inner.items())]
    rows.append(("**train**", total, total / bare["seconds"], None))
    rows.append(("**extract + fit + publish**", counted, counted / bare["seconds"], None))
    rows.append(("bare implicit fit", bare["seconds"], 1.0, None))
    print_table(("part", "seconds", "of the bare fit", "calls"), rows)
    print(f"\nCPU seconds: train {trained['cpu']:,.0f} (imports included), bare {bare['cpu']:,.0f}.")
    print(f"Peak RSS: train {trained['peak_mb']:,.0f} MB, bare {bare['peak_mb']:,.0f} MB (its extract included).")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--leg", choices=("train", "bare"))
    given = parser.parse_args()
    if given.leg == "train":
        print(json.dumps(train_leg(given.home)))
    elif given.leg == "bare":
        print(json.dumps(bare_leg(given.home)))
    else:
        report(leg("benchmarks.train_scale", "train", given.home), leg("benchmarks.train_scale", "bare", given.home))


if __name__ == "__main__":
    main()
