"""Who is who."""

from fastapi import APIRouter, Request, Response

from serving.answers import IdentitiesOut
from serving.requests import Route, answer
from serving.schemas import LinkCall, UnlinkCall
from serving.site import site_of

router = APIRouter(route_class=Route, prefix="/v1/identities", tags=["customers"])


@router.post("/link", response_model=IdentitiesOut, summary="Make two identities one customer")
async def link(request: Request, call: LinkCall) -> Response:
    """From the next answer on; 409 where it would give one customer two identities of a strong namespace."""
    site = site_of(request)
    return answer({"identities": await site.writer.run(lambda: site.store.identities.link(call.a, call.b))})


@router.post("/unlink", response_model=IdentitiesOut, summary="Give an identity back to itself")
async def unlink(request: Request, call: UnlinkCall) -> Response:
    """With its own events, and nobody else's, from the next answer on."""
    site = site_of(request)
    return answer({"identities": await site.writer.run(lambda: site.store.identities.unlink(call.identity))})
