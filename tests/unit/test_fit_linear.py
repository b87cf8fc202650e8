"""The fits of the sources that learn from who used what, each against a second formula or a world on paper."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from recommender.history import Context, History, Items, Query, history_of
from recommender.kernels.linear import add_rows
from recommender.ranker import Ranker
from recommender.settings import Training
from recommender.sources.popularity import Popularity
from recommender.sources.usage import HEAD, Matrix, scaled, usage
from recommender.types import DAY, DISMISS, EVENT, RETURN, USE, FloatArray, Kind, code64
from training.dataset import Log, items_of, log_of
from training.fit import content
from training.fit.attributes import fit_attributes
from training.fit.blend import Pool, fit_blend, page_quality
from training.fit.ease import penalty_in
from training.fit.factors import FactorSettings, fit_factors
from training.fit.kind import Subject, fit_kind, refit
from training.fit.matrix import user_items, weights_of
from training.fit.neighbours import NeighbourSettings, fit_neighbours
from training.fit.popularity import PRIOR, choose_half_life, decayed, fit_popularity

NAMES = ["apple", "bread", "cheese", "date"]
APPLE, BREAD, CHEESE, DATE = range(4)


def log_of_rows(*rows: tuple[int, str, int, int]) -> Log:
    """Rows of (customer, item, type, day)."""
    events = np.zeros(len(rows), EVENT)
    for event, (place, (_, item, type_, day)) in zip(events, enumerate(rows), strict=True):
        event["item"], event["type"], event["time"], event["key"] = code64(item), type_, day * DAY, place + 1
    return log_of(np.array([row[0] for row in rows]), events)


def at(items: Items, name: str) -> int:
    return items.ids.index(name)


def random_usage(seed: int = 3, customers: int = 30, items: int = 12) -> Matrix:
    dense = np.random.default_rng(seed).random((customers, items)) < 0.3
    return sparse.csr_array(dense.astype(np.float32))


def test_the_matrix_counts_what_each_profile_says() -> None:
    log = log_of_rows(
        (0, "apple", USE, 1),
        (0, "apple", USE, 2),
        (0, "bread", USE, 2),
        (0, "bread", RETURN, 3),
        (1, "date", DISMISS, 1),
        (1, "cheese", RETURN, 1),
        (1, "cheese", USE, 4),
        (1, "cheese", USE, 5),
        (1, "gone", USE, 5),
    )
    items = items_of(NAMES)
    counts = user_items(log, items)
    for customer in range(2):
        history = history_of(log.profile(customer), items)
        expected = np.bincount(history.item, minlength=4)
        assert counts[[customer]].toarray()[0].tolist() == expected.tolist()
    assert counts[0, at(items, "apple")] == 2
    assert counts[1, at(items, "cheese")] == 1


def test_training_weighs_a_use_as_serving_does() -> None:
    log = log_of_rows((0, "apple", USE, 1), (0, "apple", USE, 2), (0, "date", USE, 3))
    items = items_of(NAMES)
    query = Query(items, history_of(log.profile(0), items), Context(0))
    rows, weight = usage(query, 4)
    trained = weights_of(user_items(log, items))
    assert trained.indices.tolist() == rows.tolist()
    assert trained.data.tolist() == weight.tolist()


def test_a_sum_of_rows_is_a_matrix_product() -> None:
    matrix = random_usage()
    rows, factor = np.array([2, 3, 7]), np.array([1, 2, 0.5], np.float32)
    found = add_rows(matrix.indptr.astype(np.int64), matrix.indices, matrix.data, rows, factor, 12)
    np.testing.assert_allclose(found, factor @ matrix.toarray()[rows])


def test_scores_are_in_units_from_the_best_to_the_hundredth() -> None:
    values = np.random.default_rng(1).permutation(5_000).astype(np.float32)
    found = scaled([values], 5_001).values[0]
    assert found.max() - np.sort(found)[-HEAD] == pytest.approx(1)
    assert found[5_000] == 0


def test_where_few_score_above_zero_the_best_is_one() -> None:
    values = np.zeros(5_000, np.float32)
    values[[3, 8]] = 2, 4
    assert scaled([values], 5_000).values[0][[3, 8]].tolist() == [0.5, 1]


def test_popularity_is_the_log_share_of_uses_less_returns() -> None:
    items = items_of(NAMES)
    log = log_of_rows((0, "apple", USE, 1), (1, "apple", USE, 1), (1, "bread", USE, 1), (1, "bread", RETURN, 1))
    found = fit_popularity(log, items)
    total = 2 + 4 * PRIOR
    assert found.log_share[at(items, "apple")] == pytest.approx(np.log((2 + PRIOR) / total))
    assert found.log_share[at(items, "bread")] == pytest.approx(np.log(PRIOR / total))
    assert np.exp(found.log_share).sum() == pytest.approx(1)
    assert found.new < found.log_share.min()


def test_a_use_one_half_life_ago_counts_half() -> None:
    assert decayed(np.array([0, 1]), np.array([0, 3]) * DAY, 3, 2).tolist() == [0.5, 1]


def test_a_log_whose_taste_changes_wants_a_short_memory_and_a_steady_one_a_long() -> None:
    day = np.repeat(np.arange(200), 5)
    steady = np.tile(np.arange(5), 200)
    assert choose_half_life(day // 20, day * DAY, 10) <= 10
    assert choose_half_life(steady, day * DAY, 5) >= 100


def test_a_log_without_a_clock_forgets_nothing() -> None:
    assert choose_half_life(np.array([0, 1]), np.zeros(2, np.int64), 2) == np.inf


@pytest.mark.parametrize("exponents", [(0.0, 0.5, 0.5), (0.8, 0.8, 0.3), (1.0, 0.5, 0.5)])
def test_neighbours_are_the_stated_sum(exponents: tuple[float, float, float]) -> None:
    customer, source, target = exponents
    used = random_usage()
    found = fit_neighbours(used, NeighbourSettings(customer, source, target, per_item=12), threads=1)
    dense = used.toarray().astype(np.float64)
    popularity = np.maximum(dense.sum(0), 1)
    expected = (dense / np.maximum(dense.sum(1), 1)[:, None] ** customer).T @ dense
    expected = expected / popularity[:, None] ** source / popularity[None] ** target
    matrix = sparse.csr_array((found.weight, found.item, found.starts), shape=(12, 12)).toarray()
    np.testing.assert_allclose(matrix, expected, rtol=1e-5)


def test_only_the_nearest_neighbours_are_kept() -> None:
    found = fit_neighbours(random_usage(), NeighbourSettings(per_item=3), threads=1)
    assert int(np.diff(found.starts).max()) == 3


def test_the_fold_in_is_what_implicit_solves_for_a_known_customer() -> None:
    used, settings = random_usage(), FactorSettings(factors=3, iterations=3)
    found = fit_factors(used, settings, threads=1)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=3, alpha=settings.alpha, regularization=settings.regularisation, num_threads=1, random_state=0
        )
        model.item_factors = found.factors
        expected = model.recalculate_user(0, sparse.csr_matrix(used[[0]]))
    row = used[[0]]
    np.testing.assert_allclose(found.fold_in(row.indices.astype(np.int64), row.data), expected.ravel(), rtol=1e-3)


def test_the_fold_in_solves_the_normal_equations() -> None:
    used = random_usage()
    found = fit_factors(used, FactorSettings(factors=3, iterations=3), threads=1)
    confidence = np.where(used.toarray()[1] > 0, found.alpha, 1.0)
    wanted = (used.toarray()[1] > 0).astype(np.float64)
    normal = (found.factors.T * confidence) @ found.factors + 10.0 * np.eye(3)
    expected = np.linalg.solve(normal, found.factors.T @ (confidence * wanted))
    row = used[[1]]
    np.testing.assert_allclose(found.fold_in(row.indices.astype(np.int64), row.data), expected, rtol=1e-3)


def test_a_use_of_what_everybody_uses_is_worth_less_as_much_in_the_fit_as_in_an_answer() -> None:
    used, settings = random_usage(), FactorSettings(factors=3, iterations=3, discount=0.5)
    found = fit_factors(used, settings, threads=1)
    popularity: npt.NDArray[np.float32] = np.asarray(used.sum(axis=0))
    assert found.worth == pytest.approx(popularity**-0.5 / (popularity[used.indices] ** -0.5).mean())
    weighed = used.copy()
    weighed.data = found.worth[used.indices]
    again = fit_factors(weighed, replace(settings, discount=0), threads=1)
    np.testing.assert_allclose(found.factors, again.factors, atol=5e-3)
    items = Items(np.arange(12), 12, [""] * 12, np.zeros(13, np.int64), np.zeros(0, np.int64))
    rows, none = used[[0]].indices.astype(np.int64), np.zeros(0, np.int64)
    query = Query(items, History(rows, rows, rows, rows, none, none), Context(now=0))
    customer = found.fold_in(rows, found.worth[rows])
    assert found.score([query])[0].values[0] == pytest.approx(
        scaled([found.factors @ customer], 12).values[0], abs=1e-5
    )


def test_few_used_items_are_folded_in_as_many_are_and_as_before_the_inverse_was_kept() -> None:
    found = fit_factors(random_usage(items=40), FactorSettings(factors=8, iterations=3), threads=1)
    before = replace(found, inverse=np.zeros((0, 0), np.float32))
    for few in (1, 3, 7, 8, 20):
        used, weight = np.arange(few), np.linspace(1, 2, few).astype(np.float32)
        np.testing.assert_allclose(found.fold_in(used, weight), before.fold_in(used, weight), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("few", [3, 8, 9, 40])
def test_who_used_more_items_than_there_are_factors_is_answered_as_the_normal_equations_say(few: int) -> None:
    found = fit_factors(random_usage(items=40), FactorSettings(factors=8, iterations=3), threads=1)
    used, none = np.arange(few), np.zeros(0, np.int64)
    items = Items(np.arange(40), 40, [""] * 40, np.zeros(41, np.int64), none)
    query = Query(items, History(used, used, used, used, none, none), Context(now=0))
    own, confidence = found.factors[used].astype(np.float64), (found.worth[used] * found.alpha).astype(np.float64)
    normal = found.gram + (own.T * (confidence - 1)) @ own
    product: FloatArray = (found.factors @ np.linalg.solve(normal, confidence @ own)).astype(np.float32)
    wanted = scaled([product], 40).values[0]
    np.testing.assert_allclose(found.score([query])[0].values[0], wanted, atol=2e-5)


def test_a_token_weighs_what_it_gathers_and_one_of_all_items_nothing() -> None:
    everywhere, sweet, torn = map(code64, ("shop=ours", "taste=sweet", "label=red"))
    tokens = {"apple": [everywhere, sweet], "date": [everywhere, sweet], "bread": [everywhere, torn]}
    tokens["cheese"] = [everywhere]
    items = items_of(NAMES, [np.array(tokens[name]) for name in NAMES])
    rows = [(c, name, USE, 1) for c in range(60) for name in (("apple", "date") if c % 2 else ("bread", "cheese"))]
    found = fit_attributes(user_items(log_of_rows(*rows), items), items)
    weight = dict(zip(found.tokens.tolist(), found.weight.tolist(), strict=True))
    assert weight[everywhere] == pytest.approx(0, abs=0.2)
    assert weight[sweet] > float(found.new) / 2
    assert weight[torn] < weight[sweet]


def test_the_blend_finds_the_column_that_knows() -> None:
    random = np.random.default_rng(4)
    gain = np.eye(30, dtype=np.float32)[random.integers(0, 30, 200)]
    knows = gain + random.normal(0, 0.3, gain.shape)
    values = np.stack([random.normal(size=gain.shape), knows], axis=1).astype(np.float32)
    pool = Pool(values, gain, np.ones(200, np.float32), np.zeros(200, np.float32))
    sources = [Popularity(np.zeros(30, np.float32), np.zeros((), np.float32)) for _ in range(2)]
    ranker: Ranker = fit_blend(sources, [pool])
    assert ranker.weights.shape == (1, 2)
    assert page_quality(pool, ranker.weights[0]) >= page_quality(pool, np.array([0, 1], np.float32))
    assert abs(ranker.weights[0, 0]) < ranker.weights[0, 1] / 3


def test_the_blend_is_as_sure_of_itself_as_it_may_be() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 1, (4_000, 10))
    odds = np.exp(8 * logits)
    right = (odds.cumsum(1) / odds.sum(1, keepdims=True) > random.random((4_000, 1))).argmax(1)
    values, gain, ones = logits[:, None].astype(np.float32), np.eye(10, dtype=np.float32)[right], np.ones(4_000, "f")
    pool = Pool(values, gain, ones, 0 * ones)
    source = Popularity(np.zeros(10, np.float32), np.zeros((), np.float32))
    assert fit_blend([source], [pool]).weights.tolist() == [[8]]


def test_content_without_a_clock_has_ease_where_a_matrix_over_the_items_can_be_inverted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [(who, NAMES[item], USE, 0) for who in range(80) for item in range(4) if (who + item) % 3]
    subject = Subject(Kind.CONTENT, items_of(NAMES), log_of_rows(*rows))
    settings = Training(factors=2, iterations=2, threads=1)
    model = fit_kind(subject, settings)
    again = refit(model, replace(subject, log=log_of_rows(*rows[:60])), settings)
    assert penalty_in(model.sources) == penalty_in(again.sources) > 0
    assert again.ranker is model.ranker
    monkeypatch.setattr(content, "INVERTED", len(NAMES) - 1)
    without = fit_kind(subject, settings)
    assert penalty_in(without.sources) == 0
    assert [source.name for source in refit(without, subject, settings).sources] == [s.name for s in without.sources]


@pytest.mark.parametrize(("customers", "clocked", "known"), [(19, True, False), (20, True, True), (3, False, True)])
def test_few_customers_have_no_factors_where_a_clock_tells_what_each_does(
    customers: int, clocked: bool, known: bool
) -> None:
    log = log_of_rows(*((who, name, USE, day) for who in range(customers) for day, name in enumerate(NAMES[:3])))
    found = {source.name: source for source in content.fit_linear(log, items_of(NAMES), Training(), clocked=clocked)}
    asked = Query(items_of(NAMES), history_of(log.profile(0), items_of(NAMES)), Context(now=0))
    assert found["factors"].score([asked])[0].dense(4).any() == known
    assert found["neighbours"].score([asked])[0].dense(4).any()


def test_a_log_without_a_clock_still_lets_text_reach_what_is_new() -> None:
    rows = [(customer, NAMES[item], USE, 1) for customer in range(40) for item in (customer % 4, (customer + 1) % 4)]
    pieces = [np.array([code64("shop=ours")])] * 4
    subject = Subject(Kind.CONTENT, items_of(NAMES, pieces, pieces), log_of_rows(*rows))
    ranker = fit_kind(subject, Training(factors=2, iterations=2, threads=1)).ranker
    weights = dict(zip(ranker.columns, ranker.weights[0].tolist(), strict=True))
    assert weights["text.text"] > 0
