"""`murmeli recommend`, `explain`, `link` and `unlink`: what the server would answer, asked without it."""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from recommender.champion import choose
from recommender.history import Context
from recommender.identity import parse_identity
from recommender.page import Explanation, Recommendation, Request, SlotRequest
from recommender.plugins import registry_at
from recommender.recommender import Recommender
from recommender.settings import Settings
from recommender.stores.base import Store
from recommender.types import code32
from training.report import table_of
from training.terminal import HERE, Home, Json, Shown, complain, instant_of, opened, show

answers_app = typer.Typer()


@answers_app.command()
def recommend(
    customer: str,
    home: Home = HERE,
    placement: Annotated[str | None, typer.Option(help="One placement; else the whole page.")] = None,
    k: Annotated[int | None, typer.Option(min=1, max=1000, help="How many; else the placement's size.")] = None,
    at: Annotated[str | None, typer.Option(help="The time to answer for, ISO 8601; else now.")] = None,
    channel: Annotated[str, typer.Option(help="The channel to answer for.")] = "",
    as_json: Json = False,
) -> None:
    """Rank for a customer, as the server would.

    Example: `murmeli recommend crm:42 --placement home.features --k 6`
    """
    with opened(home, reading=True) as (settings, store):
        slots = [placement] if placement else list(settings.placements)
        recommender, degraded = recommender_of(home, store, settings)
        answer = recommender.recommend(
            Request(
                parse_identity(customer),
                tuple(SlotRequest(slot, k) for slot in slots),
                context_of(settings, at, channel),
            )
        )
    answer = replace(answer, degraded=answer.degraded + degraded)
    show(asdict(answer), as_json, *page(answer))


def page(answer: Recommendation) -> list[Shown]:
    """An answer as tables, one a slot."""
    shown: list[Shown] = []
    for slot in answer.slots:
        rows = [{"item": i.item, "score": i.score, "reason": i.reason} for i in slot.items]
        shown.append(table_of(slot.placement, rows) if rows else f"{slot.placement}: there is nothing to show.")
    return shown + [f"degraded: {what}" for what in answer.degraded]


@answers_app.command()
def explain(
    customer: str,
    item: str,
    placement: Annotated[str, typer.Option(help="The placement to look at.")] = "home.features",
    home: Home = HERE,
    at: Annotated[str | None, typer.Option(help="The time to answer for, ISO 8601; else now.")] = None,
    channel: Annotated[str, typer.Option(help="The channel to answer for.")] = "",
    as_json: Json = False,
) -> None:
    """Why an item stands where it stands for a customer, or why it is not there.

    Example: `murmeli explain crm:42 pay-bill --placement home.features`
    """
    with opened(home, reading=True) as (settings, store):
        recommender, _ = recommender_of(home, store, settings)
        why = recommender.explain(parse_identity(customer), item, placement, context_of(settings, at, channel))
    parts = [{"source": name, "lift": lift} for name, lift in sorted(why.parts.items(), key=lambda part: -part[1])]
    stands = f"rank {why.rank}; reason: {why.reason}. {why.why}" if why.rank else f"not shown: {why.hidden}"
    verdict = f"{why.item} at {why.placement}: {stands}"
    show(asdict(why), as_json, verdict, *causes(why), *([table_of("", parts)] if parts else []))


def causes(why: Explanation) -> Iterator[str]:
    """What would have had to differ, one sentence each."""
    if why.cause:
        yield f"Its score is {why.score:.4f}; without the source {why.cause.source} it would be {why.cause.score:.4f}."
    if why.cause and why.cause.own:
        own = why.cause.own
        yield f"Without the newest {own.uses} uses of {own.item} it would be {own.score:.4f}."
    yield from (f"Without the rule `{rule}` it would stand elsewhere." for rule in why.rules)
    if why.otherwise:
        yield f"Were it not kept out, it would stand at {why.otherwise}."
    if why.needed:
        yield f"A boost of {why.needed:g} would put it on the page."


def recommender_of(home: Path, store: Store, settings: Settings) -> tuple[Recommender, tuple[str, ...]]:
    """Answers as the server would; and what is degraded where the champion must not be loaded."""
    chosen = choose(registry_at(home, settings))
    for reason in chosen.refused:
        complain(f"{reason} Meanwhile {chosen.model.label} answers.")
    return Recommender(store, chosen.model, settings), ("champion",) if chosen.refused else ()


def context_of(settings: Settings, at: str | None, channel: str) -> Context:
    """Where and when; a time without a zone is in the site's."""
    moment, zone = instant_of(settings.zone_info, at or time.time_ns() // 1_000_000, "--at")
    return Context(moment, zone, code32(channel))


@answers_app.command()
def link(a: str, b: str, home: Home = HERE, as_json: Json = False) -> None:
    """Say that two identities are one person; acts on the next request.

    Example: `murmeli link web:cookie-7 crm:123`
    """
    with opened(home) as (_, store):
        identities = store.identities.link(parse_identity(a), parse_identity(b))
    show({"identities": identities}, as_json, f"One customer: {', '.join(identities)}")


@answers_app.command()
def unlink(identity: str, home: Home = HERE, as_json: Json = False) -> None:
    """Give an identity back to itself, with its own events.

    Example: `murmeli unlink web:cookie-7`
    """
    with opened(home) as (_, store):
        identities = store.identities.unlink(parse_identity(identity))
    show({"identities": identities}, as_json, f"On its own again: {', '.join(identities)}")
