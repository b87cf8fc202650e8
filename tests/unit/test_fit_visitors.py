"""What ranks for visitors never seen: EASE and sets against second formulas, and their blend on worlds on paper."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.errors import MurmeliError
from recommender.history import Items
from recommender.model import KindModel
from recommender.settings import Training
from recommender.sources.base import from_arrays, to_arrays
from recommender.sources.ease import Ease
from recommender.sources.sets import SIZES, Sets
from recommender.sources.usage import Matrix
from recommender.types import EVENT, USE, FloatArray, IntArray, Kind, codes64
from training.dataset import Log, items_of, log_of
from training.evaluation import model_ranking
from training.fit import ease, pairs, sets
from training.fit.ascent import PAGE
from training.fit.ease import climb, fit_ease, invert, penalty_of
from training.fit.kind import Subject, fit_kind, refit
from training.fit.pairs import WIDE, count_pairs
from training.fit.sets import (
    CHECK,
    GIVEN,
    PRIOR_OF_PAIRS,
    WORTH,
    Questions,
    Weights,
    _shares,
    ask,
    fit_sets,
    inputs_of,
    ranking,
    slope,
    surprise,
)
from training.fit.slices import HELD_OUT
from training.fit.visitors import FEW_CUSTOMERS, known_by, suits

SETTINGS = Training(threads=1)


def random_usage(customers: int, items: int, seed: int = 3) -> Matrix:
    dense = np.random.default_rng(seed).random((customers, items)) < 0.3
    return sparse.csr_array(dense.astype(np.float32))


def dense_of(found: Ease, items: int) -> FloatArray:
    matrix: FloatArray = sparse.csr_array((found.weight, found.item, found.starts), shape=(items, items)).toarray()
    return matrix


@pytest.mark.parametrize(("customers", "items"), [(40, 13), (13, 40), (20, 20)])
def test_ease_is_a_ridge_regression_of_each_item_on_the_others_whichever_side_is_inverted(
    customers: int, items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ease, "BLOCK", 6)
    used = random_usage(customers, items)
    found = dense_of(fit_ease(used, 5.0), items)
    x = used.toarray().astype(np.float64)
    for item in range(items):
        others = np.delete(np.arange(items), item)
        column = np.linalg.solve(x[:, others].T @ x[:, others] + 5 * np.eye(items - 1), x[:, others].T @ x[:, item])
        np.testing.assert_allclose(found[others, item], column, atol=1e-5)
        assert found[item, item] == 0


@pytest.mark.parametrize("block", [1, 4, 7, 50])
def test_an_inverse_in_blocks_is_the_inverse(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "BLOCK", block)
    dense = random_usage(60, 15).toarray()
    square = (dense.T @ dense + np.eye(15)).astype(np.float32)
    expected = np.linalg.inv(square.astype(np.float64))
    invert(square)
    np.testing.assert_allclose(square, expected, atol=1e-5)


def test_the_weights_that_move_scores_most_are_kept_negative_ones_too() -> None:
    used = random_usage(40, 13)
    whole, few = dense_of(fit_ease(used, 5.0), 13), dense_of(fit_ease(used, 5.0, per_item=3), 13)
    assert (np.count_nonzero(few, axis=1) == 3).all()
    assert (few < 0).any()
    for row, kept in zip(whole, few, strict=True):
        assert set(np.flatnonzero(kept)) == set(np.argsort(-np.abs(row))[:3])


def test_ease_that_would_not_fit_into_memory_is_refused_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "LARGEST", 4 * 12**2)
    with pytest.raises(MurmeliError, match="40 customers and 13 items"):
        fit_ease(random_usage(40, 13), 5.0)
    fit_ease(random_usage(40, 12), 5.0)


@pytest.mark.parametrize("best", ease.PENALTIES)
def test_the_search_for_a_penalty_climbs_from_the_middle_either_way(best: float) -> None:
    tried: list[float] = []

    def quality(penalty: float) -> float:
        tried.append(penalty)
        return -abs(float(np.log(penalty / best)))

    assert climb(quality) == best
    assert len(tried) == len(set(tried)) <= len(ease.PENALTIES)


def test_a_penalty_is_chosen_by_what_was_hidden_from_it() -> None:
    used = random_usage(60, 25, seed=8)
    rng = np.random.default_rng(7)
    hidden = rng.random(used.nnz) < HELD_OUT
    known, wanted = used.toarray(), np.zeros(used.shape, np.float32)
    rows = np.repeat(np.arange(60), np.diff(used.indptr))
    known[rows[hidden], used.indices[hidden]], wanted[rows[hidden], used.indices[hidden]] = 0, 1

    def quality(penalty: float) -> float:
        score = np.where(known > 0, -np.inf, known @ dense_of(fit_ease(sparse.csr_array(known), penalty), 25))
        found = 0.0
        for one, right in zip(score, wanted, strict=True):
            if right.any() and np.isfinite(one).sum() < 25:
                first = right[np.argsort(-one, kind="stable")[:PAGE]]
                best = 1 / np.log2(np.arange(2, 2 + int(right.sum())))
                found += float((first / np.log2(np.arange(2, 2 + first.size))).sum() / best.sum())
        return found

    assert penalty_of(used, 7) == climb(quality)
    assert quality(penalty_of(used, 7)) > quality(1.0)


def test_where_nobody_can_be_asked_the_smallest_penalty_will_do() -> None:
    assert penalty_of(random_usage(3, 4)[:0], 7) == ease.PENALTIES[0]


def start(items: int, seed: int = 5) -> Weights:
    """Weights of every kind, none of them 0, for a few hidden units."""
    rng = np.random.default_rng(seed)
    shapes = {"direct": (items, items), "inward": (items + len(SIZES) + 1, 4), "outward": (4, items), "shift": (items,)}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def several(customers: int, items: int) -> Matrix:
    used = random_usage(customers, items)
    return used[np.flatnonzero(np.diff(used.indptr) > 1)]


def test_every_question_gives_one_at_least_and_asks_for_all_the_rest() -> None:
    used = several(60, 9)
    questions = ask(used, np.random.default_rng(1))
    given, wanted = questions.given.toarray(), questions.wanted.toarray()
    np.testing.assert_array_equal(given + (wanted > 0), used.toarray())
    assert (given.sum(1) >= 1).all()
    rest = (wanted > 0).sum(1)
    assert (rest >= 1).all()
    assert np.count_nonzero(rest == 1) > rest.size / 3
    one, few = wanted.max(1) == 1, wanted.max(1) == WORTH
    assert (one ^ few).all()
    assert (rest[one] == 1).all()
    assert set(given[few & (rest > 1)].sum(1)) <= set(GIVEN)


def test_the_slope_is_that_of_the_surprise() -> None:
    used = several(12, 7)
    questions, weights = ask(used, np.random.default_rng(1)), start(7)
    found = slope(weights, questions, np.ones((used.shape[0], 4), np.float32))
    scale = float(questions.wanted.sum()) / used.shape[0]
    rng = np.random.default_rng(2)
    for name, one in weights.items():
        aside = rng.normal(size=one.shape).astype(np.float32)
        there, back = (weights | {name: one + sign * np.float32(1e-2) * aside} for sign in (1, -1))
        expected = (surprise(there, questions) - surprise(back, questions)) / 2e-2 * scale
        assert float((found[name] * aside).sum()) == pytest.approx(expected, rel=2e-2, abs=2e-4)


@pytest.mark.parametrize("rectified", [True, False])
def test_serving_computes_what_training_computed_and_models_of_the_first_version_as_ever(rectified: bool) -> None:
    used, weights = several(12, 7), start(7)
    questions = ask(used, np.random.default_rng(1))
    first = {name: np.asarray(one) for name, one in weights.items()} | {"steps": np.array(1)}
    source = from_arrays(Sets, first | ({"rectified": np.array(True)} if rectified else {}))
    items = items_of([f"item-{number}" for number in range(7)])
    root = np.sqrt(questions.given.sum(axis=1))[:, None] if not rectified else 1
    size = questions.inputs[:, [7 + at for at in range(len(SIZES) + 1)]] @ weights["inward"][7:]
    into = questions.given @ weights["inward"][:7] / root + size
    hidden = np.maximum(into, 0) if rectified else np.tanh(into)
    expected = hidden @ weights["outward"] + questions.given @ weights["direct"] + weights["shift"]
    if rectified:
        share, _ = _shares(weights, questions, np.float32(1))
        odds = np.where(questions.given.toarray() > 0, 0, np.exp(expected))
        np.testing.assert_allclose(share, odds / odds.sum(1, keepdims=True), rtol=1e-3)
    for row, given in enumerate(questions.given.toarray() > 0):
        score = source.score([known_by(items, np.flatnonzero(given))])[0].values[0]
        np.testing.assert_allclose(score[~given], expected[row][~given], rtol=1e-4, atol=1e-5)
        assert not score[given].any()


def test_the_more_steps_the_less_surprised_by_what_it_learns_from(monkeypatch: pytest.MonkeyPatch) -> None:
    used = several(200, 9)
    questions = ask(used, np.random.default_rng(9))
    monkeypatch.setattr(sets, "NETWORKS", 1)
    losses = [surprise(_weights(fit_sets(used, 7, steps), used), questions) for steps in (0, 20, 60, 200)]
    assert losses == sorted(losses, reverse=True)


def test_networks_are_averaged_as_many_as_the_catalogue_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    used, items = several(60, 9), items_of([f"item-{number}" for number in range(9)])
    three, query = fit_sets(used, 7, 5), [known_by(items, np.array([1, 4, 6]))]
    monkeypatch.setattr(sets, "NETWORKS", 1)
    alone = [fit_sets(used, 7 + other, 5).score(query)[0].values for other in range(3)]
    np.testing.assert_allclose(three.score(query)[0].values, np.mean(alone, axis=0), atol=1e-5)
    monkeypatch.setattr(sets, "NETWORKS", 3)
    monkeypatch.setattr(sets, "ITEMS", 18)
    assert fit_sets(used, 7, 5).outward.shape[0] == 2 * sets.HIDDEN


def test_two_items_are_also_known_by_what_else_was_used_by_who_used_both() -> None:
    used, items, at = several(60, 9), items_of([f"item-{number}" for number in range(9)]), np.array([1, 4])
    found = fit_sets(used, 7, 40)
    query = [known_by(items, at)]
    plain = replace(found, pair=found.pair[:0], starts=found.starts[:1], item=found.item[:0], weight=found.weight[:0])
    rest = np.setdiff1d(np.arange(9), at)
    likely = np.exp(plain.score(query)[0].values[0, rest] + found.share[rest])
    counted = np.zeros(9)
    for customer in used.toarray():
        size = int(customer.sum())
        if customer[at].all() and size > 2:
            counted += customer * 2 / (size * (size - 1))
    assert counted[rest].any()
    expected = PRIOR_OF_PAIRS * likely / likely.sum() + counted[rest]
    score = found.score(query)[0].values[0]
    odds = np.exp(score[rest] + found.share[rest])
    np.testing.assert_allclose(odds / odds.sum(), expected / expected.sum(), rtol=2e-4)
    assert not score[at].any()
    three = [known_by(items, np.array([1, 4, 6]))]
    assert found.score(three)[0].values.tobytes() == plain.score(three)[0].values.tobytes()


def test_a_pair_is_known_by_what_else_was_used_with_it_and_every_customer_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairs, "FEWEST", 1)
    dense = np.zeros((5, WIDE + 2), np.float32)
    dense[0, :3] = dense[1, [0, 1, 2, 5]] = dense[2, :2] = dense[3, 6] = 1
    dense[4, : WIDE + 1] = 1
    found = count_pairs(sparse.csr_array(dense))
    first, second = np.divmod(found.pair, WIDE + 2)
    whole = list(zip(first.tolist(), second.tolist(), strict=True))
    assert whole == [(0, 0), (0, 1), (0, 2), (0, 5), (1, 1), (1, 2), (1, 5), (2, 2), (2, 5), (5, 5)]
    rest = {
        tuple(pair): dict(zip(found.item[start:end].tolist(), found.weight[start:end].tolist(), strict=True))
        for *pair, start, end in zip(first.tolist(), second.tolist(), found.starts[:-1], found.starts[1:], strict=True)
    }
    assert rest[0, 1] == pytest.approx({2: 1 / 3 + 1 / 6, 5: 1 / 6})
    assert rest[2, 5] == pytest.approx({0: 1 / 6, 1: 1 / 6})
    assert sum(sum(row.values()) for (one, two), row in rest.items() if one != two) == pytest.approx(1 + 2)
    assert rest[0, 0] == pytest.approx({1: 1 / 3 + 1 / 4 + 1 / 2, 2: 1 / 3 + 1 / 4, 5: 1 / 4})
    assert rest[5, 5] == pytest.approx({0: 1 / 4, 1: 1 / 4, 2: 1 / 4})
    monkeypatch.setattr(pairs, "ALONE", 0.5)
    limited = count_pairs(sparse.csr_array(dense))
    assert limited.weight[: limited.starts[1]].sum() == pytest.approx(0.5)
    assert limited.weight[: limited.starts[1]] * 2 * sum(rest[0, 0].values()) == pytest.approx([*rest[0, 0].values()])
    monkeypatch.setattr(pairs, "FEWEST", 2)
    wide = WIDE + 2
    assert count_pairs(sparse.csr_array(dense)).pair.tolist() == [0, 1, 2, wide + 1, wide + 2, 2 * wide + 2]


def test_who_used_one_item_is_answered_by_the_network_and_what_else_others_used() -> None:
    used, items = several(60, 9), items_of([f"item-{number}" for number in range(9)])
    found, query = fit_sets(used, 7, 40), [known_by(items, np.array([4]))]
    plain = replace(found, pair=found.pair[:0], starts=found.starts[:1], item=found.item[:0], weight=found.weight[:0])
    rest = np.setdiff1d(np.arange(9), 4)
    likely = np.exp(plain.score(query)[0].values[0, rest] + found.share[rest])
    counted = sum(customer / customer.sum() for customer in used.toarray() if customer[4] and customer.sum() > 1)
    counted *= min(1, pairs.ALONE / counted[rest].sum())
    expected = PRIOR_OF_PAIRS * likely / likely.sum() + counted[rest]
    odds = np.exp(found.score(query)[0].values[0, rest] + found.share[rest])
    np.testing.assert_allclose(odds / odds.sum(), expected / expected.sum(), rtol=2e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"item": np.full(3, 9, np.int32)},
        {"item": np.full(3, -1, np.int32)},
        {"weight": np.ones(2, np.float32)},
        {"starts": np.array([0, 1])},
        {"starts": np.array([0, 4, 3])},
        {"starts": np.array([1, 2, 3])},
        {"share": np.zeros(8, np.float32)},
        {"pair": np.array([1, 2, 3])},
    ],
)
def test_pairs_that_do_not_fit_their_items_are_refused(wrong: dict[str, IntArray | FloatArray]) -> None:
    parts = {"pair": np.array([1, 2]), "starts": np.array([0, 2, 3]), "item": np.arange(3), "weight": np.ones(3)}
    model = to_arrays(fit_sets(several(60, 9), 7, 2)) | parts
    from_arrays(Sets, model)
    with pytest.raises(ValueError, match="do not fit"):
        from_arrays(Sets, model | wrong)


def test_of_pairs_those_that_most_used_are_kept() -> None:
    used = several(60, 9)
    whole, few, none = count_pairs(used), count_pairs(used, cells=130), count_pairs(used, cells=0)
    assert none.pair.tolist() == [10 * item for item in range(9)]
    met = used.T @ used
    least = min(met[divmod(pair, 9)] for pair in few.pair.tolist())
    assert none.item.size < few.item.size <= 130
    assert all(met[divmod(pair, 9)] <= least for pair in np.setdiff1d(whole.pair, few.pair).tolist())
    assert count_pairs(used[:0]).pair.size == 0


def test_two_items_met_together_once_move_each_other_less_and_those_met_often_as_far_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dense = np.zeros((300, 6), np.float32)
    dense[:150, :2] = dense[150, 2:4] = dense[151:, 4:] = 1
    used: Matrix = sparse.csr_array(dense)
    direct = fit_sets(used, 1, 200).direct
    monkeypatch.setitem(sets.FLOOR, "direct", 1e-8)
    without = fit_sets(used, 1, 200).direct
    assert 0 < direct[2, 3] < 0.95 * without[2, 3]
    assert direct[0, 1] == pytest.approx(without[0, 1], rel=0.02)


@pytest.mark.usefixtures("short")
def test_as_many_steps_are_taken_as_answer_others_best_and_those_weights_are_kept() -> None:
    used = several(200, 9)
    questions = ask(several(60, 9), np.random.default_rng(9))
    found = fit_sets(used, 7, questions)
    again = fit_sets(used, 7, int(found.steps))
    assert found.outward.tobytes() == again.outward.tobytes()
    best = ranking(_weights(found, used), questions)
    assert all(ranking(_weights(fit_sets(used, 7, steps), used), questions) <= best for steps in (0, CHECK, 2 * CHECK))


def _weights(found: Sets, used: Matrix) -> Weights:
    share = used.sum(axis=0) + 0.5
    shift = found.shift + np.log(share / share.sum()).astype(np.float32)
    return {"direct": found.direct, "inward": found.inward, "outward": found.outward, "shift": shift}


def test_where_nobody_has_two_items_nothing_is_learned() -> None:
    nobody = sparse.csr_array(np.eye(5, dtype=np.float32))
    found = fit_sets(nobody, 7, ask(several(60, 5), np.random.default_rng(1)))
    assert int(found.steps) == 0
    assert not found.direct.any()
    assert np.isfinite(fit_sets(sparse.csr_array(np.zeros((0, 3), np.float32)), seed=7, steps=5).shift).all()


def test_the_class_of_a_number_is_an_input() -> None:
    given = np.zeros((2, 70), np.float32)
    given[0, 0], given[1, :64] = 1, 1
    inputs = inputs_of(sparse.csr_array(given)).toarray()
    assert inputs[0, 0] == inputs[1, 0] == 1
    assert np.flatnonzero(inputs[0, 70:]).tolist() == [0]
    assert np.flatnonzero(inputs[1, 70:]).tolist() == [len(SIZES)]


def pairs_world(customers: int = 600) -> Subject:
    """Everybody used `home` and both halves of one of four pairs, but for a few who used it and one half."""
    names = ["home", *(f"{half}{pair}" for pair in range(4) for half in "ab")]
    rows = []
    for customer in range(customers):
        pair = customer % 4
        rows += [(customer, "home"), (customer, f"a{pair}")]
        rows += [(customer, f"b{pair}")] if customer % 8 < 6 else []
    events = np.zeros(len(rows), EVENT)
    events["item"], events["type"], events["key"] = codes64(item for _, item in rows), USE, np.arange(1, len(rows) + 1)
    return Subject(Kind.FEATURE, items_of(names), log_of(np.array([who for who, _ in rows]), events))


def first(model: KindModel, items: Items, *used: str) -> str:
    at = np.array([items.ids.index(name) for name in used])
    score = model_ranking(model)(known_by(items, np.sort(at))).copy()
    score[at] = -np.inf
    return str(items.ids[int(score.argmax())])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps of one network: these worlds need no more."""
    monkeypatch.setattr(sets, "STEPS", 300)
    monkeypatch.setattr(sets, "NETWORKS", 1)


