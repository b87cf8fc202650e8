"""What the settings of the service limit: origins, rates; and what is said where others can reach the port."""

import socket
from pathlib import Path

import pytest

from recommender.errors import UsageError
from recommender.settings import Serving, Settings, load_settings
from recommender.types import Role
from serving import bootstrap
from tests.integration.serving_world import PAGE, client_of, event, key_to, site_of

SHOP = "https://www.shop.example"
ASKS = {"origin": SHOP, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}


def settings(**serving: object) -> Settings:
    return Settings(serving=Serving.model_validate(serving))


def test_without_origins_no_page_of_another_site_may_call(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        assert client.options("/v1/recommend", headers=ASKS | {"authorization": ""}).status_code == 401
        answer = client.post("/v1/recommend", json=PAGE, headers={"origin": SHOP})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert client.post("/v1/events", json=event(1), headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_the_pages_of_an_origin_of_the_settings_may_call_and_those_of_others_not(tmp_path: Path) -> None:
    cross = {"sec-fetch-site": "cross-site"}
    with client_of(tmp_path, settings=settings(origins=[SHOP])) as client:
        asked = client.options("/v1/recommend", headers=ASKS | cross | {"authorization": ""})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, SHOP)
        answer = client.post("/v1/recommend", json=PAGE, headers=cross | {"origin": SHOP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, SHOP)
        refused = client.post("/v1/recommend", json=PAGE, headers={"origin": SHOP, "authorization": ""})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, SHOP)
        other = {"origin": "https://evil.example"}
        assert client.options("/v1/recommend", headers=ASKS | other).status_code == 400
        answer = client.post("/v1/recommend", json=PAGE, headers=cross | other)
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (403, False)


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "https://*.example"])
def test_an_origin_is_a_scheme_and_a_host(tmp_path: Path, origin: str) -> None:
    (tmp_path / "murmeli.toml").write_text(f'[serving]\norigins = ["{origin}"]\n')
    with pytest.raises(UsageError, match="origins"):
        load_settings(tmp_path)


def test_a_key_that_calls_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with client_of(tmp_path, settings=settings(key_rate=0.001)) as client:
        answers = [client.get("/v1/models") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1].json()["type"] == "urn:murmeli:problem:too-many-calls"
        assert int(answers[1].headers["retry-after"]) > 900
        assert client.get("/readyz").status_code == 200


def test_one_customer_of_a_front_end_does_not_take_the_others_calls(tmp_path: Path) -> None:
    with client_of(tmp_path, settings=settings(customer_rate=1)) as client:
        one, other = key_to(site_of(client), Role.FRONTEND), key_to(site_of(client), Role.FRONTEND)
        statuses = [client.post("/v1/recommend", json=PAGE, headers=one).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert client.post("/v1/recommend", json=PAGE, headers=other).status_code == 200
        assert client.post("/v1/recommend", json=PAGE).status_code == 200


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])  # noqa: S104
def test_a_port_that_other_machines_can_reach_is_warned_of(
    caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    with bootstrap.listen(host, 0) as listener, caplog.at_level("WARNING", "murmeli"):
        bootstrap._warn_of_others(listener)
    assert ("TLS" in caplog.text) == warned
