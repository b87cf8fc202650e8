"""Whatever fits /openapi.json, or nearly does, is sent: is there a server error, or an answer that is not documented?

python -m benchmarks.drills.schema [--examples 250] [--json]

Schemathesis makes the cases: the documented examples, every boundary of every parameter, then so many drawn at random
for each operation; once with an admin's key, once without a key, over a small simulated bank with a model.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.drills.fresh import trained_home
from benchmarks.drills.service import Service, print_account

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
_SETTINGS = "[serving]\nkey_rate = 1000000\n"


@dataclass
class Report:
    """What the drill found. faults: an excerpt of Schemathesis' own words."""

    cases: int = 0
    operations: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No case found anything, and none could not be tried."""
        return not self.faults and self.cases > 0


def drill(home: Path, examples: int) -> Report:
    """With a key, then without."""
    (home / "murmeli.toml").write_text(_SETTINGS, encoding="utf-8")
    report = Report()
    with Service(home) as service, tempfile.TemporaryDirectory() as folder:
        for headers in (["-H", f"authorization: Bearer {service.key}"], []):
            _run(report, service.port, examples, headers, Path(folder) / "report.json")
        faults = [line for line in (home / "serve.log").read_text().splitlines() if '"exception"' in line]
        report.faults += faults[:5]
    return report


def _run(report: Report, port: int, examples: int, headers: list[str], path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", *headers]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(examples), "--phases", "examples,coverage,fuzzing"]
    command += [
        "--suppress-health-check",
        "all",
        "--seed",
        "7",
        "--continue-on-failure",
        "--generation-database",
        "none",
    ]
    command += ["--report", "json", "--report-json-path", str(path), "--no-color"]
    here = path.parent  # it leaves a cache where it stands
    done = subprocess.run(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        report.faults.append(done.stdout[-3000:])
    summary = orjson.loads(path.read_bytes())
    report.cases += summary["test_cases"]["generated"]
    report.operations = summary["operations"]["tested"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=250)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with trained_home() as home:
        report = drill(home, given.examples)
    print_account(vars(report) | {"ok": report.ok}, given.json)
    sys.exit(not report.ok)


if __name__ == "__main__":
    main()
