"""How much a use counts, by the type of its event and by its age: one definition, for training and for serving.

A view may say less of a taste than a purchase, and last year's use less than yesterday's. How much less is learned
from the log (training/learned.py) and published with the model; the collaborative sources alone go by it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.types import DAY, FloatArray, IntArray

Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Counting:
    """types: shape (t,), codes of event types, ascending. weight: shape (t,), >= 0, what a use of each counts; a use
    of any other type counts 1. half_life: shape (), after so many days a use counts half; 0 where uses do not fade.
    """

    types: IntArray
    weight: FloatArray
    half_life: FloatArray

    def weigh(self, type_: IntArray, age: IntArray) -> Weights:
        """What uses count, shape (n,). type_: codes, none where they are not known; age: milliseconds."""
        weight = np.ones(age.size)
        if self.types.size and type_.size:
            at = np.minimum(np.searchsorted(self.types, type_), self.types.size - 1)
            weight = np.where(self.types[at] == type_, self.weight[at], weight)
        if self.half_life > 0:
            weight = weight * np.exp2(np.maximum(age, 0) / (-DAY * float(self.half_life)))
        return weight

    def check(self) -> None:
        """Raise ValueError where uses could not be counted so."""
        if self.types.ndim != 1 or self.weight.shape != self.types.shape or self.half_life.shape != ():
            raise ValueError("the event types are not one weight each, and one half-life")
        if bool((np.diff(self.types) <= 0).any()) or bool((self.weight < 0).any()) or bool(self.half_life < 0):
            raise ValueError("the event types are not ascending, or a weight or the half-life is below 0")


def saturate(count: npt.NDArray[np.floating]) -> FloatArray:
    """How much a count of uses says of a liking: up to 1 as much as it counts, ever less for each further one."""
    said: FloatArray = (np.log(np.maximum(count, 1)) + np.minimum(count, 1)).astype(np.float32, copy=False)
    return said
