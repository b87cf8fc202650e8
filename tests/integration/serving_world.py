"""A small site to ask over HTTP, and models of it whose favourite is known."""

import base64
import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from fastapi.testclient import TestClient

from recommender.keys import new_key, signing_secret_of
from recommender.model import KindModel, Model, column_names, model_arrays
from recommender.ranker import Ranker
from recommender.registry import MAIN, Registry
from recommender.settings import Settings
from recommender.sources.popularity import Popularity
from recommender.stores import open_store
from recommender.stores.base import Key
from recommender.types import FloatArray, IntArray, Kind, Role, codes64
from serving.app import create_app
from serving.security import Caller
from serving.site import Site, assemble
from tests.contracts.models import manifest_of

FEATURES = ("cards", "loan", "pay-bill")
ANYONE = Caller(Key("mk_1", b"", Role.BACKEND, "", 0))
"""Who may act for every customer."""
HS256 = {"alg": "HS256"}
PAGE = {"customer": "crm:1", "slots": [{"placement": "home.features"}]}


@contextmanager
def site_in(home: Path, place: str = "memory", settings: Settings | None = None) -> Iterator[Site]:
    """A site with nothing in it but settings."""
    settings = settings or Settings()
    store = open_store("memory:" if place == "memory" else home, strong=settings.strong)
    yield assemble(settings, store, Registry(home / "models"), home)


@contextmanager
def client_of(home: Path, place: str = "memory", settings: Settings | None = None) -> Iterator[TestClient]:
    """A client of a site that runs, with an admin's key."""
    with site_in(home, place, settings) as site, TestClient(create_app(site), headers=key_to(site)) as client:
        yield client


def key_to(site: Site, role: Role = Role.ADMIN) -> dict[str, str]:
    """The header with a new key of a role; with a frontend's, also a token for crm:1."""
    key, text = new_key(site.store.keys, site.keyring.secret, role)
    site.keyring.refresh()
    headers = {"authorization": f"Bearer {text}"}
    if role is Role.FRONTEND:
        claims = {"sub": "crm:1", "exp": time.time() + 600}
        headers["x-customer-token"] = token_of(claims, signing_secret_of(key.prefix, site.keyring.secret))
    return headers


def token_of(claims: object, secret: str, said: object = HS256) -> str:
    """A token of anything. said: its header."""
    signed = b".".join(_base64(orjson.dumps(part)) for part in (said, claims))
    return (signed + b"." + _base64(hmac.digest(secret.encode(), signed, "sha256"))).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def site_of(client: TestClient) -> Site:
    site: Site = client.app.state.site  # type: ignore[attr-defined]
    return site


def favouring(item: str) -> Model:
    """A model that finds one feature popular and the others not."""
    codes = np.sort(codes64(FEATURES))
    ids = sorted(FEATURES, key=lambda id_: int(codes64([id_])[0]))
    share = np.array([0 if id_ == item else -3 for id_ in ids], np.float32)
    nobody = np.zeros(0, np.int64)
    parts = {Kind.FEATURE: (codes, ids, share), Kind.CONTENT: (nobody, [], np.zeros(0, np.float32))}
    return Model({kind: _kind(*part) for kind, part in parts.items()})


def _kind(codes: IntArray, ids: list[str], share: FloatArray) -> KindModel:
    sources = (Popularity(share, np.array(-9, np.float32)),)
    columns = column_names(sources)
    return KindModel(codes, ids, sources, Ranker(columns, np.ones((1, len(columns)), np.float32)))


def publish(home: Path, item: str, behind: float = 0.1) -> int:
    """Publish a model that favours a feature; it is the challenger. behind: by how much the baselines are behind it."""
    model = favouring(item)
    return Registry(home / "models").publish(MAIN, model_arrays(model), manifest_of(model, behind))


def event(n: int, item: str = "pay-bill", **more: object) -> dict[str, Any]:
    return {"event_id": f"e{n}", "customer": "crm:1", "type": "use", "item": item, **more}


def shown(client: TestClient, customer: str = "crm:1") -> list[str]:
    """The features that a customer sees, in their order."""
    answer = client.get("/v1/recommend/home.features", params={"customer": customer})
    assert answer.status_code == 200, answer.text
    return [item["item"] for item in answer.json()["slots"][0]["items"]]
