"""All the checks: formatting, lint, types, tests. `python -m tests` from the project's folder."""

import subprocess
import sys

COMMANDS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("pytest",),
)

if __name__ == "__main__":
    failed = [" ".join(c) for c in COMMANDS if subprocess.run([sys.executable, "-m", *c], check=False).returncode]  # noqa: S603  our own words
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
