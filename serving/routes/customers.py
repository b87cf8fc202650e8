"""What is remembered of a customer."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving.answers import CustomerOut
from serving.requests import Route, answer
from serving.schemas import Identity
from serving.site import site_of

router = APIRouter(route_class=Route, tags=["customers"])


@router.get("/v1/customers/{customer:path}", response_model=CustomerOut, summary="What is remembered")
async def remembered(
    request: Request, customer: Identity, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> Response:
    """Identities, habits by kind, and the newest events of the customer behind an identity."""
    site = site_of(request)
    recommender = site.live.recommender
    return answer(await site.reads.ask(lambda: recommender.remembered(customer, limit)))
