"""Hold connections open and say hardly anything on them: each is cut in time, and others are answered meanwhile.

python -m benchmarks.drills.slow [--each 100] [--json]

So many connections of each kind are opened at once; one that drips says one more byte every second. A visitor asks for
pages all the while.

    head     nothing, half a head, a head that drips: cut at 10 seconds
    body     none of it, half of it, one that drips: cut at 30 seconds
    idle     an answered request and then nothing, or an empty line: closed too
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.drills.service import Service, print_account

HEAD, BODY = 10.0, 30.0
SLACK = 1.5
"""Seconds by which a busy machine may be late."""
PATIENCE = 60.0

_PAGE = orjson.dumps({"customer": "web:visitor", "slots": [{"placement": "home.features"}]})


@dataclass
class Report:
    """What the drill found. cut: by kind, the longest that a connection lasted, in seconds."""

    connections: int = 0
    pages: int = 0
    failed: int = 0
    slowest_page: float = 0.0
    cut: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """All were cut in time, and every visitor had a page."""
        return not self.faults and not self.failed


def kinds(key: str) -> dict[str, tuple[bytes, bool, float]]:
    """By name: what is said at once, whether more drips, and when it is cut at the latest."""
    head = (
        f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    body = f"{head}content-length: {len(_PAGE)}\r\n\r\n".encode()
    other = body.replace(b"/recommend", b"/rank")  # not a hot route: FastAPI's way
    return {
        "nothing": (b"", False, HEAD),
        "half a head": (head.encode(), False, HEAD),
        "dripping head": (head.encode() + b"x-slow: ", True, HEAD),
        "no body": (body, False, BODY),
        "half a body": (body + _PAGE[:20], False, BODY),
        "dripping body": (body + _PAGE[:5], True, BODY),
        "dripping body elsewhere": (other + _PAGE[:5], True, BODY),
        "idle": (body + _PAGE, False, HEAD),
        "an empty line": (body + _PAGE + b"\r\n", False, HEAD),
    }


async def hold(port: int, said: bytes, drips: bool) -> float:
    """Seconds until the other side hangs up."""
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)

    async def drip() -> None:
        while drips:
            await asyncio.sleep(1)
            writer.write(b"x")

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(PATIENCE):
            while await reader.read(65_536):
                pass
    except OSError:
        pass
    finally:
        dripping.cancel()
        writer.close()
    return time.monotonic() - started


async def visit(port: int, key: str, report: Report) -> None:
    """Ask for pages, each over a connection of its own, until cancelled."""
    head = (
        f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    while True:
        started = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}connection: close\r\ncontent-length: {len(_PAGE)}\r\n\r\n".encode() + _PAGE)
        answer = await reader.read()
        writer.close()
        report.pages += 1
        report.failed += not answer.startswith(b"HTTP/1.1 200 ")
        report.slowest_page = max(report.slowest_page, time.monotonic() - started)
        await asyncio.sleep(0.05)


async def hold_all(port: int, key: str, each: int) -> Report:
    """All kinds at once."""
    report = Report()
    visitor = asyncio.create_task(visit(port, key, report))

    async def one(name: str, said: bytes, drips: bool, latest: float) -> None:
        try:
            lasted = await hold(port, said, drips)
        except TimeoutError:
            lasted = PATIENCE
        report.connections += 1
        report.cut[name] = max(report.cut.get(name, 0.0), lasted)
        if lasted > latest + SLACK:
            report.faults.append(f"{name}: {lasted:.1f} s")

    await asyncio.gather(*(one(name, *kind) for name, kind in kinds(key).items() for _ in range(each)))
    visitor.cancel()
    report.failed += visitor.done() and not visitor.cancelled()
    return report


def drill(home: Path, each: int) -> Report:
    """So many connections of each kind, held until they are cut."""
    with Service(home) as service:
        return asyncio.run(hold_all(service.port, service.key, each))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = drill(Path(home), given.each)
    account = vars(report) | {"cut": {name: round(lasted, 2) for name, lasted in report.cut.items()}, "ok": report.ok}
    print_account(account, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
