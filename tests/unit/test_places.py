"""What a placement's settings do to its page, and that an explanation names them."""

import pytest

from recommender.history import Context
from recommender.model import untrained
from recommender.page import Explanation, Request, SlotRequest
from recommender.recommender import Recommender
from recommender.settings import Placement, Settings
from recommender.stores.base import Item
from recommender.stores.memory import MemoryStore
from recommender.types import DAY, HOUR, Kind
from tests.contracts.worlds import Event, batch

NOW = 100 * DAY
USES = ["a"] * 8 + ["b"] * 6 + ["c"] * 4 + ["d"] * 2 + ["e"]


def place(**settings: object) -> Placement:
    return Placement.model_validate({"kind": Kind.FEATURE, "size": 3, "stability": 0, **settings})


def recommender_of(settings: Settings | None = None, **places: Placement) -> tuple[Recommender, MemoryStore]:
    """Five features, a to e, used ever less often by crm:1."""
    store = MemoryStore(("crm", "id"))
    store.items.put([Item(name, Kind.FEATURE, attributes={"letter": name}) for name in "abcde"])
    store.events.append(batch([Event("crm:1", f"u{n}", time=n * HOUR, item=item) for n, item in enumerate(USES)]))
    return Recommender(store, untrained(), settings or Settings(placements=places)), store


def page(
    recommender: Recommender, *slots: str | SlotRequest, customer: str = "crm:1", now: int = NOW, **said: str
) -> str:
    asked = tuple(slot if isinstance(slot, SlotRequest) else SlotRequest(slot) for slot in slots or ("menu",))
    answer = recommender.recommend(Request(customer, asked, Context(now, said=said)))
    return " ".join("".join(item.item for item in slot.items) for slot in answer.slots)


def why(recommender: Recommender, item: str, name: str = "menu", now: int = NOW) -> Explanation:
    return recommender.explain("crm:1", item, name, Context(now))


def seen(store: MemoryStore, item: str, times: int, now: int = NOW) -> None:
    count = store.events.count()
    events = [Event("crm:1", f"i{count + n}", time=now - HOUR + n, item=item, type="impression") for n in range(times)]
    store.events.append(batch(events))


def test_a_boost_multiplies_an_items_chance_and_a_bury_divides_it() -> None:
    (boost, bury) = {"when": "letter == 'e'", "by": 1000}, {"when": "letter == 'a'", "by": 0.001}
    recommender, _ = recommender_of(menu=place(boosts=[boost, bury]), plain=place())
    assert page(recommender, "plain") == "abc"
    assert page(recommender) == "ebc"
    assert "boost: letter == 'e'" in why(recommender, "e").rules
    assert why(recommender, "e").score == why(recommender, "e", "plain").score, "the score stays what is expected"


def test_boosts_of_one_item_multiply() -> None:
    halves = [{"when": "letter in ['a']", "by": 0.5}] * 20
    recommender, _ = recommender_of(menu=place(boosts=halves))
    assert page(recommender) == "bcd"


def test_a_pinned_item_keeps_its_position_and_the_others_close_up() -> None:
    recommender, _ = recommender_of(menu=place(pins={"e": 1, "d": 3}), calm=place(pins={"e": 2}, stability=1))
    assert page(recommender) == "ead"
    assert page(recommender, SlotRequest("menu", k=1)) == "e"
    assert page(recommender, SlotRequest("menu", k=9)) == "eadbc"
    assert page(recommender, "calm") == page(recommender, "calm") == "aeb"
    assert why(recommender, "d").rules == ("pins",)
    assert why(recommender, "c").rules == ("pins",), "it made room"


def test_a_pin_beyond_the_end_of_a_page_comes_last_and_one_of_nothing_is_none() -> None:
    recommender, _ = recommender_of(menu=place(pins={"a": 9, "b": 8, "nobody": 1}))
    assert page(recommender, SlotRequest("menu", k=9)) == "cdeba"
    assert page(recommender, SlotRequest("menu", k=9, exclude=("b",))) == "cdea"


def test_a_pinned_item_is_shown_however_often_it_was_but_never_where_a_rule_leaves_it_out() -> None:
    menu = place(filter="letter != 'c'", pins={"b": 1, "c": 2}, cap=1, hide_used=True)
    recommender, store = recommender_of(menu=menu)
    seen(store, "b", 3)
    assert page(recommender) == "b"


