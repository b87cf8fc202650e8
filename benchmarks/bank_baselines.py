"""What simple guesses reach on the simulated bank: the next feature of each person, in the last week.

python -m benchmarks.bank_baselines [--customers 2000] [--seed 7]
"""

import argparse
import gzip
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from training.bank import END, MENU, BankFiles, simulate_bank

LAST = timedelta(days=7)
SAME_SESSION = timedelta(minutes=10)
START = "^"


@dataclass(frozen=True)
class Use:
    """One use of a feature."""

    at: datetime
    item: str
    channel: str


@dataclass
class Memory:
    """What has been seen of one person, or of everybody."""

    used: Counter[str] = field(default_factory=Counter)
    recency: dict[str, int] = field(default_factory=dict)
    after: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    when: defaultdict[tuple[str, str, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def see(self, use: Use, before: str) -> None:
        self.recency[use.item] = self.used.total()
        self.used[use.item] += 1
        self.after[before][use.item] += 1
        self.when[before, use.channel, use.at.hour // 4][use.item] += 1


Guess = Callable[[Memory, Memory, Use, str], list[str]]
"""The features in guessed order: from the person's memory, everybody's, and what is known before the use."""


def blend(own: Memory, everybody: Memory, use: Use, before: str) -> list[str]:
    shared = everybody.after[before]
    after = own.after[before]
    when = own.when[before, use.channel, use.at.hour // 4]

    def score(item: str) -> float:
        base = (own.used[item] + 3 * shared[item] / max(shared.total(), 1)) / (own.used.total() + 3)
        following = (after[item] + 4 * base) / (after.total() + 4)
        return (when[item] + 3 * following) / (when.total() + 3)

    return sorted(MENU, key=score, reverse=True)


def most(memory: Memory) -> list[str]:
    return sorted(MENU, key=lambda item: -memory.used[item])


GUESSES: dict[str, Guess] = {
    "fixed menu": lambda own, everybody, use, before: list(MENU),  # noqa: ARG005 - a guess that looks at nothing
    "popularity": lambda own, everybody, use, before: most(everybody),  # noqa: ARG005
    "most-used": lambda own, everybody, use, before: sorted(most(everybody), key=lambda item: -own.used[item]),  # noqa: ARG005
    "most-recent": lambda own, everybody, use, before: sorted(  # noqa: ARG005
        most(everybody), key=lambda item: -own.recency.get(item, -1)
    ),
    "blend": blend,
}


def read(files: BankFiles) -> dict[str, list[Use]]:
    """Uses by person, ascending in time; a shared device counts for the one it was tied to first."""
    owner: dict[str, str] = {}
    for row in files.links.read_text(encoding="utf-8").splitlines()[1:]:
        strong, weak = row.split(",")
        owner.setdefault(weak, strong)
    uses: defaultdict[str, list[Use]] = defaultdict(list)
    for event in map(orjson.loads, gzip.decompress(files.events.read_bytes()).splitlines()):
        if event["type"] == "use":
            who = owner.get(event["customer"], event["customer"])
            uses[who].append(Use(datetime.fromisoformat(event["at"]), event["item"], event["channel"]))
    return uses


def replay(uses: dict[str, list[Use]], split: datetime) -> dict[str, list[int]]:
    """The rank of each use from `split` on, by each guess. Everybody's memory ends at the split."""
    everybody = Memory()
    for history in uses.values():
        for use, before in with_before(history):
            if use.at < split:
                everybody.see(use, before)
    ranks: dict[str, list[int]] = {name: [] for name in GUESSES}
    for history in uses.values():
        own = Memory()
        for use, before in with_before(history):
            if use.at >= split:
                for name, guess in GUESSES.items():
                    ranks[name].append(guess(own, everybody, use, before).index(use.item) + 1)
            own.see(use, before)
    return ranks


def with_before(history: list[Use]) -> list[tuple[Use, str]]:
    """Each use with the feature before it, START where that was too long ago."""
    pairs = zip([None, *history], history, strict=False)
    return [(b, a.item if a is not None and b.at - a.at < SAME_SESSION else START) for a, b in pairs]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uses = read(simulate_bank(Path(folder), end=END, seed=given.seed, customers=given.customers))
    ranks = replay(uses, END - LAST)
    print(f"{len(ranks['blend']):,} uses in the last {LAST.days} days\n")
    print("| guess | hit@1 | hit@3 | mrr |\n|---|---|---|---|")
    for name, found in ranks.items():
        n = len(found)
        hits = [sum(rank <= k for rank in found) / n for k in (1, 3)]
        print(f"| {name} | {hits[0]:.3f} | {hits[1]:.3f} | {sum(1 / rank for rank in found) / n:.3f} |")


if __name__ == "__main__":
    main()
