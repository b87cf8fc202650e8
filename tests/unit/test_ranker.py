"""The blend, by hand where it fits on paper, and learned from small logs whose habits are plain."""

import numpy as np
import pytest

from recommender.history import Items
from recommender.ranker import ROWS, Ranker, situation
from recommender.sources.base import Scores, Source
from recommender.sources.habit import Habit
from tests.unit.steps import asked, letters, log_of_letters, positions
from training.dataset import Log
from training.fit.popularity import fit_popularity
from training.fit.ranker import fit_ranker, replay_parts
from training.fit.transitions import fit_transitions
from training.questions import step

ITEMS = letters("abcd")
QUERY = asked(ITEMS, "ab")
SPARSE = Scores(np.array([[3, 5]], np.float32), np.array([1, 3]), np.array([1], np.float32))
DENSE = Scores(np.array([[0, 1, 2, 3]], np.float32), None, np.zeros(1, np.float32))
BY_HAND = Ranker(("one.sparse", "two.dense"), np.array([[2, 10]], np.float32))


def learned(log: Log, items: Items, **options: object) -> tuple[Ranker, tuple[Source, ...]]:
    sources = (Habit(), fit_transitions(log, items), fit_popularity(log, items))
    return fit_ranker(log, items, lambda _: sources, seed=1, **options), sources  # type: ignore[arg-type]


def probabilities(ranker: Ranker, sources: tuple[Source, ...], items: Items, text: str) -> np.ndarray:
    query = asked(items, text)
    return ranker.probabilities(ranker.blend(query, [source.score([query])[0] for source in sources]))


def with_late(known: Items) -> Items:
    """These items, and z, which came after training."""
    codes = np.append(known.codes, letters("z").codes)
    return Items(codes, known.known, [*known.ids, "z"], np.zeros(codes.size + 1, np.int64), np.zeros(0, np.int64))


def test_the_blend_adds_up_what_each_column_says_above_its_floor() -> None:
    assert BY_HAND.blend(QUERY, [SPARSE, DENSE]).tolist() == [0, 2 * 2 + 10, 20, 2 * 4 + 30]


def test_contributions_add_up_to_the_distance_from_the_average_item() -> None:
    score = BY_HAND.blend(QUERY, [SPARSE, DENSE])
    lift = BY_HAND.contributions(QUERY, [SPARSE, DENSE], np.array([3, 0, 1]))
    assert lift.shape == (2, 3)
    assert lift.sum(axis=0) == pytest.approx(score[[3, 0, 1]] - score.mean())


def test_probabilities_add_up_to_one_however_large_the_scores() -> None:
    assert Ranker.probabilities(np.array([1e4, 1e4, 0], np.float32)).tolist() == [0.5, 0.5, 0]
    assert Ranker.probabilities(np.zeros(0, np.float32)).size == 0


def test_a_situations_weights_are_the_sum_of_its_rows() -> None:
    weights = np.zeros((ROWS, 1), np.float32)
    weights[situation(QUERY)] = 1
    ranker = Ranker(("two.dense",), weights)
    assert ranker.blend(QUERY, [DENSE]).tolist() == (situation(QUERY).size * DENSE.values[0]).tolist()


@pytest.mark.parametrize("text", ["", "a", "aa", "abababab", "abcd" * 400])
def test_every_situation_has_its_own_rows_within_the_weights(text: str) -> None:
    rows = situation(asked(ITEMS, text))
    assert rows[0] == 0
    assert (np.diff(rows) > 0).all()
    assert rows[-1] < ROWS


def test_situations_differ_by_length_by_repeats_and_by_what_was_met_before() -> None:
    told = {tuple(situation(asked(ITEMS, text)).tolist()) for text in ("", "a", "aa", "abab", "ababab", "abcd" * 30)}
    assert len(told) == 6


def test_a_routine_is_learned_to_near_certainty() -> None:
    ranker, sources = learned(log_of_letters("abcd" * 40, "dcab" * 40), ITEMS)
    assert probabilities(ranker, sources, ITEMS, "abcd" * 20 + "ab")[positions(ITEMS, "c")[0]] > 0.9


def test_where_nobody_repeats_at_once_the_last_used_comes_last_of_the_used() -> None:
    random = np.random.default_rng(0)
    steps = [random.integers(1, 4, 150).cumsum() % 4 for _ in range(4)]
    switches = ["".join("abcd"[at] for at in walk) for walk in steps]
    ranker, sources = learned(log_of_letters(*switches), ITEMS)
    last = positions(ITEMS, switches[0][-1])[0]
    assert probabilities(ranker, sources, ITEMS, switches[0]).argmin() == last