@pytest.mark.usefixtures("short")
def test_a_visitor_never_seen_gets_the_other_half_and_what_they_use_stays_first() -> None:
    world = pairs_world()
    model = fit_kind(world, SETTINGS)
    assert {"habit", "popularity", "neighbours", "ease", "sets"} < {source.name for source in model.sources}
    for pair in range(4):
        assert first(model, world.items, "home", f"a{pair}") == f"b{pair}"
        assert first(model, world.items, f"b{pair}", "home") == f"a{pair}"
    used = np.sort([world.items.ids.index(name) for name in ("home", "a1")])
    score = model_ranking(model)(known_by(world.items, used))
    assert set(np.argsort(-score)[:2].tolist()) == set(used.tolist())


@pytest.mark.usefixtures("short")
def test_attributes_count_a_little_however_much_is_known() -> None:
    model = fit_kind(pairs_world(300), SETTINGS)
    at = model.ranker.columns.index("attributes.attributes")
    alone = model.ranker.weights[0, at]
    assert alone > 0
    assert (alone + model.ranker.weights[1:, at] > 0).all()


@pytest.mark.usefixtures("short")
def test_the_same_log_and_seed_give_the_same_bytes_and_a_refit_keeps_what_was_chosen() -> None:
    world = pairs_world(300)
    model, again = fit_kind(world, SETTINGS), fit_kind(world, SETTINGS)
    assert model.ranker.weights.tobytes() == again.ranker.weights.tobytes()
    anew = refit(model, replace(world, log=pairs_world(400).log), SETTINGS)
    one, two, three = (next(s for s in m.sources if isinstance(s, Sets)) for m in (model, again, anew))
    assert one.direct.tobytes() == two.direct.tobytes()
    assert one.direct.tobytes() != three.direct.tobytes()
    assert one.steps == three.steps
    chosen = [float(s.penalty) for m in (model, anew) for s in m.sources if isinstance(s, Ease)]
    assert chosen[0] == chosen[1]
    assert anew.ranker is model.ranker


