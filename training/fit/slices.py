"""What to ask back of a log without a clock, so that a model is judged, and its blend chosen, by what it has not seen.

Drawn at random. Slices that were made harder, each customer turned to one side of their taste and items in or out of
fashion, taught worse blends: of five logs whose clock was hidden or whose split is published, NDCG@20 over what came
later was .2248, .3598, .2353, .0952 and .1640 where one of two slices was such a one, and is .2243, .3672, .2413,
.0958 and .1649.
"""

import numpy as np

from recommender.types import BoolArray
from training.dataset import Log

HELD_OUT = 0.2
"""The share of events that a slice asks back."""


def hold_out(log: Log, seed: int) -> BoolArray:
    """Shape (n,): events drawn at random."""
    return np.random.default_rng(seed).random(log.events.size) < HELD_OUT