def test_what_was_shown_often_enough_is_left_out_until_its_time_is_over() -> None:
    recommender, store = recommender_of(menu=place(cap=2, shown_days=2))
    seen(store, "a", 1)
    assert page(recommender) == "abc"
    seen(store, "a", 1)
    assert page(recommender) == "bcd"
    assert why(recommender, "a").hidden == "it was shown 2 times within 2 days"
    assert page(recommender, now=NOW + 2 * DAY) == "abc"


def test_implied_impressions_count_at_once_for_all_identities_and_in_every_placement() -> None:
    recommender, store = recommender_of(mail=place(implied=True, size=1), menu=place(cap=2))
    for _ in range(2):
        assert page(recommender, "mail") == "a"
    assert page(recommender) == "bcd"
    store.identities.link("web:1", "crm:1")
    assert page(recommender, customer="web:1") == "bcd"
    assert page(recommender, customer="web:2") != "bcd"


def test_what_was_shown_in_vain_goes_behind_the_others_and_a_use_brings_it_back() -> None:
    recommender, store = recommender_of(menu=place(rotate=2, implied=True))
    assert [page(recommender) for _ in range(5)] == ["abc", "abc", "dea", "dea", "bcd"]
    store.events.append(batch([Event("crm:1", "again", time=NOW + 1, item="b")]))
    assert page(recommender, now=NOW + 2)[0] == "b"
    assert "rotate" in why(recommender, "a").rules


def test_too_few_items_are_filled_up_from_the_fallback_behind_ones_own() -> None:
    menu = place(filter="letter == 'e'", fallback=("more", "any"))
    recommender, _ = recommender_of(menu=menu, more=place(filter="letter in ['d']"), any=place())
    assert page(recommender) == "eda"
    assert page(recommender, SlotRequest("menu", k=1)) == "e"
    assert page(recommender, "any", "menu") == "abc ed", "no item twice on a page"
    assert why(recommender, "d").rules == ("fallback",)
    assert why(recommender, "c").hidden == "the placement's filter leaves it out: letter == 'e'"


def test_a_calm_placement_does_not_hold_on_to_what_filled_it_up() -> None:
    recommender, store = recommender_of(menu=place(filter="good", fallback=("any",), stability=1), any=place())
    assert page(recommender) == "abc"
    store.items.put([Item(name, Kind.FEATURE, attributes={"good": True}) for name in "de"])
    assert page(recommender) == "dea"


def test_only_a_placement_that_repeats_shows_what_another_slot_shows() -> None:
    recommender, _ = recommender_of(menu=place(), other=place(), all=place(repeat=True))
    assert page(recommender, "menu", "other", "all") == "abc de abc"
    assert page(recommender, "all", "menu") == "abc abc"


def test_diversity_spreads_a_page_over_attributes() -> None:
    store = MemoryStore(())
    kinds = dict(zip("abcdef", "xxxxyz", strict=True))
    store.items.put([Item(name, Kind.FEATURE, attributes={"topic": topic}) for name, topic in kinds.items()])
    uses = "".join(name * (12 - 2 * n) for n, name in enumerate("abcdef"))
    store.events.append(batch([Event("crm:1", f"u{n}", time=n, item=item) for n, item in enumerate(uses)]))
    settings = {f"d{n}": place(diversity=n / 10, size=6) for n in (0, 5, 10)}
    recommender = Recommender(store, untrained(), Settings(placements=settings))
    assert page(recommender, "d0") == "abcdef"
    assert page(recommender, "d5")[0] == "a"
    assert set(page(recommender, "d10")[:3]) == {"a", "e", "f"}
    assert "diversity" in why(recommender, "f", "d10").rules


def test_a_slot_keeps_to_the_callers_candidates() -> None:
    recommender, _ = recommender_of(menu=place())
    assert page(recommender, SlotRequest("menu", candidates=("d", "b", "nobody"))) == "bd"
    assert page(recommender, SlotRequest("menu", candidates=())) == ""


