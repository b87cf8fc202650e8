"""A front end acts for the customer whom the company's own back end names, and for nobody else."""

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from recommender.keys import new_key, signing_secret_of
from recommender.settings import Serving, Settings
from recommender.types import Role
from serving import tokens
from serving.roles import ROLES
from serving.tokens import LONGEST_LIFE, SKEW, verified
from tests.integration.serving_world import HS256, client_of, event, site_of, token_of

PAGE_OF_DOCS = (Path(__file__).parents[2] / "docs" / "front-ends.md").read_text(encoding="utf-8")
SIGN = re.search(r"```python\n(.*?)```", PAGE_OF_DOCS, re.DOTALL)
EXAMPLE: dict[str, Any] = {}

# RFC 7515, appendix A.1
RFC_KEY = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
RFC_EXAMPLE = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


@dataclass
class Front:
    """A browser, and the back end that signs for it."""

    client: TestClient
    key: str
    secret: str

    def ask(self, method: str, url: str, token: str | None, body: object = None, long: bool = False) -> int:
        kind = b"application/json" + (b"; charset=utf-8" if long else b"")  # the short way, or FastAPI's
        headers = [(b"authorization", f"Bearer {self.key}".encode()), (b"content-type", kind)]
        headers += [(b"x-customer-token", token.encode())] if token is not None else []
        content = b"" if body is None else orjson.dumps(body)
        return self.client.request(method, url, headers=headers, content=content).status_code

    def token(self, claims: object = None, said: object = HS256) -> str:
        return token_of({"sub": "crm:1", "exp": time.time() + 60} if claims is None else claims, self.secret, said)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    assert SIGN
    exec(SIGN[1], EXAMPLE)  # noqa: S102 - the documentation's own lines
    patient = Settings(serving=Serving(customer_rate=1_000_000))
    with client_of(tmp_path_factory.mktemp("home"), settings=patient) as client:
        site = site_of(client)
        client.post("/v1/events", json=[event(1), event(1) | {"customer": "crm:2"}])
        client.post("/v1/identities/link", json={"a": "crm:1", "b": "web:1"})
        key, text = new_key(site.store.keys, site.keyring.secret, Role.FRONTEND)
        site.keyring.refresh()
        yield Front(client, text, signing_secret_of(key.prefix, site.keyring.secret))


def slots(customer: str) -> dict[str, object]:
    return {"customer": customer, "slots": [{"placement": "home.features"}]}


FOR: dict[str, Callable[[str], tuple[str, object]]] = {
    "POST /v1/events": lambda who: ("/v1/events", event(7) | {"customer": who}),
    "POST /v1/recommend": lambda who: ("/v1/recommend", slots(who)),
    "GET /v1/recommend/{placement}": lambda who: (f"/v1/recommend/home.features?customer={who}", None),
    "POST /v1/rank": lambda who: ("/v1/rank", {"customer": who, "candidates": ["pay-bill"]}),
}
"""Every route of a frontend that is about a customer."""


def test_every_route_of_a_frontend_is_about_its_customer_or_about_none() -> None:
    assert {call for call, roles in ROLES.items() if Role.FRONTEND in roles} == {*FOR, "GET /v1/similar"}


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("call", FOR)
def test_a_front_end_acts_for_the_customer_of_its_token_and_for_nobody_else(
    front: Front, call: str, long: bool
) -> None:
    token = EXAMPLE["customer_token"]("crm:1", front.secret)
    answers = {
        who: front.ask(call.split(maxsplit=1)[0], *_asked(call, who, token), long)
        for who in ("crm:1", "crm:2", "crm:9")
    }
    assert answers == {"crm:1": 200, "crm:2": 403, "crm:9": 403}
    assert front.ask(call.split(maxsplit=1)[0], *_asked(call, "web:1", token), long) == 403, (
        "another name of the same person"
    )


def _asked(call: str, who: str, token: str) -> tuple[str, str, object]:
    url, body = FOR[call](who)
    return url, token, body


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("other", [event(8) | {"customer": "crm:2"}, event(8) | {"customer": 1}, {}, 7, None])
def test_one_row_of_another_customer_refuses_them_all(front: Front, other: object, long: bool) -> None:
    token = EXAMPLE["customer_token"]("crm:1", front.secret)
    before = site_of(front.client).store.events.count()
    assert front.ask("POST", "/v1/events", token, [event(9), other], long) == 403
    assert site_of(front.client).store.events.count() == before


def test_an_identity_is_the_same_with_and_without_its_namespace(front: Front) -> None:
    token = EXAMPLE["customer_token"]("7", front.secret)
    assert front.ask("POST", "/v1/recommend", token, slots("id:7")) == 200
    assert front.ask("POST", "/v1/events", token, event(1) | {"customer": "7"}) == 200


def wrong(front: Front) -> Iterator[str | None]:
    now = time.time()
    yield from (None, "", ".", "..", "a.b.c", "ä", front.token() + "x", front.token()[:-1], "x" * 9000)
    yield token_of({"sub": "crm:1", "exp": now + 60}, "another")
    yield front.token(said={"alg": "none"}).rpartition(".")[0] + "."
    for said in ({"alg": "none"}, {"alg": "HS512"}, {"alg": "HS256", "crit": []}, {}, 7):
        yield front.token(said=said)
    for exp in (None, "soon", now - 1, now + LONGEST_LIFE + SKEW + 9, True, 1e300):
        yield front.token({"sub": "crm:1", "exp": exp})
    for sub in (None, 7, "", "X:1", ["crm:1"]):
        yield front.token({"sub": sub, "exp": now + 60})
    yield front.token({"sub": "crm:1", "exp": now + 600, "nbf": now + SKEW + 60})
    nobody: list[object] = [{}, [], 7, "crm:1"]
    yield from map(front.token, nobody)


def test_a_token_that_is_not_right_in_every_part_is_none(front: Front) -> None:
    assert front.ask("GET", "/v1/similar?item=pay-bill", front.token()) == 200
    for token in wrong(front):
        assert front.ask("GET", "/v1/similar?item=pay-bill", token) == 401, token


def test_a_token_ends_also_where_it_was_good_before(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    token = EXAMPLE["customer_token"]("crm:1", front.secret, 600)
    assert front.ask("GET", "/v1/similar?item=pay-bill", token) == 200
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    assert front.ask("GET", "/v1/similar?item=pay-bill", token) == 401


def test_a_token_goes_with_the_key_that_it_was_made_for(front: Front) -> None:
    site = site_of(front.client)
    _, other = new_key(site.store.keys, site.keyring.secret, Role.FRONTEND)
    site.keyring.refresh()
    assert Front(front.client, other, "").ask("GET", "/v1/similar?item=pay-bill", front.token()) == 401


def test_many_tokens_do_not_fill_the_memory(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST", 3)
    checked = tokens.Tokens(site_of(front.client).keyring.secret)
    prefix = front.key.rpartition("_")[0]
    for n in range(10):
        assert checked.customer_of(front.token({"sub": f"crm:{n}", "exp": time.time() + 60}).encode(), prefix)
        assert len(checked._good) <= 3


def test_the_example_of_the_standard_is_verified() -> None:
    key = base64.urlsafe_b64decode(RFC_KEY + "==")
    assert verified(RFC_EXAMPLE.encode(), key) == {
        "iss": "joe", "exp": 1300819380, "http://example.com/is_root": True,
    }  # fmt: skip
    assert verified(RFC_EXAMPLE.encode(), key[:-1]) is None
