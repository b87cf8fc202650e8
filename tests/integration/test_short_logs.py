"""What is used next where one user's short log is all there is: little can be learned, and nothing may be lost."""

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from training.next_use import run

LOG = Path(__file__).parents[3] / "shared" / "data" / "unix-commands.csv.gz"


@pytest.mark.parametrize(("user", "part"), [("unix-4", slice(2_500)), ("unix-3", slice(-2_500, None))])
def test_one_user_s_short_log_is_ranked_better_than_by_what_followed_before(
    tmp_path: Path, user: str, part: slice
) -> None:
    """Both users take up commands at the end that they seldom use again, which once came before all others."""
    if not LOG.exists():
        pytest.skip(f"the real log {LOG.name} does not lie at ../shared/data")
    with gzip.open(LOG, "rt") as rows:
        mine = [(row["user"], row["command"], row["time"]) for row in csv.DictReader(rows) if row["user"] == user]
    with (tmp_path / "log.csv").open("w") as file:
        csv.writer(file).writerows([("customer", "item", "at"), *mine[part]])
    document: Any = run(tmp_path / "log.csv", {}, split=0.8, seed=7, progress=lambda *_: None)
    mrr = {row["name"]: row["mrr"] for row in document["results"]}
    assert mrr["murmeli"] > max(mrr[name] for name in mrr if name != "murmeli") + 0.01
