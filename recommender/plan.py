"""A kind's model laid out for one compiled call: the short way of a question that is nothing unusual.

It is there for a model of features, made of the usual sources, over items that it was all trained on. Whoever used
nothing lately, or more items than there are factors, is answered source by source, and so is everybody while there are
items that came later; a law holds both ways to the same answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from recommender.counting import ALIKE, Counting
from recommender.history import Context, Items, events_of, older
from recommender.model import KindModel
from recommender.profile import Profile
from recommender.ranker import OWN, ROWS, Ranker
from recommender.sharpness import LOG_ODDS
from recommender.sources.attributes import Attributes, described_by
from recommender.sources.factors import FEW, Factors, products_of
from recommender.sources.habit import Habit
from recommender.sources.habit import tables as habit_tables
from recommender.sources.neighbours import Neighbours
from recommender.sources.popularity import Popularity
from recommender.sources.text import Text
from recommender.sources.transitions import DISCOUNTS, PACES, Transitions
from recommender.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from recommender.kernels.whole import Found

_NOTHING, _NO_TABLE = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """arguments: of `ranked`, but for the question's own.

    columns, floor, single: see `ranked`. ends: shape (sources,), the column behind each source's last.
    """

    model: KindModel
    items: Items
    arguments: tuple[Any, ...]
    columns: IntArray
    floor: FloatArray
    single: BoolArray
    ends: IntArray

    def answer(self, profile: Profile, context: Context) -> "Found | None":
        """What `rank` comes to; None where it has to be asked source by source."""
        from recommender.kernels.whole import ranked

        events, moment = events_of(profile, self.items)[:4], (context.now, context.week, context.channel)
        found = ranked(*events, *older(profile, self.items), *moment, *self.arguments)
        return found if found.blended.size else None

    def loudest(self, found: "Found", asked: IntArray, rivals: int, least: float) -> IntArray:
        """The row of the source without which each position would lose most, -1 where it loses nothing; its shape."""
        from recommender.kernels.whole import loudest

        into, _, item, _, out, log_odds, sharpness = self.arguments[-7:]
        own = self.model.ranker.columns.index(OWN)
        return loudest(
            found.blended, asked, rivals, found.values, found.met, found.whole, self.floor, self.columns,
            found.weight, self.ends, self.single, into, item, found.start, out, own, log_odds, sharpness, least,
        )  # fmt: skip


def plan_of(model: KindModel, items: Items) -> Plan | None:
    """How a model is asked in one call; None where it cannot be."""
    known = model.memo.get("plan")
    if not isinstance(known, tuple) or known[0] is not items:
        known = model.memo["plan"] = items, _laid_out(model, items)
    return cast(tuple[Items, Plan | None], known)[1]


def _laid_out(model: KindModel, items: Items) -> Plan | None:
    n, ranker = items.codes.size, model.ranker
    if not 0 < n == items.known <= FEW or items.kin is not None or ranker.weights.shape[0] not in (1, ROWS):
        return None
    match model.sources:
        case (
            Habit(),
            Transitions() as steps,
            Popularity() as popular,
            Neighbours() as near,
            Factors() as taste,
            Attributes() as described,
            Text(),
        ) if taste.inverse.size and taste.factors.shape[0] == popular.log_share.size == n:
            sources = (
                *habit_tables(),
                PACES,
                DISCOUNTS,
                *_as(np.int64, steps.key, steps.starts, steps.item),
                *_as(np.float32, steps.lift),
                *_counting(items.counting or ALIKE),
                *_as(np.float32, popular.log_share),
                _nearness(near, n),
                products_of(taste),
                taste.inverse.shape[0],
                _confidence(taste, n),
                *(part for rows in described_by(described, items) for part in rows),
            )
        case _:
            return None
    ends = np.array([*accumulate(len(source.columns) for source in model.sources)], np.int64)
    columns, floor = np.concatenate([[0], ends[:5]]), np.array([popular.new, 0, 0, 0], np.float32)
    single = np.array([at < columns[2] or at >= ends[5] for at in range(ends[-1])], np.bool_)
    return Plan(model, items, (*sources, columns, floor, single, *_ranker(ranker)), columns, floor, single, ends)


def _as(dtype: type, *arrays: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Plain arrays of one type in rows: those of a file have a class of their own, a look at each call."""
    return (np.ascontiguousarray(array, dtype).view(np.ndarray) for array in arrays)


def _counting(counting: Counting) -> tuple[IntArray, FloatArray, float]:
    return counting.types, counting.weight, float(counting.half_life)


def _nearness(near: Neighbours, n: int) -> FloatArray:
    """Shape (n, n): the weights of all pairs; of few items, adding up whole rows is less work."""
    table = np.zeros((n, n), np.float32)
    table[np.repeat(np.arange(n), np.diff(near.starts)), near.item] = near.weight
    return table


def _confidence(taste: Factors, n: int) -> FloatArray:
    """Shape (n,): what a use of weight 1 of each item counts to the factors."""
    worth = taste.worth if taste.worth.size else np.ones(n, np.float32)
    return np.asarray(worth * taste.alpha, np.float32)


def _ranker(ranker: Ranker) -> Iterator[npt.NDArray[Any]]:
    """What `ranked` asks of a ranker, of no rows where it has no such part."""
    layer, growth = ranker.layer, ranker.growth
    yield from _as(np.float32, ranker.weights)
    yield from (_NOTHING, _NOTHING) if growth is None else _as(np.float32, growth.slope, growth.reach)
    if layer is None:
        yield from (*[_NO_TABLE] * 4, _NOTHING)
    else:
        yield from _as(np.float32, layer.into, layer.bias, layer.item, layer.last, layer.out)
    yield LOG_ODDS
    yield from (_NOTHING,) if ranker.sharpness is None else _as(np.float32, ranker.sharpness)