def test_the_next_part_of_a_page_repeats_nothing_and_moves_neither_pins_nor_calm() -> None:
    recommender, _ = recommender_of(menu=place(pins={"e": 4}, size=2), calm=place(stability=1, size=2))
    assert page(recommender, SlotRequest("menu", before=("a", "b"))) == "ce"
    assert page(recommender, "calm") == "ab"
    assert page(recommender, SlotRequest("calm", before=("a", "b"))) == "cd"
    assert page(recommender, "calm") == "ab"


def test_an_item_is_shown_within_its_window_and_never_where_that_cannot_be_read() -> None:
    recommender, store = recommender_of(menu=place())
    store.items.put([Item("a", Kind.FEATURE, attributes={"available_from": "1970-04-11T02:00+02:00"})])
    store.items.put([Item("b", Kind.FEATURE, attributes={"available_until": NOW})])
    store.items.put([Item("c", Kind.FEATURE, attributes={"available_until": "soon"})])
    assert [page(recommender, now=now) for now in (NOW - 1, NOW)] == ["bde", "ade"]
    assert why(recommender, "a", now=NOW - 1).hidden == "it is available from 1970-04-11T00:00:00+00:00 on"
    assert why(recommender, "b").hidden == "it was available until 1970-04-11T00:00:00+00:00"


def test_rules_may_ask_what_a_call_says_of_its_context() -> None:
    small = place(filter="letter < 'c' or not context.device == 'mobile'")
    boosted = place(boosts=[{"when": "letter == context.favourite", "by": 1e6}])
    settings = Settings(context=("device", "favourite"), placements={"menu": small, "mine": boosted})
    recommender, _ = recommender_of(settings)
    assert page(recommender) == page(recommender, device="desktop") == "abc"
    assert page(recommender, device="mobile") == "ab"
    assert [page(recommender, "mine", favourite=letter)[0] for letter in "deca"] == list("deca")


@pytest.mark.parametrize("name", ["menu", "same"])
def test_everybody_gets_the_same_where_nothing_is_personal_and_nothing_of_them_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender, store = recommender_of(
        menu=place(stability=1, cap=1, hide_used=True, implied=True),
        same=place(personalise=False, stability=1, cap=1, implied=True),
    )
    page(recommender, "menu", "same")

    def read(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(store.events, "profile", read)
    monkeypatch.setattr(store.consents, "known", read)
    monkeypatch.setattr(store.identities, "find", read)
    monkeypatch.setattr(store.ledger, "given", read)
    calls = [
        Request(who, (SlotRequest(name),), Context(NOW), personalise=name == "same")
        for who in ("crm:1", "web:nobody", "crm:1")
    ]
    pages = [recommender.recommend(call).slots for call in calls]
    assert pages[0] == pages[1] == pages[2]
    assert len(pages[0][0].items) == 3


def test_an_explanation_says_what_would_have_had_to_differ() -> None:
    recommender, store = recommender_of(menu=place(filter="letter != 'b'"))
    first, last, hidden = (why(recommender, item) for item in "aeb")
    assert (first.rank, first.needed, first.otherwise) == (1, None, None)
    assert (hidden.rank, hidden.otherwise, hidden.needed) == (None, 2, None)
    assert (last.rank, last.hidden) == (4, None)
    assert last.needed
    for factor, there in ((last.needed, True), (last.needed / 1.1, False)):
        boosts = ({"when": "id == 'e'", "by": factor},)
        settings = Settings(placements={"menu": place(filter="letter != 'b'", boosts=boosts)})
        assert ("e" in page(Recommender(store, untrained(), settings))) is there


def test_a_cause_is_the_source_and_the_events_without_which_the_score_would_be_as_told() -> None:
    recommender, _ = recommender_of(menu=place())
    told = why(recommender, "a")
    assert told.cause
    assert told.cause.own
    assert (told.cause.source, told.cause.own.item, told.cause.own.uses) == ("habit", "a", 8)
    assert told.cause.score == pytest.approx(1 / 5), "without habit all are alike"
    assert told.cause.own.score < told.cause.score < told.score
    assert told.proposed_by == ("habit",)
    assert told.why == "You use this often."
    nobody = recommender.explain("web:new", "a", "menu", Context(NOW))
    assert (nobody.cause, nobody.reason, nobody.why) == (None, "popular", "Popular with everybody.")
