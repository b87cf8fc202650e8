"""Fits a site's own models: an estimator is handed the interactions and returns arrays, or a source of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import UsageError
from recommender.history import Items
from recommender.plugins import known_sources, load_class, name_of, scores
from recommender.settings import Training
from recommender.sources.base import Source
from recommender.sources.usage import Matrix
from recommender.types import BoolArray, IntArray, is_use
from training.dataset import Log
from training.fit.matrix import user_items, weights_of


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """What one kind's log says, as an estimator of another library wants it. Customers and items are row numbers.

    user_items: customers x items, the weight of each pair that was used: 1 + log(uses), where all uses count alike (see
    recommender/counting.py). ids: the items' ids.
    customer, item, time: shape (n,), every use, customer by customer in order of time; time in milliseconds UTC.
    tokens: items x tokens, 1 where an item has that attribute or title word.
    """

    user_items: Matrix
    ids: Sequence[str]
    customer: IntArray
    item: IntArray
    time: IntArray
    tokens: Matrix
    seed: int
    threads: int


def fit_own(log: Log, items: Items, settings: Training) -> tuple[Source, ...]:
    """The sources that `training.sources` names, fitted. UsageError where one returns what cannot be served."""
    if not settings.sources:
        return ()
    given = interactions(log, items, settings)
    return tuple(_fit(spec, given) for spec in settings.sources)


def interactions(log: Log, items: Items, settings: Training) -> Interactions:
    """The log as an estimator is given it."""
    position = items.positions(log.events["item"])
    used: BoolArray = (position >= 0) & is_use(log.events["type"])
    _, token = np.unique(items.tokens, return_inverse=True)
    size = int(token.max(initial=-1)) + 1
    ones = np.ones(token.size, np.float32)
    tokens = sparse.csr_array((ones, token, items.token_starts), shape=(items.codes.size, size))
    return Interactions(
        user_items=weights_of(user_items(log, items)),
        ids=items.ids,
        customer=log.who[used],
        item=position[used],
        time=log.events["time"][used],
        tokens=tokens,
        seed=settings.seed,
        threads=settings.threads,
    )


def _fit(spec: str, given: Interactions) -> Source:
    made: Any = load_class(spec)
    if not scores(made):
        return _source_of(spec, name_of(made), made().fit(given), len(given.ids))
    source: Any = made.fit(given)
    if not isinstance(source, made) or not is_dataclass(source):
        raise UsageError(f"{spec}.fit must return a {made.__name__}, a dataclass of arrays, as it has `score`.")
    return cast(Source, source)


def _source_of(spec: str, name: str, result: object, size: int) -> Source:
    """Murmeli's own source of the form that an estimator's result has."""
    known: dict[str, Any] = {**known_sources([spec])}
    fields: tuple[npt.NDArray[np.generic], ...]
    if sparse.issparse(result) and cast(Matrix, result).shape == (size, size):
        rows = cast(Matrix, result).tocsr().astype(np.float32)
        rows.sum_duplicates()
        form = f"neighbours-{name}"
        fields = rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data
    elif isinstance(result, np.ndarray) and result.ndim == 2 and result.shape[0] == size:
        form, fields = f"vectors-{name}", (np.ascontiguousarray(result, np.float32),)
    else:
        raise UsageError(
            f"{spec}.fit returned {_described(result)}; wanted an array of ({size}, any) item vectors "
            f"or a sparse ({size}, {size}) item-item matrix."
        )
    if not np.isfinite(fields[-1]).all():
        raise UsageError(f"{spec}.fit returned numbers that are not finite.")
    return cast(Source, known[form](*fields))


def _described(result: object) -> str:
    shape = getattr(result, "shape", None)
    return f"a {type(result).__name__}" + (f" of shape {shape}" if shape is not None else "")
