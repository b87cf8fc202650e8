"""The protocols for visitors never seen, on a handful of them."""

import gzip
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from recommender.errors import UsageError
from recommender.history import Query
from recommender.settings import Training
from recommender.types import FloatArray
from training import unseen
from training.benchmark_commands import rows_of, unseen_table
from training.evaluation import Row
from training.unseen import Cases, all_but_one, answer, every_two, given_one, given_two, run
from training.unseen_rankings import conditional, ease
from training.unseen_task import Task, read_task

LOG = (
    "visitor,area,part\n"
    "1,home,train\n1,search,train\n2,home,train\n2,search,train\n3,help,train\n3,home,train\n4,home,train\n"
    "1,search,test\n1,home,test\n1,home,test\n2,home,test\n3,help,test\n3,search,test\n3,later,test\n"
)
AREAS = "area,title,path\nhome,Home,/\nsearch,Search,/search\nhelp,Help,/help\nnever,Nobody yet,/never\n"
SETTINGS = Training(factors=2, iterations=2, threads=1)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def task(folder: Path, text: str = LOG) -> Task:
    areas = write(folder, "areas.csv.gz", AREAS)
    return read_task(write(folder, "visits.csv.gz", text), areas, {}, "part", "test")


def shown(world: Task, cases: Cases) -> list[tuple[int, set[str], set[str]]]:
    """Each case as its visitor, what is given and what is hidden."""

    def names(row: FloatArray) -> set[str]:
        return {str(world.items.ids[at]) for at in np.flatnonzero(row).tolist()}

    given, hidden = cases.given.toarray(), cases.hidden.toarray()
    return [(who, names(given[at]), names(hidden[at])) for at, who in enumerate(cases.visitor.tolist())]


def alphabetical(queries: Sequence[Query]) -> list[FloatArray]:
    """help, home, later, never, search: the same for everybody."""
    return [np.array([-sorted(q.items.ids).index(id_) for id_ in q.items.ids], np.float32) for q in queries]


def ranks(world: Task, cases: Cases) -> list[list[int]]:
    return [row.tolist() for row in answer(world, alphabetical, cases).ranks]


def test_visitors_of_both_parts_with_one_id_are_two(tmp_path: Path) -> None:
    world = task(tmp_path)
    assert world.train.log.customers == 4
    assert np.diff(world.starts).tolist() == [2, 1, 3]


def test_what_only_test_visitors_used_came_after_training_and_what_nobody_used_is_known(tmp_path: Path) -> None:
    world = task(tmp_path)
    assert set(world.train.items.ids) == {"home", "search", "help", "never"}
    assert world.items.ids[world.items.known :] == ["later"]
    assert np.diff(world.items.token_starts)[-1] == 0


def test_all_but_one_hides_each_item_of_those_with_two_in_turn(tmp_path: Path) -> None:
    world = task(tmp_path)
    found = shown(world, all_but_one(world))
    assert sorted(found, key=str) == sorted(
        [
            (0, {"home"}, {"search"}),
            (0, {"search"}, {"home"}),
            (2, {"help", "search"}, {"later"}),
            (2, {"help", "later"}, {"search"}),
            (2, {"search", "later"}, {"help"}),
        ],
        key=str,
    )


def test_given_one_asks_for_the_rest_of_those_with_two_or_more(tmp_path: Path) -> None:
    world = task(tmp_path)
    found = shown(world, given_one(world))
    assert [who for who, _, _ in found] == [0, 0, 2, 2, 2]
    assert sorted([sorted(given) for _, given, _ in found]) == [["help"], ["home"], ["later"], ["search"], ["search"]]
    whole = [{"home", "search"}] * 2 + [{"help", "search", "later"}] * 3
    assert [given | hidden for _, given, hidden in found] == whole
    assert [len(hidden) for _, _, hidden in found] == [1, 1, 2, 2, 2]


def test_given_two_asks_for_the_rest_of_those_with_three_ten_times_and_repeats_itself(tmp_path: Path) -> None:
    world = task(tmp_path)
    found = shown(world, given_two(world, seed=1))
    assert [who for who, _, _ in found] == [2] * 10
    assert all(len(given) == 2 and given | hidden == {"help", "search", "later"} for _, given, hidden in found)
    assert found == shown(world, given_two(world, seed=1))


