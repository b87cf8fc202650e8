"""The top-n protocol on four customers and five items."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import UsageError
from recommender.kernels.choose import likely
from recommender.settings import Training
from recommender.top import best
from recommender.types import FloatArray, IntArray
from training.top_n import ROWS, Rank, Task, asked, judge, read_pairs, read_task, run, top_lists

TRAIN = "ann apple bread\nbob bread cheese\ncat apple\ndan apple date\n"
TEST = "ann cheese\nbob apple egg\ncat\ndan bread cheese egg\n"
SETTINGS = Training(factors=2, iterations=2, threads=1)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def task(folder: Path, k: int = 2) -> Task:
    return read_task(write(folder, "train.txt", TRAIN), write(folder, "test.txt", TEST), k)


def alphabetical(world: Task) -> Rank:
    """Everybody's best item is apple, then bread, cheese, date, egg."""
    names = sorted(world.items.ids)
    score = np.array([-names.index(id_) for id_ in world.items.ids], np.float32)
    return lambda customers: np.tile(score, (customers.size, 1))


@pytest.mark.parametrize("name", ["pairs.txt", "pairs.txt.gz"])
def test_a_line_is_a_customer_and_their_items(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "ann apple bread\n\nbob\n")
    assert list(read_pairs(path)) == [("ann", "apple"), ("ann", "bread")]


def test_a_csv_is_a_pair_a_line_with_or_without_a_header(tmp_path: Path) -> None:
    for text in ("user,item\nann,green apple\n", "ann,green apple\n"):
        assert list(read_pairs(write(tmp_path, "pairs.csv", text))) == [("ann", "green apple")]


def test_a_line_of_another_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2"):
        list(read_pairs(write(tmp_path, "pairs.csv", "ann,apple\nbob,bread,2\n")))


def test_a_file_without_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no customer"):
        read_task(write(tmp_path, "train.txt", TRAIN), write(tmp_path, "test.txt", ""), 2)


@pytest.mark.parametrize("content", [b"ann \xff\n", gzip.compress(b"ann apple\n" * 99)[:-9], b"", None])
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    train, test = tmp_path / ("train.txt.gz" if (content or b"")[:1] == b"\x1f" else "train.txt"), tmp_path / "test.txt"
    test.write_text(TEST, encoding="utf-8")
    if content is not None:
        train.write_bytes(content)
    with pytest.raises(UsageError, match=r"train.* (cannot be read: .+\.|holds no customer)"):
        read_task(train, test, 2)


def test_the_lists_hold_what_a_customer_does_not_have_best_first(tmp_path: Path) -> None:
    world = task(tmp_path)
    found = top_lists(world, alphabetical(world), np.arange(4))
    assert [[world.items.ids[item] for item in row] for row in found] == [
        ["cheese", "date"],
        ["apple", "date"],
        ["bread", "cheese"],
        ["bread", "cheese"],
    ]


def test_a_list_ends_where_the_items_do(tmp_path: Path) -> None:
    world = task(tmp_path, k=5)
    found = top_lists(world, alphabetical(world), np.arange(4))
    assert (found >= 0).sum(1).tolist() == [3, 3, 4, 3]


def test_the_figures_by_hand_over_those_who_have_test_items(tmp_path: Path) -> None:
    world = task(tmp_path)
    row = judge(world, "fixed", top_lists(world, alphabetical(world), asked(world)))
    second = 1 / math.log2(3)
    assert row["n"] == 3
    assert row["recall@2"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert row["ndcg@2"] == pytest.approx((1 + 1 / (1 + second) + 1) / 3)
    assert row["coverage"] == pytest.approx(4 / 5)


def test_who_ranks_only_what_is_masked_shows_nothing(tmp_path: Path) -> None:
    row = judge(task(tmp_path), "most-used", np.full((3, 2), -1))
    assert (row["recall@2"], row["ndcg@2"], row["coverage"], row["gini"]) == (0, 0, 0, None)


def test_who_is_behind_is_so_customer_by_customer(tmp_path: Path) -> None:
    world = task(tmp_path)
    champion = top_lists(world, alphabetical(world), asked(world))
    assert judge(world, "same", champion, champion)["behind"] == 0
    assert judge(world, "nothing", np.full_like(champion, -1), champion)["behind_low"] == pytest.approx(0.5)


def test_the_document_has_every_row_and_is_json(tmp_path: Path) -> None:
    train, test = write(tmp_path, "train.txt.gz", TRAIN), write(tmp_path, "test.txt.gz", TEST)
    stages: list[float] = []
    document = run(train, test, 2, SETTINGS, lambda _stage, done, _total: stages.append(done))
    results = json.loads(json.dumps(document, allow_nan=False))["results"]
    assert stages == list(range(1, ROWS + 1))
    assert [row["name"] for row in results][:4] == ["murmeli", "most-used", "most-recent", "popularity"]
    assert all(0 <= row["recall@2"] <= 1 for row in results)
    assert "ease" in {row["name"] for row in results}


def test_who_is_in_the_test_file_alone_is_asked_as_a_stranger(tmp_path: Path) -> None:
    train, test = write(tmp_path, "train.txt", TRAIN), write(tmp_path, "test.txt", TEST + "eve apple\n")
    world = read_task(train, test, 2)
    assert asked(world).tolist() == [0, 1, 3, 4]
    assert world.log.profile(4).events.size == 0
    assert run(train, test, 2, SETTINGS)["results"]


def scores(*, seed: int, size: int, levels: int) -> FloatArray:
    """Scores with many ties."""
    return np.random.default_rng(seed).integers(0, levels, size).astype(np.float32)


@pytest.mark.parametrize(("size", "levels"), [(3, 2), (40, 3), (700, 3), (700, 10_000), (5_000, 2)])
def test_the_best_are_those_of_a_full_sort(size: int, levels: int) -> None:
    values = scores(seed=size, size=size, levels=levels)
    values[::7] = -np.inf
    order: IntArray = np.argsort(-values, kind="stable")
    expected = [item for item in order.tolist() if values[item] > -np.inf][:10]
    assert best(values, 10).tolist() == expected


def test_the_k_best_scores_are_among_the_likely_ones() -> None:
    values = scores(seed=5, size=5_000, levels=1_000)
    assert set(np.argsort(-values, kind="stable")[:20].tolist()) <= set(likely(values, 20).tolist())
