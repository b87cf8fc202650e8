import math
from dataclasses import replace

import pytest

from recommender.errors import NotFoundError
from recommender.history import Context
from recommender.model import untrained
from recommender.page import Recommendation, Request, SlotRequest, new_recommendation_id
from recommender.recommender import Recommender
from recommender.settings import Placement, Settings
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, Kind
from tests.contracts.worlds import Event, batch

NOW = Context(now=100 * DAY)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore(("crm", "id"))
    store.items.put([Item(f, Kind.FEATURE) for f in ("pay", "card", "loan", "fund")])
    store.items.put([Item(c, Kind.CONTENT) for c in ("news", "guide")])
    return store


@pytest.fixture
def recommender(store: MemoryStore) -> Recommender:
    placements = Settings().placements | {"home.more": Placement(kind=Kind.FEATURE, size=2, hide_used=True)}
    return Recommender(store, untrained(), Settings(placements=placements))


def use(store: MemoryStore, *items: str, customer: str = "crm:1") -> None:
    start = store.events.count()
    store.events.append(
        batch([Event(customer, f"e{start + n}", time=(start + n) * 1000, item=i) for n, i in enumerate(items)])
    )


def ask(recommender: Recommender, *slots: SlotRequest, customer: str = "crm:1") -> Recommendation:
    return recommender.recommend(Request(customer, slots, NOW))


def listed(answer: Recommendation, slot: int = 0) -> list[str]:
    return [item.item for item in answer.slots[slot].items]


