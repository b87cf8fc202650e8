"""The models and which of them answers."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from recommender import champion
from recommender.registry import MAIN, Registry, Version
from serving.answers import InUse, ModelsOut
from serving.requests import Route, answer
from serving.schemas import PromoteCall
from serving.site import Site, site_of

router = APIRouter(route_class=Route, prefix="/v1/models", tags=["models"])


@router.get("", response_model=ModelsOut, summary="All models")
async def models(request: Request) -> Response:
    """Each model's versions, oldest first, and what its aliases point at."""
    site = site_of(request)
    registry = site.live.registry
    found = await asyncio.to_thread(lambda: [_model(registry, name) for name in registry.names()])
    return answer({"serving": site.live.label, "models": found})


@router.post("/{name}/{version}/promote", response_model=InUse, summary="Make a version the champion")
async def promote(request: Request, name: str, version: str, call: PromoteCall | None = None) -> Response:
    """Checked byte by byte first and asked at the gate, then in use from the next answer on, here at once and elsewhere
    within a second. What the gate refuses is a problem of status 409 whose `reasons` say why; with `force`, and a
    reason in it, it is promoted all the same, and that is recorded.
    """
    site = site_of(request)
    force = call.force if call else None
    promoting = partial(champion.promote, site.live.registry, version, name, store=site.store, force=force, who="http")
    return await _in_use(site, name, await asyncio.to_thread(promoting))


@router.post("/{name}/rollback", response_model=InUse, summary="Go back to the champion before")
async def rollback(request: Request, name: str) -> Response:
    """The champion before this one answers again; the gate is not asked."""
    site = site_of(request)
    number = await asyncio.to_thread(champion.rollback, site.live.registry, name)
    return await _in_use(site, name, number)


async def _in_use(site: Site, name: str, number: int) -> Response:
    if name == MAIN:
        await site.live.catch_up()
    return answer({"champion": f"{name}/{number}", "serving": site.live.label})


def _model(registry: Registry, name: str) -> dict[str, Any]:
    aliases = registry.aliases(name)
    return {"name": name, **aliases.model_dump(), "versions": [_version(one) for one in registry.versions(name)]}


def _version(version: Version) -> dict[str, Any]:
    manifest = version.manifest.model_dump(mode="json", exclude={"arrays"}) if version.manifest else None
    return {"version": version.number, "ok": version.ok, "reason": version.reason, "manifest": manifest}
