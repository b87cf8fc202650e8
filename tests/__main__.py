"""All the checks: formatting, lint, types, tests. `python -m tests` from the project's folder.

The drills, which mostly wait, run beside the other tests; what they and the first checks say is printed at the end.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

DRILLS = "tests/integration/test_drills.py"
ASIDE = (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",), ("pytest", DRILLS))
TESTS = ("pytest", f"--ignore={DRILLS}")

Done = subprocess.CompletedProcess[str]


def run(command: tuple[str, ...], *, aside: bool = False) -> Done:
    """One check. aside: what it says is kept."""
    said = subprocess.PIPE if aside else None
    whole = [sys.executable, "-m", *command]
    return subprocess.run(whole, check=False, stdout=said, stderr=subprocess.STDOUT, text=True)  # noqa: S603  our own words


def main() -> None:
    with ThreadPoolExecutor(1) as threads:
        others = threads.submit(lambda: [run(command, aside=True) for command in ASIDE])
        tests = run(TESTS)
    found = [*zip(ASIDE, others.result(), strict=True), (TESTS, tests)]
    for command, done in found[:-1]:
        sys.stdout.write(f"\n{' '.join(command)}\n{done.stdout}")
    failed = [" ".join(command) for command, done in found if done.returncode]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
