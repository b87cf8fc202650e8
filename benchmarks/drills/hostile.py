"""Send bodies that are meant to hurt: each is refused at once, and costs no memory.

python -m benchmarks.drills.hostile [--times 5] [--json]

Each body goes to each route that takes one, with a valid key, over a connection of its own. It checks:

    status    4xx; or, for events, 200 with every row rejected: each has its own outcome
    seconds   from the first byte sent to the first byte of the answer: at most .05, median of the times
    memory    how much the server's resident memory rose above what it was before, at its peak: at most 10 MB
"""

import argparse
import select
import socket
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.drills.service import Service, print_account

LONGEST, MOST = 0.05, 10_000_000
ROUTES = (
    ("POST", "/v1/events"),
    ("POST", "/v1/recommend"),
    ("POST", "/v1/rank"),
    ("PUT", "/v1/items"),
    ("POST", "/v1/identities/link"),
)
_PART = 65_536
_GIGABYTE = 10**9
_SURROGATE = rb'"\ud800"'


@dataclass
class Answer:
    """What came back. status: 0 where nothing did."""

    status: int
    seconds: float
    body: bytes


@dataclass
class Report:
    """What the drill found; the worst of everything."""

    requests: int = 0
    slowest: float = 0.0
    slowest_was: str = ""
    memory_mb: float = 0.0
    memory_was: str = ""
    taken: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    large: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """All of it was refused, at once, and for nothing."""
        return not (self.taken or self.late or self.large)


def bodies() -> Iterator[tuple[str, list[str], Iterable[bytes]]]:
    """A name, further headers, and the body in parts."""
    yield "1 GB, as said", [f"content-length: {_GIGABYTE}"], [b"x" * _PART] * (_GIGABYTE // _PART)
    chunk = b"%x\r\n%s\r\n" % (_PART, b"x" * _PART)
    yield "1 GB, in chunks", ["transfer-encoding: chunked"], [chunk] * (_GIGABYTE // _PART)
    bomb = b"".join(_bomb())
    yield "gzip bomb", ["content-encoding: gzip", f"content-length: {len(bomb)}"], [bomb]
    for name, body in _whole():
        yield name, [f"content-length: {len(body)}"], [body]


def _bomb() -> Iterator[bytes]:
    """900 MB of nothing, packed into less than one."""
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(90):
        yield packer.compress(bytes(10**7))
    yield packer.flush()


def _whole() -> Iterator[tuple[str, bytes]]:
    yield "5,000 deep arrays", b"[" * 5000 + b"]" * 5000
    yield "5,000 deep objects", b'{"customer":' * 5000 + b"1" + b"}" * 5000
    yield "900 deep arrays", b"[" * 900 + b"]" * 900
    for name, value in {
        "NaN": b"NaN", "Infinity": b"-Infinity", "1e999": b"1e999", "NUL": b'"a\0b"', "NUL escaped": rb'"a\u0000b"',
        "lone surrogate": _SURROGATE, "not UTF-8": b'"\xff\xfe"', "900,000 digits": b"9" * 900_000,
        "900,000 letters": b'"%s"' % (b"x" * 900_000), "900,000 backslashes": b'"%s"' % (b"\\" * 900_000),
    }.items():  # fmt: skip
        event = b'{"event_id":"e","customer":%s,"type":"use","item":"a","value":%s,"properties":{"p":%s}}'
        yield name, value
        yield f"{name} in an event", event % (value, value, value)
        call = b'{"customer":%s,"slots":[{"placement":%s,"k":%s}],"candidates":[%s],"a":%s,"b":%s}'
        yield f"{name} in a call", call % ((value,) * 6)
    yield "300,000 arrays", b"[" + b"[]," * 300_000 + b"[]]"
    yield "300,000 objects", b"[" + b"{}," * 300_000 + b"{}]"
    yield "49,000 unknown names", orjson.dumps({f"x{n}": n for n in range(49_000)})
    yield "49,000 unknown names in a row", orjson.dumps([{f"x{n}": n for n in range(49_000)}])
    yield "500 rows of 100 unknown names", orjson.dumps([{f"x{n}": n for n in range(100)}] * 500)
    yield "90,000 candidates of one letter", orjson.dumps({"customer": "1", "candidates": ["a", 1, None] * 30_000})
    yield "49,000 slots", orjson.dumps({"customer": "1", "slots": [{"k": 0}] * 49_000})


def send(port: int, head: str, parts: Iterable[bytes], wait: float = 30.0) -> Answer:
    """Send until an answer comes; a sender who goes on regardless is not heard."""
    with closing(socket.create_connection(("127.0.0.1", port))) as peer:
        peer.setblocking(False)
        started, left, more = time.perf_counter(), head.encode(), iter(parts)
        while time.perf_counter() - started < wait:
            left = left or next(more, b"")
            readable, writable, _ = select.select([peer], [peer] if left else [], [], wait)
            try:
                if readable:
                    return _answered(peer, time.perf_counter() - started)
                if writable:
                    left = left[peer.send(left) :]
            except OSError:
                break
    return Answer(0, wait, b"")


def _answered(peer: socket.socket, seconds: float) -> Answer:
    peer.setblocking(True)
    peer.settimeout(5)
    text = part = peer.recv(_PART)
    while part and not text.endswith(b"}"):
        part = peer.recv(_PART)
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0, seconds, body)


class Memory:
    """The resident memory of a process, and its peak since the last look."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def begin(self) -> int:
        """Forget the peak; returns what is resident now, in bytes."""
        (self._folder / "clear_refs").write_text("5")
        return self._read("VmRSS")

    def peak(self) -> int:
        """The most since then, in bytes."""
        return self._read("VmHWM")

    def _read(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def drill(home: Path, times: int) -> Report:
    """Every body to every route, so many times."""
    report = Report()
    with Service(home) as service:
        memory = Memory(service.pid)
        for method, path in ROUTES:  # whatever is loaded by the first call of a kind is no body's fault
            send(service.port, head(method, path, service.key, ["content-length: 3"]), [b"[1]"])
        for name, headers, parts in bodies():
            for method, path in ROUTES:
                asked = head(method, path, service.key, headers)
                before = memory.begin()
                answers = [send(service.port, asked, parts) for _ in range(times)]
                judge(report, f"{name}: {method} {path}", answers, memory.peak() - before)
    return report


def head(method: str, path: str, key: str, headers: Iterable[str]) -> str:
    """The head of a request for JSON."""
    own = ["host: x", "content-type: application/json", f"authorization: Bearer {key}"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *headers, "", ""])


def judge(report: Report, what: str, answers: list[Answer], memory: int) -> None:
    """Put one body at one route into the report."""
    report.requests += len(answers)
    seconds = statistics.median(answer.seconds for answer in answers)
    if seconds > report.slowest:
        report.slowest, report.slowest_was = seconds, what
    if memory / 1e6 > report.memory_mb:
        report.memory_mb, report.memory_was = memory / 1e6, what
    statuses = {answer.status for answer in answers if not refused(answer)}
    report.taken += [f"{what}: status {status}" for status in statuses]
    report.late += [f"{what}: {seconds:.3f} s"] * (seconds > LONGEST)
    report.large += [f"{what}: {memory / 1e6:.1f} MB"] * (memory > MOST)


def refused(answer: Answer) -> bool:
    """Whether nothing of it was taken."""
    if answer.status == 200:
        return answer.body.startswith(b'{"accepted":0,"duplicate":0,')
    return 400 <= answer.status < 500


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = drill(Path(home), given.times)
    print_account(vars(report) | {"ok": report.ok}, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
