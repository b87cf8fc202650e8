"""Who may call what: every route with every role, with no key, and with one that is no longer valid."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from starlette.routing import BaseRoute

from recommender.errors import StoreError
from recommender.types import Role
from serving import security
from serving.app import _ROOMS, create_app
from serving.requests import Route
from serving.roles import OPEN, ROLES, check_all
from tests.integration.serving_world import FEATURES, PAGE, client_of, key_to, site_in, site_of

ROUTES = [
    (method, route.path)
    for room in _ROOMS
    for route in room.router.routes
    if isinstance(route, Route)
    for method in sorted(route.methods or ())
]
GUARDED = [call for call in ROUTES if call[1] not in OPEN]
KNOWN = {"{item:path}": FEATURES[0], "{customer:path}": "crm:1", "{placement}": "home.features", "{name}": "main"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(tmp_path_factory.mktemp("home")) as opened:
        opened.put("/v1/items", json=[{"id": id_, "kind": "feature"} for id_ in FEATURES])
        yield opened


@pytest.fixture(scope="module")
def keys(client: TestClient) -> dict[Role, dict[str, str]]:
    return {role: key_to(site_of(client), role) for role in Role}


def url_of(template: str, known: bool = True) -> str:
    for name, value in KNOWN.items():
        template = template.replace(name, value if known else "nowhere")
    return template.replace("{version}", "1")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_role_may_call_what_the_table_says_and_nothing_else(
    client: TestClient, keys: dict[Role, dict[str, str]], method: str, path: str, role: Role
) -> None:
    may = role is Role.ADMIN or role in ROLES[f"{method} {path}"]
    answers = [client.request(method, url_of(path, known), headers=keys[role]) for known in (True, False)]
    if may:
        assert all(answer.status_code not in (401, 403) for answer in answers)
    else:
        assert [answer.status_code for answer in answers] == [403, 403]
        assert answers[0].content == answers[1].content, "a refusal tells nothing of what exists"


@pytest.mark.parametrize(("method", "path"), [*GUARDED, ("GET", "/v1/nowhere"), ("PATCH", "/v1/items"), ("GET", "/")])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer mk_00000000_0", "Basic YTpi", "Bearer ä", "KEY", "Bearer KEYx"]
)
def test_without_a_valid_key_nothing_is_said_of_what_there_is(
    client: TestClient, method: str, path: str, header: str | None
) -> None:
    key = client.headers["authorization"].removeprefix("Bearer ")
    answers = []
    for known in (True, False):
        request = client.build_request(method, url_of(path, known), content=b"{")
        del request.headers["authorization"]
        if header is not None:
            request.headers.raw.append((b"authorization", header.replace("KEY", key).encode()))
        answers.append(client.send(request))
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_and_the_documentation_are_open(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"authorization": ""}).status_code == 200


def test_a_site_without_keys_says_how_to_make_one(tmp_path: Path) -> None:
    with site_in(tmp_path) as site, TestClient(create_app(site)) as client:
        answer = client.post("/v1/recommend", json=PAGE, headers={"authorization": "Bearer mk_1_2"})
        assert (answer.status_code, "murmeli keys create" in answer.text) == (401, True)
        assert not (tmp_path / "secret").exists()


def test_a_revoked_key_is_refused_from_the_next_look_on_and_a_new_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "EVERY", 0)
    with client_of(tmp_path) as client:
        site = site_of(client)
        (key,) = site.store.keys.all()
        assert client.get("/v1/models").status_code == 200
        site.store.keys.revoke(key.prefix, 1)
        while client.get("/v1/models").status_code == 200:
            pass
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers=key_to(site, Role.DATA)).status_code == 200


def test_while_the_store_cannot_be_read_the_keys_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def unreadable(_: object) -> None:
        nonlocal looks
        looks += 1
        raise StoreError("no")

    monkeypatch.setattr(security, "EVERY", 0)
    with client_of(tmp_path) as client:
        monkeypatch.setattr(type(site_of(client).store.keys), "all", unreadable)
        while looks < 3:
            assert client.get("/v1/models").status_code == 200


def test_a_key_of_another_site_is_no_key_here(tmp_path: Path) -> None:
    with client_of(tmp_path / "one") as one, client_of(tmp_path / "other") as other:
        (theirs,) = site_of(other).store.keys.all()
        site_of(one).store.keys.add(theirs)
        site_of(one).keyring.refresh()
        assert one.get("/v1/models", headers=dict(other.headers)).status_code == 401


def routes_of(router: APIRouter) -> list[BaseRoute]:
    async def handler() -> None:
        """Never called."""

    router.get("/v1/new")(handler)
    return router.routes


@pytest.mark.parametrize("router", [APIRouter(), APIRouter(route_class=Route)])
def test_an_application_with_a_route_that_has_no_roles_does_not_start(router: APIRouter) -> None:
    with pytest.raises(LookupError, match="nobody may call it"):
        check_all(routes_of(router), Route)


def test_the_table_has_no_route_that_is_not_there() -> None:
    assert {f"{method} {path}" for method, path in GUARDED} == ROLES.keys()
