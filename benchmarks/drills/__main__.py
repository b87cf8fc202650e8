"""All drills, one after another, each in a process of its own; exit code 1 where a promise is broken.

python -m benchmarks.drills [NAME ...] [--short] [--postgres URL]
"""

import argparse
import os
import subprocess
import sys
import time

from benchmarks.measure import ROOT, print_table

USUAL = "postgresql://postgres@127.0.0.1:5432/postgres"

DRILLS: dict[str, tuple[list[str], list[str]]] = {
    "kill": (["--times", "200"], ["--times", "10"]),
    "kill-on-postgres": (["--times", "200", "--postgres", "URL"], ["--times", "10", "--postgres", "URL"]),
    "erasure": (["--times", "50"], ["--times", "3"]),
    "erasure-on-postgres": (["--times", "50", "--postgres", "URL"], ["--times", "3", "--postgres", "URL"]),
    "fresh": (["--times", "1000"], ["--times", "50"]),
    "artefacts": ([], []),
    "disk_full": ([], []),
    "replicas": (["--minutes", "5", "--postgres", "URL"], ["--minutes", "0.5", "--postgres", "URL"]),
    "roles": ([], []),
    "hostile": (["--times", "5"], ["--times", "1"]),
    "overload": (["--seconds", "20"], ["--seconds", "5"]),
    "schema": (["--examples", "250"], ["--examples", "2"]),
    "slow": (["--each", "100"], ["--each", "10"]),
    "soak": (["--minutes", "30"], ["--minutes", "1"]),
}
"""By name, the arguments of the whole drill and of a short one; each is a module here, but for `-on-` and more."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*DRILLS, []], help="those to run; else all")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--postgres", metavar="URL", default=os.environ.get("MURMELI_TEST_DATABASE", USUAL))
    given = parser.parse_args()
    rows = []
    for name in given.names or DRILLS:
        arguments = [given.postgres if word == "URL" else word for word in DRILLS[name][given.short]]
        print(f"\n## {name} {' '.join(arguments)}\n", flush=True)
        started = time.perf_counter()
        module = f"benchmarks.drills.{name.partition('-on-')[0]}"
        done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=False)  # noqa: S603 - ourselves
        rows.append((name, "kept" if done.returncode == 0 else "broken", time.perf_counter() - started))
    print()
    print_table(("drill", "promise", "seconds"), rows)
    sys.exit(any(promise == "broken" for _, promise, _ in rows))


if __name__ == "__main__":
    main()
