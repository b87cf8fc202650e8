"""What the simulated bank publishes, and what makes a person open a piece of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from training.bank_people import TOPICS, Person, Weights, pick
from training.bank_world import FEATURES, FORMATS, STAGES, SUBJECTS

PIECES = 300
FRESH_DAYS = 10
"""After so many days the pull of the new has fallen to a third."""
WITHDRAWN = 0.03


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of content. stages: those of life that it speaks to; withdrawn: the day it was taken away, or None."""

    id: str
    title: str
    topic: str
    product: str
    format: str
    stages: tuple[str, ...]
    minutes: int
    published: date
    withdrawn: date | None


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """All pieces, and what their being chosen depends on.

    pull: shape (days, pieces), of popularity and novelty; 0 while a piece is not published.
    topic: shape (pieces,), into TOPICS. stage, product: shape (pieces,), by name.
    """

    pieces: tuple[Piece, ...]
    pull: Weights
    topic: npt.NDArray[np.int64]
    stage: dict[str, npt.NDArray[np.bool_]]
    product: dict[str, npt.NDArray[np.bool_]]

    def interest(self, person: Person, day: int) -> Weights:
        """Shape (pieces,): a person's share of interest in the topic of each piece."""
        new = person.change(day, len(self.pull))
        topics: Weights = (1 - new) * person.interests[0] + new * person.interests[1]
        return topics[self.topic]

    def choose(
        self, rng: np.random.Generator, interest: Weights, stage: str, day: int, product: str | None, seen: set[int]
    ) -> int:
        """The piece that a person opens: what is popular or new, near to them, and to what they just did."""
        weights = self.pull[day] * (0.02 + interest) * np.where(self.stage[stage], 2.0, 1.0)
        if product is not None:
            weights *= np.where(self.product[product], 3.0, 1.0)
        weights[list(seen)] *= 0.1
        return pick(rng, weights)


def draw_library(rng: np.random.Generator, dates: Sequence[date]) -> Library:
    """The bank's content as it stands on the last of the dates; a fifth of it appeared during them."""
    drafts = [
        (topic, form, f"{subject}: {angle}")
        for topic, (_, subjects) in SUBJECTS.items()
        for subject in subjects
        for form, angles in FORMATS.items()
        for angle in angles
    ]
    chosen = np.sort(rng.choice(len(drafts), PIECES, replace=False))
    pieces = tuple(_piece(rng, f"c{n:03d}", drafts[at], dates) for n, at in enumerate(chosen.tolist(), 1))
    fame = rng.permutation(1 / np.arange(3, PIECES + 3) ** 0.8)
    return Library(
        pieces=pieces,
        pull=np.stack([_pull(pieces, fame, day) for day in dates]),
        topic=np.array([TOPICS.index(piece.topic) for piece in pieces]),
        stage={stage: np.array([stage in piece.stages for piece in pieces]) for stage in STAGES},
        product={
            product: np.array([piece.product == product for piece in pieces])
            for product in {feature.product for feature in FEATURES}
        },
    )


def _piece(rng: np.random.Generator, id_: str, draft: tuple[str, str, str], dates: Sequence[date]) -> Piece:
    topic, form, title = draft
    near = tuple(name for name, stage in STAGES.items() if topic in stage.topics)
    late = rng.random() < 0.2
    age = rng.integers(0, len(dates)) if late else len(dates) + rng.integers(0, 700)
    published = dates[-1] - timedelta(int(age))
    gone = rng.random() < WITHDRAWN
    return Piece(
        id=id_,
        title=title,
        topic=topic,
        product=SUBJECTS[topic][0],
        format=form,
        stages=near or tuple(STAGES),
        minutes=2 if form == "video" else int(rng.integers(1, 9)),
        published=published,
        withdrawn=max(published, dates[0]) + timedelta(int(rng.integers(0, len(dates)))) if gone else None,
    )


def _pull(pieces: Sequence[Piece], fame: Weights, day: date) -> Weights:
    age = np.array([(day - piece.published).days for piece in pieces])
    gone = np.array([piece.withdrawn is not None and piece.withdrawn <= day for piece in pieces])
    pull: Weights = np.where((age < 0) | gone, 0.0, fame * (1 + 4 * np.exp(-np.maximum(age, 0) / FRESH_DAYS)))
    return pull
