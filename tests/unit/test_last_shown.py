from collections.abc import Sequence

import numpy as np
import pytest

from recommender import last_shown
from recommender.last_shown import MOST_PLACES, LastShown
from recommender.types import codes64


def found(pages: LastShown, *identities: str, placement: str = "menu") -> list[int]:
    return list(map(int, pages.find(sorted(identities), placement)))


def keep(pages: LastShown, *identities: str, page: Sequence[int], placement: str = "menu") -> None:
    pages.keep(sorted(identities), placement, np.array(page, np.int64))


def test_the_page_shown_last_is_known_at_once_by_customer_and_placement() -> None:
    pages = LastShown()
    keep(pages, "crm:1", page=[1, 2])
    keep(pages, "crm:1", page=[3, 2])
    keep(pages, "crm:1", page=[9], placement="news")
    assert found(pages, "crm:1") == [3, 2]
    assert found(pages, "crm:1", placement="news") == [9]
    assert found(pages, "crm:2") == []


def test_linked_identities_go_on_from_the_newest_page_and_unlinked_ones_from_their_own() -> None:
    pages = LastShown()
    keep(pages, "crm:1", page=[1])
    keep(pages, "web:1", page=[2])
    assert found(pages, "crm:1", "web:1") == [2]
    keep(pages, "crm:1", "web:1", page=[3])
    assert found(pages, "crm:1", "web:1") == [3]
    assert (found(pages, "crm:1"), found(pages, "web:1")) == ([1], [2])


def test_what_is_not_in_memory_is_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_shown, "MOST_PAGES", 2)
    kept = {("crm:1", "menu"): ["a", "b"]}
    pages = LastShown(lambda identities, placement: kept.get((identities[0], placement), []))
    assert found(pages, "crm:1") == codes64(["a", "b"]).tolist()
    keep(pages, "crm:1", page=[7])
    keep(pages, "crm:2", page=[8])
    assert found(pages, "crm:1") == [7]
    keep(pages, "crm:1", page=[6])
    keep(pages, "crm:3", page=[9])
    assert (found(pages, "crm:1"), found(pages, "crm:2"), found(pages, "crm:3")) == ([6], [], [9])
    keep(pages, "crm:2", page=[5])
    assert found(pages, "crm:1") == codes64(["a", "b"]).tolist()


def test_what_another_process_showed_since_is_recalled_once_memory_may_be_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recalled: list[str] = []
    pages = LastShown(lambda *_: recalled, alone=2.0)
    monkeypatch.setattr(last_shown, "monotonic", lambda: 100.0)
    keep(pages, "crm:1", page=[1])
    recalled.append("a")
    monkeypatch.setattr(last_shown, "monotonic", lambda: 101.0)
    assert found(pages, "crm:1") == [1]
    monkeypatch.setattr(last_shown, "monotonic", lambda: 103.0)
    assert found(pages, "crm:1") == codes64(["a"]).tolist()
    recalled.clear()
    assert found(pages, "crm:1") == [1]


def test_only_the_first_places_of_a_page_are_remembered() -> None:
    pages = LastShown()
    keep(pages, "crm:1", page=range(1000))
    assert found(pages, "crm:1") == list(range(MOST_PLACES))
