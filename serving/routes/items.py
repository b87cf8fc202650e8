"""The catalogue."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from recommender.errors import NotFoundError
from recommender.stores.base import Item
from serving.answers import ItemOut, Stored
from serving.requests import Route, answer
from serving.schemas import ItemId, Items
from serving.site import site_of

router = APIRouter(route_class=Route, tags=["catalogue"])


@router.put("/v1/items", response_model=Stored, summary="Insert or replace items")
async def put(request: Request, items: Annotated[Items, Body()]) -> Response:
    """All or none; each replaces the whole entry. A new item can be shown from the next answer on."""
    site = site_of(request)
    entries = [Item(one.id, one.kind, one.title, dict(one.attributes), one.available) for one in items]
    return answer({"stored": await site.writer.run(lambda: site.store.items.put(entries))})


@router.get("/v1/items/{item:path}", response_model=ItemOut, summary="One item")
async def get(request: Request, item: ItemId) -> Response:
    """The catalogue's entry."""
    site = site_of(request)
    entry = await site.reads.ask(lambda: site.store.items.get(item))
    if entry is None:
        raise NotFoundError("The catalogue has no item of this id. PUT /v1/items adds it.")
    return answer(entry)


@router.delete("/v1/items/{item:path}", status_code=204, summary="Take an item out")
async def delete(request: Request, item: ItemId) -> Response:
    """Out of every ranking from the next answer on; its events stay."""
    site = site_of(request)
    if not await site.writer.run(lambda: site.store.items.delete(item)):
        raise NotFoundError("The catalogue has no item of this id.")
    return Response(status_code=204)
