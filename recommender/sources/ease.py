"""EASE: each item as a ridge regression on all the others."""

from dataclasses import dataclass
from typing import ClassVar

from recommender.sources.neighbours import Neighbours
from recommender.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Ease(Neighbours):
    """A sparse item-item matrix like that of `Neighbours`; a weight may be negative: used instead of, not with.

    penalty: shape (), of the squared weights when they were fitted.
    Steck, "Embarrassingly shallow autoencoders for sparse data", 2019.
    """

    penalty: FloatArray

    name: ClassVar[str] = "ease"
    reason: ClassVar[str] = "used together"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("ease",)
