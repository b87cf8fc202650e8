import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import ConflictError, UsageError
from recommender.identity import LONGEST, link, namespace_of, parse_identity, unlink

STRONG = ("crm", "id")


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("crm:123", "crm:123"),
        ("123", "id:123"),
        ("id:12:30", "id:12:30"),
        ("web:käyttäjä-🦫", "web:käyttäjä-🦫"),
        ("a_b-9:/x y", "a_b-9:/x y"),
    ],
)
def test_a_name_without_a_namespace_is_an_id(text: str, identity: str) -> None:
    assert parse_identity(text) == identity


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters=":"), min_size=1, max_size=LONGEST))
def test_parsing_an_identity_gives_it_back(value: str) -> None:
    assert parse_identity(parse_identity(value)) == parse_identity(value)
    assert namespace_of(parse_identity(value)) == "id"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "crm:",
        ":5",
        "CRM:5",
        "9a:5",
        f"{'n' * 33}:5",
        "id:a\nb",
        "a\x00b",
        "\x85",
        "\x7f",
        "\ud800",
        "a" * (LONGEST + 1),
    ],
)
def test_a_name_that_cannot_be_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_identity(text)
    assert len(text) < 3 or text not in str(refused.value)


def test_linking_joins_two_customers() -> None:
    assert link("web:1", "crm:1", {"web:1", "app:1"}, {"crm:1"}, STRONG) == [{"web:1", "app:1", "crm:1"}]


def test_linking_what_is_linked_changes_nothing() -> None:
    both = {"web:1", "crm:1"}
    assert link("web:1", "crm:1", both, both, STRONG) == [both]


@pytest.mark.parametrize("turned", [False, True])
def test_a_shared_device_moves_and_never_merges_two_people(turned: bool) -> None:
    first, second = {"crm:1", "web:1", "app:1"}, {"crm:2"}
    left = link("crm:2", "web:1", second, first, STRONG) if turned else link("web:1", "crm:2", first, second, STRONG)
    assert left == [{"crm:1", "app:1"}, {"crm:2", "web:1"}]


def test_a_device_that_moves_leaves_its_companions_behind() -> None:
    assert link("web:1", "id:2", {"web:1", "id:1"}, {"id:2", "crm:2"}, STRONG) == [{"id:1"}, {"id:2", "crm:2", "web:1"}]


@pytest.mark.parametrize(("a", "b"), [("crm:1", "crm:2"), ("web:1", "web:2"), ("crm:1", "id:2")])
def test_two_of_equal_strength_of_different_people_are_refused(a: str, b: str) -> None:
    with pytest.raises(ConflictError):
        link(a, b, {"crm:1", "web:1"}, {"crm:2", "web:2", "id:2"}, STRONG)


def test_different_strong_namespaces_may_name_one_person() -> None:
    assert link("crm:1", "id:1", {"crm:1"}, {"id:1"}, STRONG) == [{"crm:1", "id:1"}]


def test_unlinking_gives_an_identity_back_to_itself() -> None:
    assert unlink("web:1", {"web:1", "crm:1", "app:1"}) == [{"web:1"}, {"crm:1", "app:1"}]
    assert unlink("web:1", {"web:1"}) == [{"web:1"}]
