"""Who may do what: every route with the roles that may call it. A route that is not here cannot be served."""

from collections.abc import Iterable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from recommender.types import Role

OPEN = frozenset(("/livez", "/readyz", "/docs", "/openapi.json"))
"""What needs no key: health, and the documentation, which holds no data."""

_FRONTEND, _BACKEND, _MARKETING, _DATA, _PRIVACY = (
    Role.FRONTEND,
    Role.BACKEND,
    Role.MARKETING,
    Role.DATA,
    Role.PRIVACY,
)

ROLES: dict[str, tuple[Role, ...]] = {
    # A frontend acts for the customer of its token alone: these routes ask `Caller.act_for`.
    "POST /v1/events": (_FRONTEND, _BACKEND),
    "POST /v1/recommend": (_FRONTEND, _BACKEND, _MARKETING),
    "GET /v1/recommend/{placement}": (_FRONTEND, _BACKEND, _MARKETING),
    "POST /v1/rank": (_FRONTEND, _BACKEND),
    "GET /v1/similar": (_FRONTEND, _BACKEND, _MARKETING, _DATA),
    # What follows takes any customer, or none.
    "GET /v1/explain": (_BACKEND, _DATA, _PRIVACY),
    "PUT /v1/items": (_BACKEND,),
    "GET /v1/items/{item:path}": (_BACKEND, _MARKETING, _DATA),
    "DELETE /v1/items/{item:path}": (_BACKEND,),
    "POST /v1/identities/link": (_BACKEND,),
    "POST /v1/identities/unlink": (_BACKEND,),
    "GET /v1/customers/{customer:path}": (_BACKEND, _PRIVACY),
    "PUT /v1/customers/{customer:path}/consent": (_BACKEND, _PRIVACY),
    "GET /v1/customers/{customer:path}/consent": (_BACKEND, _PRIVACY),
    "GET /v1/customers/{customer:path}/export": (_PRIVACY,),
    "DELETE /v1/customers/{customer:path}": (_PRIVACY,),
    "GET /v1/models": (_DATA,),
    "POST /v1/models/{name}/{version}/promote": (_DATA,),
    "POST /v1/models/{name}/rollback": (_DATA,),
    "GET /metrics": (_DATA,),
}
"""By method and template; an admin may call them all."""


def allowed(role: Role, method: str, template: str) -> bool:
    """Whether a role may call a route."""
    return role is Role.ADMIN or role in ROLES.get(f"{method} {template}", ())


def check_all(routes: Iterable[BaseRoute], guarded: type[APIRoute]) -> None:
    """Raises LookupError where a route has no roles here, or is not of the class that asks for them."""
    for route in routes:
        if not isinstance(route, guarded):
            raise LookupError(f"{route} is no {guarded.__module__}.{guarded.__name__}, so nobody may call it.")
        calls = [f"{method} {route.path}" for method in route.methods or ()]
        if route.path not in OPEN and not ROLES.keys() >= {*calls}:
            raise LookupError(f"{calls} is not in serving/roles.py, so nobody may call it.")


def declare(api: dict[str, Any]) -> None:
    """Say in an OpenAPI document what each call needs: a key, and with a front end's the customer's token."""
    key: dict[str, list[str]] = {"key": []}
    api["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key that `murmeli keys create` made"},
        "customer_token": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Customer-Token",
            "description": "With a key of role `frontend`: whom it acts for, signed by the company's back end",
        },
    }
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            frontend = _FRONTEND in ROLES.get(f"{method.upper()} {path}", ())
            operation["security"] = [] if path in OPEN else [key, key | {"customer_token": []}] if frontend else [key]
