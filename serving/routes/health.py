"""Whether it lives, whether it is ready, and how it does."""

from fastapi import APIRouter, Request, Response

from serving.answers import Health
from serving.requests import Route, answer
from serving.site import site_of

router = APIRouter(route_class=Route, tags=["operations"])


@router.get("/livez", summary="Does the process answer")
async def livez() -> Response:
    """Looks at nothing else."""
    return answer({"status": "alive"})


@router.get("/readyz", response_model=Health, summary="Can it serve")
async def readyz(request: Request) -> Response:
    """Ready also where something is degraded: `model` (none trained), `champion` (refused), `store`, `ledger`."""
    site = site_of(request)
    return answer({"status": "ready", "model": site.live.label, "degraded": site.degraded})


@router.get("/metrics", response_class=Response, summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """No label holds an id of anybody or anything."""
    return Response(site_of(request).telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
