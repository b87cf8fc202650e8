"""How much a use counts, by the type of its event and by its age: one definition, for training and for serving.

A view may say less of a taste than a purchase, and last year's use less than yesterday's. How much less is learned
from the log (training/learned.py) and published with the model; the collaborative sources alone go by it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.types import FloatArray, IntArray

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
        from recommender.kernels.linear import weigh

        whole = np.ascontiguousarray(type_, np.int64), np.ascontiguousarray(age, np.int64)
        return weigh(*whole, self.types, self.weight, float(self.half_life))

    def check(self) -> None:
        """Raise ValueError where uses could not be counted so."""
        if self.types.ndim != 1 or self.weight.shape != self.types.shape or self.half_life.shape != ():
            raise ValueError("the event types are not one weight each, and one half-life")
        if bool((np.diff(self.types) <= 0).any()) or bool((self.weight < 0).any()) or bool(self.half_life < 0):
            raise ValueError("the event types are not ascending, or a weight or the half-life is below 0")


ALIKE = Counting(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((), np.float32))
"""Every use counts 1."""


def saturated(count: npt.NDArray[np.floating] | float) -> npt.NDArray[np.floating] | float:
    """How much a count of uses says of a liking: up to 1 as much as it counts, ever less for each further one."""
    liked: npt.NDArray[np.floating] = np.log(np.maximum(count, 1)) + np.minimum(count, 1)
    return liked


def saturate(counts: npt.NDArray[np.floating]) -> FloatArray:
    """`saturated` of each."""
    return np.asarray(saturated(counts), np.float32)
