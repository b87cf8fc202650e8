"""The metrics of all workers of one service, whichever of them is asked.

Each worker leaves what it counted in a folder that they share, once a second;
who is asked adds the label `worker` and shows all. A worker that was started
again counts from zero, as Prometheus expects of a process.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

EVERY = 1.0
"""Seconds between two notes."""


class Peers(Collector):
    """The workers that share a folder; this one is `number`."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number

    def note(self, registry: CollectorRegistry) -> None:
        """Leave what this worker counted for the others."""
        families = [
            (family.name, family.documentation, family.type, [(s.name, s.labels, s.value) for s in family.samples])
            for family in registry.collect()
        ]
        new = self._folder / f".{self._number}"
        new.write_bytes(orjson.dumps(families))
        os.replace(new, self._folder / str(self._number))

    def exposition(self, registry: CollectorRegistry) -> bytes:
        """Everybody's metrics in Prometheus's text format."""
        self.note(registry)
        shown = CollectorRegistry()
        shown.register(self)
        return generate_latest(shown)

    def collect(self) -> Iterator[Metric]:
        """All families, each once, with the samples of all workers."""
        families: dict[str, Metric] = {}
        for path in sorted(self._folder.glob("[0-9]*")):
            for name, documentation, kind, samples in orjson.loads(path.read_bytes()):
                family = families.setdefault(name, Metric(name, documentation, kind))
                for sample, labels, value in samples:
                    family.add_sample(sample, labels | {"worker": path.name}, value)
        yield from families.values()

    def describe(self) -> Iterator[Metric]:
        """Nothing that is known before somebody counted."""
        yield from ()
