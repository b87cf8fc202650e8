from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from recommender import shown
from recommender.shown import MOST_PLACES, Shown
from recommender.types import codes64

ID = "00000000000a"


def last(pages: Shown, *identities: str, placement: str = "menu") -> list[int]:
    return list(map(int, pages.last(sorted(identities), placement)))


def keep(
    pages: Shown, *identities: str, page: Sequence[int], placement: str = "menu", at: int = 0, all_: bool = False
) -> None:
    for one in identities[:1]:
        kept = pages.page(sorted(identities), ID, placement, at, np.array(page, np.int64))
        pages.keep(one, kept, all_=all_)


def answer(n: int, *items: str, placement: str = "menu") -> dict[str, Any]:
    slots = [{"placement": placement, "items": [{"item": item} for item in items]}]
    return {"recommendation_id": f"{n:012x}00", "at": n, "slots": slots}


def test_the_page_shown_last_is_known_at_once_by_customer_and_placement() -> None:
    pages = Shown()
    keep(pages, "crm:1", page=[1, 2])
    keep(pages, "crm:1", page=[3, 2])
    keep(pages, "crm:1", page=[9], placement="news")
    assert last(pages, "crm:1") == [3, 2]
    assert last(pages, "crm:1", placement="news") == [9]
    assert last(pages, "crm:2") == []


def test_linked_identities_go_on_from_the_newest_page_and_unlinked_ones_from_their_own() -> None:
    pages = Shown()
    keep(pages, "crm:1", page=[1])
    keep(pages, "web:1", page=[2])
    assert last(pages, "crm:1", "web:1") == [2]
    keep(pages, "crm:1", "web:1", page=[3])
    assert last(pages, "crm:1", "web:1") == [3]
    assert (last(pages, "crm:1"), last(pages, "web:1")) == ([1], [2])


def test_what_is_not_in_memory_is_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST_IDENTITIES", 2)
    kept = {"crm:1": [answer(2, "a", "b"), answer(1, "c")]}
    pages = Shown(lambda identity, _, most: kept.get(identity, [])[:most])
    assert last(pages, "crm:1") == codes64(["a", "b"]).tolist()
    keep(pages, "crm:1", page=[7])
    keep(pages, "crm:2", page=[8])
    assert last(pages, "crm:1") == [7]
    keep(pages, "crm:1", page=[6])
    keep(pages, "crm:3", page=[9])
    assert (last(pages, "crm:1"), last(pages, "crm:3")) == ([6], [9])
    keep(pages, "crm:3", page=[9])
    keep(pages, "crm:2", page=[5])
    assert last(pages, "crm:1") == codes64(["a", "b"]).tolist()


def test_what_others_showed_is_known_once_memory_may_be_behind_and_ones_own_is_kept() -> None:
    kept = [answer(9, "a")]
    pages = Shown(lambda *_: kept, alone=0)
    keep(pages, "crm:1", page=[7])
    assert last(pages, "crm:1") == [7], "its answer has a later id, and is not on the ledger yet"
    kept.insert(0, answer(11, "b"))
    assert last(pages, "crm:1") == codes64(["b"]).tolist()


def test_where_others_answer_too_what_is_new_is_recalled_and_now_and_then_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked, kept = 1000.0, list[int](), [answer(500_000, "a"), answer(400_000, "c")]
    monkeypatch.setattr(shown, "monotonic", lambda: now)

    def recall(_: str, since: int, most: int) -> list[dict[str, Any]]:
        asked.append(since)
        return [one for one in kept if one["at"] >= since][:most]

    def seen() -> list[int]:
        return sorted(pages.since(["crm:1"], {"menu"}, 0)[0].tolist())

    pages = Shown(recall, alone=2)
    assert seen() == sorted(codes64(["a", "c"]).tolist())
    kept.insert(1, answer(499_000, "late"))
    now += 1
    assert seen() == sorted(codes64(["a", "c"]).tolist())
    now += 2
    assert seen() == sorted(codes64(["a", "late", "c"]).tolist())
    now += 3
    assert last(pages, "crm:1") == codes64(["a"]).tolist()
    assert seen() == sorted(codes64(["a", "late", "c"]).tolist())
    assert asked == [0, *[500_000 - shown.BEHIND] * 2], "a look at fewer answers forgets none"
    kept.clear()
    now += shown.WHOLE
    assert seen() == []
    assert asked[-1] == 0


def test_impressions_are_those_of_all_identities_within_the_time_and_the_placements_asked_for() -> None:
    pages = Shown(lambda identity, *_: [answer(4, "a", placement="mail")] if identity == "web:1" else [])
    keep(pages, "crm:1", page=[1, 2], at=5, all_=True)
    keep(pages, "crm:1", page=[1], at=6, all_=True)
    keep(pages, "crm:1", page=[3], at=6, placement="other")
    codes, times = pages.since(["crm:1", "web:1"], {"menu", "mail"}, 3)
    assert sorted(zip(codes.tolist(), times.tolist(), strict=True)) == sorted(
        [(1, 5), (2, 5), (1, 6), (int(codes64(["a"])[0]), 4)]
    )
    assert pages.since(["crm:1", "web:1"], {"menu", "mail"}, 5)[0].tolist() == [1]


def test_only_the_first_places_of_a_page_are_remembered() -> None:
    pages = Shown()
    keep(pages, "crm:1", page=range(1000))
    assert last(pages, "crm:1") == list(range(MOST_PLACES))