def test_every_two_asks_for_the_rest_of_every_pair_once_and_of_many_for_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = task(tmp_path)
    found = shown(world, every_two(world, seed=1))
    assert [who for who, _, _ in found] == [2] * 3
    assert {frozenset(given) for _, given, _ in found} == {
        frozenset(pair) for pair in combinations(("help", "search", "later"), 2)
    }
    assert all(given | hidden == {"help", "search", "later"} for _, given, hidden in found)
    monkeypatch.setattr(unseen, "PAIRS", 2)
    some = shown(world, every_two(world, seed=1))
    assert len(some) == 2
    assert all(case in found for case in some)


def test_given_items_are_no_rivals_and_ties_go_to_the_others(tmp_path: Path) -> None:
    world = task(tmp_path)
    cases = all_but_one(world)
    by_case = dict(zip([str(hidden) for _, _, hidden in shown(world, cases)], ranks(world, cases), strict=True))
    assert by_case["{'help'}"] == [1]
    assert by_case["{'later'}"] == [2]  # after home; help is given
    flat = answer(world, lambda queries: [np.zeros(5, np.float32) for _ in queries], cases)
    assert set(flat.ranks[:2].ravel()) == {4}
    never = answer(world, lambda queries: [np.full(5, -np.inf, np.float32) for _ in queries], cases)
    assert not never.ranks.any()


def test_conditional_and_ease_are_what_they_are_by_hand(tmp_path: Path) -> None:
    from training.fit.matrix import user_items

    world = task(tmp_path)
    used = user_items(world.train.log, world.train.items)
    home, search = (world.train.items.ids.index(name) for name in ("home", "search"))
    found = conditional(used)
    assert found[home, search] == pytest.approx(2 / 4)
    assert found[search, home] == 1
    others = [at for at in range(4) if at != home]
    x = used.toarray().astype(np.float64)
    column = np.linalg.solve(x[:, others].T @ x[:, others] + 30 * np.eye(3), x[:, others].T @ x[:, home])
    np.testing.assert_allclose(ease(used)[others, home], column, rtol=1e-5)


def figures(folder: Path) -> dict[str, Row]:
    log, areas = write(folder, "visits.csv", LOG), write(folder, "areas.csv", AREAS)
    document = run(log, areas, {}, settings=SETTINGS)
    return {row["name"]: row for row in document["results"]}  # type: ignore[union-attr, index, call-overload, misc]


def test_a_visitor_counts_once_however_many_items_they_have(tmp_path: Path) -> None:
    row = figures(tmp_path)["popularity"]
    assert [row["n"], row["visitors"]] == [5, 2]
    # home 4, search 2, help 1, never 0, later: visitor 0 finds home first, and search first beside it;
    # visitor 2 is asked for help (second after home), search (second) and later (last of three)
    assert row["hit@1"] == pytest.approx((1 + 0) / 2)
    assert row["mrr"] == pytest.approx((1 + (1 / 2 + 1 / 2 + 1 / 3) / 3) / 2)


def test_the_own_items_are_masked_so_that_habit_alone_finds_nothing(tmp_path: Path) -> None:
    found = figures(tmp_path)
    assert found["most-used"]["rank_score"] == found["most-recent"]["given_two"] == 0
    assert found["most-used"]["every_two"] == 0
    assert found["murmeli"]["behind"] == 0


def test_where_nobody_has_two_items_nothing_can_be_asked_and_the_table_is_empty_of_figures(tmp_path: Path) -> None:
    log = write(tmp_path, "visits.csv", "visitor,area,part\n1,home,train\n2,home,test\n")
    document = run(log, None, {}, settings=SETTINGS)
    rows = rows_of(document)
    protocols = ("rank_score", "mrr", "given_one", "given_two", "every_two")
    assert {(row["n"], *(row[name] for name in protocols)) for row in rows} == {(0, *[None] * 5)}
    assert unseen_table(rows).row_count == len(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("visitor,area\n1,home\n", "part"),
        ("visitor,area,part\n1,home,train\n", "'test'"),
        ("visitor,area,part\n1,home,test\n", "another part"),
        ("visitor,area,part\n", "no row"),
    ],
)
def test_a_log_that_cannot_be_cut_in_two_is_refused_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task(tmp_path, text)
