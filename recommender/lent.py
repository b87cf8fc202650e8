"""What sources say of items that came after training: what they say of the known items that are most like them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recommender.history import Items, Kin
from recommender.sources.base import Scores
from recommender.types import FloatArray


def with_lent(scores: Sequence[Scores], items: Items, reach: FloatArray | None = None) -> Sequence[Scores]:
    """The scores, where a source can say nothing of items that came after training with what it says of their kin.

    reach: see Ranker; of sources that speak of all items.
    """
    kin = items.kin
    if kin is None:
        return scores
    lent = [_told(part.values[:, : items.known], kin, part) if part.known else part for part in scores]
    if reach is None:
        return lent
    ends = np.cumsum([part.floor.size for part in lent])
    return [_reaching(part, items.known, own) for part, own in zip(lent, np.split(reach, ends[:-1]), strict=True)]


def _told(known: FloatArray, kin: Kin, part: Scores) -> Scores:
    return replace(part, values=np.concatenate([known, kin.lend(known)], axis=1))


def _reaching(part: Scores, known: int, reach: FloatArray) -> Scores:
    if part.at is not None:
        return part
    mean = part.values[:, :known].mean(axis=1, keepdims=True)
    late = mean + reach[:, None] * (part.values[:, known:] - mean)
    return replace(part, values=np.concatenate([part.values[:, :known], late], axis=1))
