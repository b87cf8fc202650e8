"""A file as a log in memory, for the benchmarks: through the same door as an import, but into no store."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from recommender.errors import UsageError
from recommender.events import Defaults
from recommender.history import Items
from recommender.stores.base import EventBatch, Outcome
from recommender.types import EventArray, IntArray
from training.account import Progress
from training.dataset import Log, items_of, log_of
from training.importers import import_events


class _Gathered:
    """Keeps every event: an importer's sink."""

    def __init__(self) -> None:
        self.identities: dict[str, int] = {}
        self.ids: dict[int, str] = {}
        self.who: list[IntArray] = []
        self.records: list[EventArray] = []
        self.names: dict[int, str] = {}

    def append(self, batch: EventBatch) -> npt.NDArray[np.uint8]:
        known = self.identities
        numbers = np.array([known.setdefault(identity, len(known)) for identity in batch.identities], np.int64)
        self.names |= batch.names
        self.ids |= {code: id_ for code, (id_, _) in batch.items.items()}
        self.who.append(numbers[batch.who])
        self.records.append(batch.records)
        return np.full(batch.records.size, Outcome.ACCEPTED, np.uint8)


def read_log(path: Path, mapping: Mapping[str, str], progress: Progress | None = None) -> tuple[Log, Items]:
    """All events of a file, whatever a profile would keep of them, and their items.

    Raises UsageError where the file or a column is not there, or no row of it is an event.
    """
    gathered = _Gathered()
    defaults = Defaults(type="use")
    summary = import_events(
        gathered, [path], zone=ZoneInfo("UTC"), mapping=mapping, defaults=defaults, progress=progress
    )
    if not gathered.records:
        why = ", ".join(f"{count} x {code}" for code, count in summary.reasons.items()) or "it has none"
        raise UsageError(
            f"{path} holds no row that is an event ({why}). `murmeli import events` shows each row's reason."
        )
    log = log_of(np.concatenate(gathered.who), np.concatenate(gathered.records))
    return replace(log, names=gathered.names), items_of(sorted(gathered.ids.values()))