def test_what_is_used_most_comes_first(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay", "loan", "loan")
    assert listed(ask(recommender, SlotRequest("home.features")))[:2] == ["loan", "pay"]


def test_an_event_raises_the_score_of_its_item_in_the_next_answer(store: MemoryStore, recommender: Recommender) -> None:
    def score() -> float:
        answer = ask(recommender, SlotRequest("home.features", k=4))
        return next(item.score for item in answer.slots[0].items if item.item == "fund")

    use(store, "pay")
    before = score()
    use(store, "fund")
    assert score() > before


def test_scores_are_probabilities_in_falling_order(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay", "pay", "card")
    scores = [item.score for item in ask(recommender, SlotRequest("home.features", k=4)).slots[0].items]
    assert scores == sorted(scores, reverse=True)
    assert math.isclose(sum(scores), 1, rel_tol=1e-5)


def test_items_whose_probability_is_too_small_for_a_float_keep_their_order(store: MemoryStore) -> None:
    part = untrained().kinds[Kind.FEATURE]
    steep = replace(part, ranker=replace(part.ranker, weights=part.ranker.weights * 1000))
    recommender = Recommender(store, replace(untrained(), kinds=dict.fromkeys(Kind, steep)), Settings())
    use(store, *["pay"] * 4, *["card"] * 3, *["loan"] * 2, "fund")
    slot = ask(recommender, SlotRequest("home.features")).slots[0]
    assert [item.item for item in slot.items] == ["pay", "card", "loan", "fund"]
    assert slot.items[2].score == slot.items[3].score == 0
    assert recommender.explain("crm:1", "fund", "home.features", NOW).rank == 4
    ranked = recommender.rank("crm:1", ["fund", "loan"], Kind.FEATURE, NOW)
    assert [item.item for item in ranked] == ["loan", "fund"]


def test_a_page_shows_no_item_twice_and_each_slot_its_kind(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay")
    answer = ask(
        recommender, SlotRequest("home.features", k=2), SlotRequest("home.content"), SlotRequest("home.features", k=9)
    )
    assert not set(listed(answer)) & set(listed(answer, 2))
    assert set(listed(answer)) | set(listed(answer, 2)) == {"pay", "card", "loan", "fund"}
    assert set(listed(answer, 1)) == {"news", "guide"}


def test_what_is_excluded_or_hidden_is_left_out(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay")
    assert "pay" not in listed(ask(recommender, SlotRequest("home.features", exclude=("pay",))))
    assert "pay" not in listed(ask(recommender, SlotRequest("home.more", k=9)))


def test_a_stranger_gets_an_answer_and_an_unknown_placement_none(recommender: Recommender) -> None:
    assert len(listed(ask(recommender, SlotRequest("home.features"), customer="web:new"))) == 4
    with pytest.raises(NotFoundError):
        ask(recommender, SlotRequest("nowhere"))


def test_a_stranger_is_never_told_of_habits(recommender: Recommender) -> None:
    answer = ask(recommender, SlotRequest("home.features"), customer="web:new")
    assert {item.reason for item in answer.slots[0].items} == {"popular"}


def test_an_empty_store_gives_empty_slots() -> None:
    recommender = Recommender(MemoryStore(()), untrained(), Settings())
    assert listed(ask(recommender, SlotRequest("home.features"))) == []


def test_a_callers_candidates_come_back_ranked_and_the_unknown_last(
    store: MemoryStore, recommender: Recommender
) -> None:
    use(store, "fund")
    ranked = recommender.rank("crm:1", ["who", "pay", "fund", "pay"], Kind.FEATURE, NOW)
    assert [item.item for item in ranked] == ["fund", "pay", "who"]


def test_linked_identities_get_one_page_and_unlinked_ones_their_own(
    store: MemoryStore, recommender: Recommender
) -> None:
    use(store, "pay", customer="web:1")
    use(store, "loan", "loan", customer="crm:9")
    apart = [listed(ask(recommender, SlotRequest("home.features"), customer=c))[0] for c in ("web:1", "crm:9")]
    store.identities.link("web:1", "crm:9")
    together = [ask(recommender, SlotRequest("home.features"), customer=c).slots for c in ("web:1", "crm:9")]
    store.identities.unlink("web:1")
    again = [listed(ask(recommender, SlotRequest("home.features"), customer=c))[0] for c in ("web:1", "crm:9")]
    assert apart == again == ["pay", "loan"]
    assert together[0] == together[1]


def test_a_page_moves_no_more_than_its_news_is_worth(store: MemoryStore, recommender: Recommender) -> None:
    use(store, *["pay"] * 4, *["card"] * 3, *["loan"] * 2, "fund")
    menu = SlotRequest("home.features")
    before = listed(ask(recommender, menu))
    use(store, *["loan"] * 3)
    after = ask(recommender, menu)
    plain = listed(ask(Recommender(store, untrained(), Settings()), menu))
    assert before == ["pay", "card", "loan", "fund"]
    assert plain == ["loan", "pay", "card", "fund"]
    assert listed(after) == ["loan", "card", "pay", "fund"]
    assert listed(ask(recommender, menu)) == listed(after)
    score = {item.item: item.score for item in after.slots[0].items}
    assert score["pay"] > score["card"]


def test_who_moved_what_is_explained(store: MemoryStore, recommender: Recommender) -> None:
    test_a_page_moves_no_more_than_its_news_is_worth(store, recommender)
    store.items.put([Item(f"late-{n}", Kind.FEATURE) for n in range(4)])
    ask(recommender, SlotRequest("home.features", k=4))
    why = {item: recommender.explain("crm:1", item, "home.features", NOW) for item in ("loan", "card", "pay", "fund")}
    assert [why[item].rank for item in why] == [1, 2, 3, 4]
    assert {item for item in why if why[item].rules == ("stability",)} == {"card", "pay"}
    assert recommender.explain("crm:2", "card", "home.features", NOW).rules == ()
    late = [recommender.explain("crm:1", f"late-{n}", "home.features", NOW).rank for n in range(4)]
    assert sorted(rank or 0 for rank in late) == [5, 6, 7, 8]


def test_what_cannot_be_shown_leaves_and_the_others_keep_their_places(
    store: MemoryStore, recommender: Recommender
) -> None:
    test_a_page_moves_no_more_than_its_news_is_worth(store, recommender)
    menu = SlotRequest("home.features")
    assert listed(ask(recommender, SlotRequest("home.features", k=3, exclude=("card",)))) == ["loan", "fund", "pay"]
    assert listed(ask(recommender, menu)) == ["loan", "fund", "pay", "card"]
    store.items.put([Item("pay", Kind.FEATURE, available=False)])
    assert listed(ask(recommender, menu)) == ["loan", "fund", "card"]


def test_a_callers_own_list_and_a_placement_without_stability_follow_the_scores(store: MemoryStore) -> None:
    settings = Settings(placements={"menu": Placement(kind=Kind.FEATURE, stability=0)})
    recommender = Recommender(store, untrained(), settings)
    use(store, *["pay"] * 4, *["card"] * 3)
    ask(recommender, SlotRequest("menu"))
    use(store, *["card"] * 3)
    assert listed(ask(recommender, SlotRequest("menu")))[:2] == ["card", "pay"]
    assert [item.item for item in recommender.rank("crm:1", ["pay", "card"], Kind.FEATURE, NOW)] == ["card", "pay"]


def test_a_placement_that_is_on_a_page_twice_goes_on_from_its_first_one(
    store: MemoryStore, recommender: Recommender
) -> None:
    use(store, *["pay"] * 4, *["card"] * 3, *["loan"] * 2, "fund")
    twice = SlotRequest("home.features", k=2), SlotRequest("home.features", k=2)
    for _ in range(3):
        answer = ask(recommender, *twice)
        assert (listed(answer), listed(answer, 1)) == (["pay", "card"], ["loan", "fund"])


def test_an_explanation_says_why_and_why_not(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay", "card")
    store.items.put([Item("loan", Kind.FEATURE, available=False)])
    why = recommender.explain("crm:1", "pay", "home.features", NOW)
    assert (why.reason, why.hidden) == ("habit", None)
    assert why.rank in (1, 2)
    assert recommender.explain("crm:1", "pay", "home.more", NOW).hidden == "it was used"
    assert recommender.explain("crm:1", "loan", "home.features", NOW).hidden == "it is not available"
    assert recommender.explain("crm:1", "news", "home.features", NOW).rank is None
    assert recommender.explain("crm:1", "who", "home.features", NOW).hidden == "it is not known"


def test_the_parts_of_an_explanation_add_up_to_the_difference_in_log_score(
    store: MemoryStore, recommender: Recommender
) -> None:
    use(store, "pay", "pay", "card")
    one, other = (recommender.explain("crm:1", item, "home.features", NOW) for item in ("pay", "fund"))
    lift = sum(one.parts.values()) - sum(other.parts.values())
    assert lift == pytest.approx(math.log(one.score / other.score), abs=1e-3)


def test_what_is_remembered_can_be_read(store: MemoryStore, recommender: Recommender) -> None:
    use(store, "pay", "pay", "news")
    memory = recommender.remembered("crm:1")
    assert memory["identities"] == ["crm:1"]
    assert memory["events"] == 3
    assert memory["habits"]["feature"] == [
        {"item": "pay", "uses": 2, "last": "1970-01-01T00:00:01+00:00", "usual_hour": 2}
    ]
    assert [event["item"] for event in memory["recent"]] == ["news", "pay", "pay"]


def test_nothing_is_similar_before_anything_was_learned(recommender: Recommender) -> None:
    assert recommender.similar("pay", 5) == []
    with pytest.raises(NotFoundError):
        recommender.similar("nobody", 5)


def test_ids_of_recommendations_differ_and_sort_by_time() -> None:
    ids = [new_recommendation_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [i[:12] for i in ids] == sorted(i[:12] for i in ids)
