"""Taking items out of a log and giving them back, on a shop of two tastes, by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import UsageError
from recommender.history import Items
from recommender.model import KindModel, by_habit, column_names
from recommender.ranker import Ranker
from recommender.settings import Training
from recommender.sources.attributes import Attributes
from recommender.sources.base import Source
from recommender.stores.base import Item
from recommender.tokens import tokens_of
from recommender.types import DAY, EVENT, PURCHASE, Kind, code64
from training.catalogues import described
from training.dataset import Log, log_of
from training.fit.kind import Subject
from training.fit.popularity import fit_popularity
from training.new_items import Exam, K, among_new, exam_of, nearest_description, run, tfidf, whole

CUPS = [f"{colour} cup" for colour in ("red", "blue", "green", "pink", "white")]
LAMPS = [f"{colour} lamp" for colour in ("red", "blue", "green", "pink", "white")]
SHOP = [Item(title.replace(" ", "-"), Kind.CONTENT, title, {"price": 4}) for title in (*CUPS, *LAMPS)]


def shop_log(customers: int = 12) -> Log:
    """Even customers buy all cups, odd ones all lamps, one a day; and again, from day 100 on."""
    rows = [
        (customer, SHOP[5 * (customer % 2) + place].id, day + place)
        for customer in range(customers)
        for day in (0, 100)
        for place in range(5)
    ]
    events = np.zeros(len(rows), EVENT)
    for event, (place, (_, item, day)) in zip(events, enumerate(rows), strict=True):
        event["item"], event["time"], event["key"] = code64(item), int(day * DAY), place + 1
    events["type"] = PURCHASE
    return log_of(np.array([row[0] for row in rows]), events)


def shop_exam(seed: int = 1) -> Exam:
    return exam_of(shop_log(), SHOP, days=10, share=0.4, seed=seed)


def habit_alone(subject: Subject, _: Training) -> KindModel:
    return by_habit(subject.items.codes, subject.items.ids, fit_popularity(subject.log, subject.items))


def names(items: Items, positions: np.ndarray) -> set[str]:
    return {items.ids[at] for at in positions.tolist()}


def test_what_is_drawn_is_gone_before_the_last_days_and_wanted_in_them() -> None:
    exam = shop_exam()
    new = names(exam.items, np.flatnonzero(exam.new))
    assert len(new) == 4
    assert exam.items.known == 6
    assert not new & set(exam.earlier.items.ids)
    assert all(item.positions(np.array([code64(name)]))[0] < 0 for item in (exam.earlier.items,) for name in new)
    for page in exam.asked:
        mine = {item.id for item in SHOP[5 * (page.customer % 2) :][:5]}
        assert names(exam.items, page.query.history.item) == mine - new
        assert names(exam.items, page.wanted) == mine


def test_the_same_seed_draws_the_same_items_and_another_one_others() -> None:
    first, again, other = shop_exam(), shop_exam(), shop_exam(seed=2)
    assert first.items.ids == again.items.ids
    assert set(first.items.ids[first.items.known :]) != set(other.items.ids[other.items.known :])


def test_an_item_is_given_back_with_what_the_catalogue_says_of_it() -> None:
    exam = shop_exam()
    for at, id_ in enumerate(exam.items.ids):
        entry = next(item for item in SHOP if item.id == id_)
        part = slice(exam.items.token_starts[at], exam.items.token_starts[at + 1])
        assert exam.items.tokens[part].tolist() == tokens_of(entry).tolist()


def test_a_share_of_which_nothing_was_used_is_refused() -> None:
    with pytest.raises(UsageError, match="No new item was used"):
        exam_of(shop_log(), SHOP, days=10, share=0.01, seed=1)


def test_tfidf_by_hand() -> None:
    found = tfidf(["red cup", "Red lamp, red", "a"]).toarray().astype(np.float64)
    common, rare = 1 + math.log(4 / 3), 1 + math.log(4 / 2)
    one = math.hypot(common, rare)
    two = math.hypot(2 * common, rare)
    expected = np.array([[common / one, rare / one, 0], [2 * common / two, 0, rare / two], [0, 0, 0]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_nearest_description_is_of_what_one_bought() -> None:
    exam = shop_exam()
    page = exam.asked[0]
    score = nearest_description(exam)(page.query)
    cups = np.array([text.endswith("cup") for text in exam.texts])
    assert score[cups].min() > score[~cups].max()


def test_numbers_give_their_median_and_texts_the_commonest(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("who,what,price,label\na,cup,1,red\nb,cup,9,blue\nc,cup,2.5,blue\nd,lamp,,\n")
    found = described(file, {"item": "what", "price": "price", "title": "label"})
    assert found == [
        Item("cup", Kind.CONTENT, "blue", {"price": 2.5}),
        Item("lamp", Kind.CONTENT, None, {}),
    ]
    with pytest.raises(UsageError, match="no column size"):
        described(file, {"item": "what", "size": "size"})


def test_who_ranks_new_items_by_description_is_above_chance() -> None:
    exam = shop_exam()
    rows = {row["name"]: row for row in among_new(exam, habit_alone(exam.earlier, Training()), seed=7)}
    assert rows["nearest description"][f"ndcg@{K}"] == 1
    assert 0 < float(str(rows["random order"][f"ndcg@{K}"])) < 1


def test_a_page_without_the_new_items_shows_none() -> None:
    exam = shop_exam()
    rows = {row["name"]: row for row in whole(exam, habit_alone(exam.earlier, Training()))}
    assert rows["murmeli"]["coverage"] == 1
    assert rows["without the new items"]["coverage"] == 0


def test_a_page_without_descriptions_is_ranked_anew() -> None:
    exam = shop_exam()
    items, alike = (
        exam.earlier.items,
        Attributes(np.zeros(0, np.int64), np.zeros(0, np.float32), np.array(1, np.float32)),
    )
    sources: tuple[Source, ...] = (fit_popularity(exam.earlier.log, items), alike)
    ranker = Ranker(column_names(sources), np.array([[0.1, 1]], np.float32))
    rows = {row["name"]: row for row in whole(exam, KindModel(items.codes, items.ids, sources, ranker))}
    assert float(str(rows["without descriptions"]["ndcg@20"])) < float(str(rows["murmeli"]["ndcg@20"]))


def test_a_file_gives_one_document(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    lines = [
        f"{customer},{SHOP[5 * (customer % 2) + place].title},2026-0{month}-0{place + 1}T12:00:00Z,3.5"
        for customer in range(12)
        for month in (1, 5)
        for place in range(5)
    ]
    file.write_text("user,name,time,price\n" + "\n".join(lines) + "\n")
    mapping = {"customer": "user", "item": "name", "at": "time", "title": "name", "price": "price"}
    found = run(file, mapping, catalogue=None, days=10, share=0.4, settings=Training(seed=1), fit=habit_alone)
    assert (found["new_items"], found["known_items"]) == (4, 6)
    rows = found["results"]
    assert isinstance(rows, list)
    assert [row["name"] for row in rows if isinstance(row, dict)][:2] == ["murmeli", "nearest description"]