def test_a_large_catalogue_and_a_handful_of_customers_are_fitted_otherwise() -> None:
    def usage(customers: int, items: int) -> Matrix:
        who = np.repeat(np.arange(customers), 2)
        what = np.tile([0, 1], customers)
        return sparse.csr_array((np.ones(who.size, np.float32), (who, what)), shape=(customers, items))

    assert suits(usage(FEW_CUSTOMERS, 2_000))
    assert not suits(usage(FEW_CUSTOMERS, 2_001))
    assert not suits(usage(FEW_CUSTOMERS - 1, 10))


def log_of_one_item() -> Log:
    events = np.zeros(300, EVENT)
    events["item"], events["type"], events["key"] = codes64(["only"])[0], USE, np.arange(1, 301)
    return log_of(np.arange(300), events)


def test_a_log_of_one_item_and_one_of_one_customer_are_ranked_too() -> None:
    for log in (log_of_one_item(), log_of(np.zeros(300, np.int64), log_of_one_item().events)):
        items = items_of(["only"])
        model = fit_kind(Subject(Kind.FEATURE, items, log), SETTINGS)
        assert np.isfinite(model_ranking(model)(known_by(items, np.array([0])))).all()


def test_questions_can_be_taken_apart() -> None:
    questions: Questions = ask(several(30, 9), np.random.default_rng(1))
    some = questions.some(np.array([2, 0]))
    np.testing.assert_array_equal(some.given.toarray(), questions.given.toarray()[[2, 0]])


def test_hidden_units_left_out_are_drawn_from_the_seed() -> None:
    used = several(60, 9)
    assert fit_sets(used, 1, 5).outward.tobytes() == fit_sets(used, 1, 5).outward.tobytes()
    assert fit_sets(used, 1, 5).outward.tobytes() != fit_sets(used, 2, 5).outward.tobytes()