@pytest.fixture(scope="module")
def repeating() -> tuple[Ranker, tuple[Source, ...], Items]:
    """Twenty customers who mostly go on with what they did, of twelve items each."""
    random = np.random.default_rng(2)
    items = letters("abcdefghijklmnop")
    texts = []
    for _ in range(20):
        own, text = random.permutation(list("abcdefghijklmnop"))[:12], ""
        for _ in range(100):
            again = text and random.random() < 0.8
            text += text[-1 - random.integers(min(len(text), 4))] if again else random.choice(own)
        texts.append(text)
    return *learned(log_of_letters(*texts), items), items


@pytest.mark.parametrize("history", ["", "b", "bc", "bcdbcd", "aaaaabbbbb", "abcdefgh" * 10])
def test_one_more_use_of_an_item_raises_its_score(
    repeating: tuple[Ranker, tuple[Source, ...], Items], history: str
) -> None:
    ranker, sources, items = repeating
    before, after = (probabilities(ranker, sources, items, text) for text in (history, history + "p"))
    assert after[positions(items, "p")] > before[positions(items, "p")]


def test_an_item_that_came_after_training_rises_with_its_first_use(
    repeating: tuple[Ranker, tuple[Source, ...], Items],
) -> None:
    ranker, sources, known = repeating
    before, after = (probabilities(ranker, sources, with_late(known), text) for text in ("abcabc", "abcabcz"))
    assert after[-1] > 2 * before[-1]


@pytest.mark.parametrize("weight", [-2.0, 0.0, 0.01])
def test_weights_that_speak_against_repeats_do_not_lower_an_item_that_came_after_training(weight: float) -> None:
    habit = Habit()
    columns = tuple(f"habit.{name}" for name in habit.columns)
    ranker = Ranker(columns, np.full((1, len(columns)), weight, np.float32))
    before, after = (probabilities(ranker, (habit,), with_late(ITEMS), text) for text in ("abcabc", "abcabcz"))
    assert after[-1] > before[-1]


def test_contributions_hold_what_an_item_that_came_after_training_is_owed() -> None:
    habit, query = Habit(), asked(with_late(ITEMS), "abcabcz")
    columns = tuple(f"habit.{name}" for name in habit.columns)
    ranker, scores = Ranker(columns, np.full((1, len(columns)), -1, np.float32)), habit.score([query])
    score, every = ranker.blend(query, scores), np.arange(5)
    assert ranker.contributions(query, scores, every).sum(axis=0) == pytest.approx(score - score.mean(), abs=1e-3)


@pytest.mark.parametrize("texts", [(), ("a",), ("abcab",), ("aaaa", "a"), ("abcd",), ("a", "b", "c", "d")])
def test_logs_too_small_to_learn_from_still_give_a_sensible_order(texts: tuple[str, ...]) -> None:
    ranker, sources = learned(log_of_letters(*texts), ITEMS)
    assert np.isfinite(ranker.weights).all()
    assert np.isfinite(probabilities(ranker, sources, ITEMS, "abca")).all()


def test_a_log_without_a_clock_can_be_learned_from() -> None:
    ranker, _ = learned(log_of_letters("abcdabcd" * 5, "abab" * 5, step=0), ITEMS)
    assert np.isfinite(ranker.weights).all()


def test_the_same_log_and_seed_give_the_same_weights() -> None:
    log = log_of_letters("abcdabdc" * 20, "bcad" * 20)
    one, two = (learned(log, ITEMS, limit=50)[0].weights for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    ("limit", "fitted_on", "questions"), [(12_000, [40, 30, 20], 30), (10, [40], 10), (7, [40], 7)]
)
def test_older_parts_are_asked_where_the_newest_has_too_few_questions(
    limit: int, fitted_on: list[int], questions: int
) -> None:
    fitted: list[int] = []

    def fit(earlier: Log) -> tuple[Source, ...]:
        fitted.append(earlier.events.size)
        return (Habit(),)

    random = np.random.default_rng(0)
    _, replay = replay_parts(log_of_letters("abcda" * 10), ITEMS, fit, limit, random)
    assert fitted == fitted_on
    assert replay.questions == questions


def test_a_question_is_asked_from_what_was_known_before_the_event() -> None:
    query = step(log_of_letters("abcd"), ITEMS, 0, 2)
    assert query.history.item.tolist() == positions(ITEMS, "ab").tolist()
    assert query.context.now == query.history.time[-1] + 60_000


def test_a_stranger_sees_what_everybody_uses_though_no_stranger_was_learned_from() -> None:
    log = log_of_letters("ab" * 40 + "cd", "ba" * 40 + "c")
    ranker, sources = learned(log, ITEMS)
    told = probabilities(ranker, sources, ITEMS, "")
    assert told == pytest.approx(np.exp(sources[2].score([asked(ITEMS, "")])[0].values[0]), rel=0.01)
