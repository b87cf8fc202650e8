"""All drills, one after another, each in a process of its own; exit code 1 where a promise is broken.

python -m benchmarks.drills [NAME ...] [--short]
"""

import argparse
import subprocess
import sys
import time

from benchmarks.measure import ROOT, print_table

DRILLS: dict[str, tuple[list[str], list[str]]] = {
    "kill": (["--times", "200"], ["--times", "10"]),
    "fresh": (["--times", "1000"], ["--times", "50"]),
}
"""By name, the arguments of the whole drill and of a short one; each is a module here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*DRILLS, []], help="those to run; else all")
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    rows = []
    for name in given.names or DRILLS:
        arguments = DRILLS[name][given.short]
        print(f"\n## {name} {' '.join(arguments)}\n", flush=True)
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", f"benchmarks.drills.{name}", *arguments], cwd=ROOT, check=False)  # noqa: S603 - ourselves
        rows.append((name, "kept" if done.returncode == 0 else "broken", time.perf_counter() - started))
    print()
    print_table(("drill", "promise", "seconds"), rows)
    sys.exit(any(promise == "broken" for _, promise, _ in rows))


if __name__ == "__main__":
    main()
