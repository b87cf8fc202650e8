"""What a log holds, in a few figures and with no customer in them; and how much of it a model needs."""

from collections.abc import Mapping

import numpy as np

from recommender.baselines import Ranking, most_used
from recommender.settings import Training
from recommender.types import DAY, BoolArray, Kind, is_use
from training.dataset import Log
from training.evaluation import Report, Row, Scoring, before
from training.fit.kind import Subject, fit_kind
from training.judge import MURMELI, judge

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Of the earlier part, the newest of it: what a learning curve is fitted on."""

QUESTIONS = 1_000
"""By which each of them is judged: the curve is looked at, nothing is decided by it."""

COLUMNS = 180
"""Of the picture of events over time, at most."""

CHANNELS = 6


def overview(log: Log, subjects: list[Subject], held: Mapping[Kind, BoolArray]) -> Row:
    """Counts for a reader: `over_time` (events, in equal spans from first to last), `channels` (shares), `kinds`."""
    time = log.events["time"]
    first, last = log.span
    days = (last - first) // DAY + 1
    over_time, _ = np.histogram((time - first) / DAY, bins=int(min(days, COLUMNS)), range=(0, float(days)))
    codes, counts = np.unique(log.events["channel"], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:CHANNELS]
    channels = [(log.names.get(int(codes[at]), ""), float(counts[at] / max(time.size, 1))) for at in order]
    per_customer = np.bincount(log.who[is_use(log.events["type"])], minlength=log.customers)
    return {
        "over_time": over_time.tolist(),
        "channels": [[name or "not stated", share] for name, share in channels],
        "uses_per_customer": [float(value) for value in np.quantile(per_customer, [0.1, 0.5, 0.9])]
        if time.size
        else [],
        "kinds": {subject.kind.value: _of_kind(subject, held[subject.kind]) for subject in subjects},
    }


def _of_kind(subject: Subject, held: BoolArray) -> Row:
    times = subject.log.events["time"][held]
    return {
        "items": subject.items.codes.size,
        "uses": int(np.count_nonzero(subject.uses)),
        "held": int(np.count_nonzero(held)),
        "held_from": int(times.min()) if times.size and subject.clocked else None,
        "clocked": subject.clocked,
    }


def learning_curve(
    subject: Subject, held: BoolArray, whole: Scoring, settings: Training, progress: Report = lambda *_: None
) -> list[Row]:
    """The rows of models fitted on SHARES of what came before `held`, and of `most-used`, on the same questions.

    whole: the model of all of it, which is not fitted again. A row has `share` and `uses`, those that it was fitted on.
    """
    earlier = before(subject, held)
    rankings: dict[str, Ranking] = {MURMELI: whole.whole}
    fitted_on: dict[str, Row] = {}
    for number, share in enumerate(SHARES):
        progress(f"learning curve of {subject.kind}", number, len(SHARES) + 1)
        part = earlier if share == 1 else newest_part(earlier, share, settings.seed)
        name = MURMELI if share == 1 else f"{share:.1%} of the log"
        if share < 1:
            rankings[name] = Scoring(fit_kind(part, settings)).whole
        fitted_on[name] = {"share": share, "uses": int(np.count_nonzero(part.uses))}
    rows = judge(subject, held, {**rankings, "most-used": most_used}, settings.seed, most=QUESTIONS)
    progress(f"learning curve of {subject.kind}", 1, 1)
    return [
        {key: value for key, value in row.items() if key != "slices"} | fitted_on.get(str(row["name"]), {})
        for row in rows
    ]


def newest_part(subject: Subject, share: float, seed: int) -> Subject:
    """The events of the newest share of the uses; without a clock, a share of all events, drawn at random."""
    if not subject.clocked:
        return subject.earlier(np.random.default_rng(seed).random(subject.log.events.size) < share)
    time = subject.log.events["time"]
    return subject.earlier(time >= np.quantile(time[subject.uses], 1 - share))
