"""Weights that move with the length of the history, and the climb that finds them."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.errors import ArtefactError
from recommender.growth import Growth
from recommender.model import Model, model_arrays, model_from
from recommender.ranker import Ranker
from recommender.sources.base import Scores
from recommender.sources.popularity import Popularity
from recommender.types import FloatArray, Kind
from tests.contracts.models import bank, manifest_of
from tests.unit.steps import asked, letters
from training.fit.ascent import Contest, _loss
from training.fit.blend import Pool, fit_blend

ITEMS = letters("abcdefgh")
SOURCES = [Popularity(np.zeros(30, np.float32), np.zeros((), np.float32)) for _ in range(2)]
GROWING = Ranker(
    ("one.here", "two.there"),
    np.array([[1, 0]], np.float32),
    growth=Growth(np.array([-0.5, 1], np.float32), np.array([0, 2], np.float32)),
)


@pytest.mark.parametrize(
    ("used", "weights"), [("a", [1, 0]), ("ab", [0.5, 1]), ("abab", [0.5, 1]), ("abcd", [0, 2]), ("abcdefgh", [0, 2])]
)
def test_weights_move_with_each_doubling_of_what_was_used_as_far_as_was_learned(
    used: str, weights: list[float]
) -> None:
    assert GROWING.weigh(asked(ITEMS, used)).tolist() == weights


def test_the_parts_still_add_up() -> None:
    query, zeros = asked(ITEMS, "ab"), np.zeros(1, np.float32)
    rng = np.random.default_rng(1)
    scores = [Scores(rng.normal(size=(1, 8)).astype(np.float32), None, zeros) for _ in range(2)]
    blended = GROWING.blend(query, scores)
    parts = GROWING.contributions(query, scores, np.arange(8))
    assert parts.sum(axis=0) == pytest.approx(blended - blended.mean(), abs=1e-5)


def drawn(customers: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scores of two columns, what is wanted, lengths: one column knows short histories, one long ones."""
    rng = np.random.default_rng(4)
    length = rng.uniform(0, 6, customers)
    gain = np.eye(30, dtype=np.float32)[rng.integers(0, 30, customers)]
    noise = np.stack([0.1 + length / 6, 1.1 - length / 6], axis=1)[..., None]
    values = gain[:, None] + noise * rng.normal(size=(customers, 2, 30))
    return values.astype(np.float32), gain, length.astype(np.float32)


def test_the_blend_learns_whom_each_column_knows() -> None:
    values, gain, length = drawn(1_500)
    ranker = fit_blend(SOURCES, [Pool(values, gain, np.ones(1_500, np.float32), length)])
    assert ranker.growth is not None
    assert ranker.growth.slope[0] < 0 < ranker.growth.slope[1]
    assert ranker.growth.reach == pytest.approx(np.quantile(length, [0.01, 0.99]))


def test_few_customers_teach_no_growth() -> None:
    values, gain, length = drawn(300)
    assert fit_blend(SOURCES, [Pool(values, gain, np.ones(300, np.float32), length)]).growth is None


def test_the_slope_that_is_climbed_is_the_slope() -> None:
    values, gain, length = drawn(40)
    who, right = np.nonzero(gain)
    contest = Contest(values, np.ones((40, 30), np.float32), who, right, np.ones(40, np.float32), length - 3)
    start = np.array([0.7, -0.2, 0.1, 0.05])
    found = _loss([contest], 0.3, start)[1]
    for way, step in zip(found, 1e-3 * np.eye(4), strict=True):
        rise = _loss([contest], 0.3, start + step)[0] - _loss([contest], 0.3, start - step)[0]
        assert way == pytest.approx(rise / 2e-3, abs=0.01 * np.abs(found).max())


def growing() -> Model:
    """The bank with a growth."""
    model = bank()
    part = model.kinds[Kind.FEATURE]
    slope = np.linspace(-1, 1, len(part.ranker.columns)).astype(np.float32)
    growth = Growth(slope, np.array([0, 3], np.float32))
    return Model({**model.kinds, Kind.FEATURE: replace(part, ranker=replace(part.ranker, growth=growth))})


def test_a_growth_is_published_and_one_of_other_columns_is_refused() -> None:
    arrays, manifest = model_arrays(growing()), manifest_of(growing())
    found = model_from(arrays, manifest, "main/1").kinds[Kind.FEATURE].ranker
    wanted = growing().kinds[Kind.FEATURE].ranker
    assert found.weigh(asked(ITEMS, "abc")).tolist() == wanted.weigh(asked(ITEMS, "abc")).tolist()
    for name in ("growth_slope", "growth_reach"):
        with pytest.raises(ArtefactError, match="growth"):
            model_from({**arrays, f"feature.ranker.{name}": np.zeros(1, np.float32)}, manifest, "main/1")
