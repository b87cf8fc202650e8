"""What a training finds out for itself: how much a use counts, and settings within a budget of trials."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count

import numpy as np

from recommender.metrics import Values, bootstrap
from recommender.settings import LEARNED, Training
from recommender.types import Kind
from training.evaluation import Report
from training.fit.kind import ENOUGH, Subject, counting_of
from training.search import (
    Slice,
    changed,
    counting_of_log,
    days_of,
    reached,
    rounded,
    run,
    searches_of,
    slice_of,
    study_of,
    types_of,
    verdict,
    weight_of,
)

AFFORDED = 500_000
"""Events that trials are fitted on within a training: of a larger log those of some customers, drawn."""

FADING = (1.0, 1 / 4, 1 / 12)
"""Half-lives that a training tries, in lengths of the log: of a year about 365, 90 and 30 days."""

WEIGHTS = (0.3, 0.1, 0.0)
"""Weights of an event type that a training tries."""


def settled(settings: Training) -> Training:
    """The settings with nothing left to learn: all uses count alike where nothing else is said."""
    open_ = {"half_life": 0.0, "type_weights": {}}
    return settings.model_copy(update={n: v for n, v in open_.items() if getattr(settings, n) == LEARNED})


def chosen(subject: Subject, settings: Training, progress: Report = lambda *_: None) -> Training:
    """The settings with what they leave open learned on the newest part of the log, where that knows better.

    Only content with a clock is searched; the same log, settings and seed choose the same.
    """
    start = settled(settings)
    if subject.kind is not Kind.CONTENT or not subject.clocked or np.count_nonzero(subject.uses) < ENOUGH:
        return start
    part = slice_of(_afforded(subject, settings.seed), settings.seed)
    if len(part.asked) < ENOUGH:
        return start
    found = _climbed(part, settings, start, progress)
    if settings.trials:
        part = part.counted(counting_of(found))
        for search in searches_of(part):
            study = study_of(settings.seed)
            report = partial(_told, progress, f"search {search.name}", settings.trials)
            run(study, search, part.half(0), found, settings.trials, None, report)
            found = changed(found, verdict(study, search, part.half(1), found).better)
    return found


def _told(progress: Report, stage: str, trials: int, finished: int) -> None:
    progress(stage, finished, trials)


def _afforded(subject: Subject, seed: int) -> Subject:
    """The subject, of a large log with the events of some customers alone."""
    log = subject.log
    share = AFFORDED / max(log.events.size, 1)
    if share >= 1:
        return subject
    kept = np.random.default_rng(seed).random(log.customers) < share
    return subject.earlier(kept[log.who])


Ladder = Sequence[Mapping[str, float]]
"""Values of one setting to be tried, from top to bottom."""


def _climbed(part: Slice, settings: Training, start: Training, progress: Report) -> Training:
    """Event types first, the commonest before the others, then the half-life: each as half of the pages like it best,

    and kept if the other half agrees beyond chance.
    """
    search = counting_of_log(part)
    weights = [[{weight_of(name): weight} for weight in WEIGHTS] for name in types_of(part)]
    lives = [[{"half_life": rounded(days_of(part) * share)} for share in FADING]]
    both = (("type_weights", weights), ("half_life", lives))
    groups = [ladders for name, ladders in both if ladders and getattr(settings, name) == LEARNED]
    if not groups:
        return start
    tried, total = count(1), sum(len(ladder) for ladders in groups for ladder in ladders) + 1

    def attempt(choice: Training) -> Values:
        progress("search counting", next(tried), total)
        return reached(search, part, choice)

    base = attempt(start)
    for ladders in groups:
        best, value = start, base
        for ladder in ladders:
            if _matters(ladder, best, part):
                best, value = _down(ladder, best, value, attempt)
        if best is not start and bootstrap((value - base)[1::2]).low > 0:
            start, base = best, value
    progress("search counting", total, total)
    return start


def _down(
    ladder: Ladder, best: Training, value: Values, attempt: Callable[[Training], Values]
) -> tuple[Training, Values]:
    """The best rung, by every other page, and what it reaches; below one worse by a standard error none is tried.

    best, value: what there is, and what it reaches.
    """
    start = best
    for rung in ladder:
        choice = changed(start, rung)
        found = attempt(choice)
        gain = (found - value)[::2]
        if gain.mean() > 0:
            best, value = choice, found
        elif gain.mean() < -gain.std() / np.sqrt(gain.size):
            break
    return best, value


def _matters(ladder: Ladder, settings: Training, part: Slice) -> bool:
    """Whether a step down changes more than the scale: not for the one type that counts at all."""
    weights = settings.type_weights if isinstance(settings.type_weights, dict) else {}
    others = [name for name in types_of(part) if weight_of(name) not in ladder[0]]
    return "half_life" in ladder[0] or any(weights.get(name, 1) > 0 for name in others)
