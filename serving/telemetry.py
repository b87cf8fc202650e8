"""What a running service tells its operators: metrics of its own registry, and log lines without values.

No label and no line holds an id of a customer, an item or an event; a route
is named by its template.
"""

import asyncio
import json
import logging
import time
import traceback
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from serving.peers import EVERY, Peers

LOGGER = "murmeli"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_CANDIDATES = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_GROUPS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000)


class Telemetry:
    """The metrics of one service. peers: the other workers of it, where there are any."""

    def __init__(self, peers: Peers | None = None) -> None:
        self._peers = peers
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "murmeli_http_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "murmeli_http_request_duration_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=registry
        )
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.events = Counter("murmeli_events", "Events received, by outcome", ["outcome"], registry=registry)
        self.group = Histogram(
            "murmeli_commit_events", "Events written by one commit", buckets=_GROUPS, registry=registry
        )
        self.waiting = Gauge("murmeli_events_waiting", "Events not yet written", registry=registry)
        self.answers = Counter("murmeli_answers", "Answers given, by call", ["call"], registry=registry)
        self.degraded = Counter("murmeli_answers_degraded", "Answers given without a part", ["part"], registry=registry)
        self.slot_seconds = Histogram(
            "murmeli_slot_duration_seconds", "Time to fill a slot", ["placement"], buckets=_SECONDS, registry=registry
        )
        self.candidates = Histogram(
            "murmeli_slot_candidates",
            "Items that could be shown",
            ["placement"],
            buckets=_CANDIDATES,
            registry=registry,
        )
        self._by_placement: dict[str, tuple[Histogram, Histogram]] = {}
        self.lag = Gauge(
            "murmeli_event_lag_seconds", "From when they happened, the middle of the newest group", registry=registry
        )
        self.trained_until = 0.0
        """The newest event that the model in use knows, in seconds since 1970; 0 where none is trained."""
        age = Gauge("murmeli_model_age_seconds", "Since the newest event that the model knows", registry=registry)
        age.set_function(lambda: time.time() - self.trained_until if self.trained_until else 0.0)
        self.model = Info("murmeli_model", "The model that answers", registry=registry)
        self.reloads = Counter(
            "murmeli_model_reloads", "Models taken into use or refused", ["result"], registry=registry
        )
        self.ledger_pending = Gauge("murmeli_ledger_pending", "Answers not yet on disk", registry=registry)
        self.ledger_lag = Gauge(
            "murmeli_ledger_lag_seconds", "Since the oldest answer not yet on disk", registry=registry
        )
        self.ledger_written = Counter("murmeli_ledger_written", "Answers written to the ledger", registry=registry)
        self.ledger_lost = Counter("murmeli_ledger_lost", "Answers dropped from a full ledger", registry=registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. route: its template."""
        known = self._by_request.get((method, route, status))
        if known is None:
            labels = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            known = self._by_request[method, route, status] = labels
        known[0].inc()
        known[1].observe(seconds)

    def slot(self, placement: str, candidates: int, seconds: float) -> None:
        """Note one slot that was filled. placement: one of the settings'."""
        known = self._by_placement.get(placement)
        if known is None:
            labels = self.slot_seconds.labels(placement), self.candidates.labels(placement)
            known = self._by_placement[placement] = labels
        known[0].observe(seconds)
        known[1].observe(candidates)

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return self._peers.exposition(self.registry) if self._peers else generate_latest(self.registry)

    async def share(self) -> None:
        """Tell the other workers what was counted here, until cancelled."""
        while self._peers:
            self._peers.note(self.registry)
            await asyncio.sleep(EVERY)


class JsonLines(logging.Formatter):
    """One JSON object per line. An exception is its type and its frames; its message may hold what a caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__qualname__
            frames = traceback.extract_tb(record.exc_info[2])
            line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send our lines, and those of the server that carries us, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in (LOGGER, "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level if name == LOGGER else logging.WARNING)
