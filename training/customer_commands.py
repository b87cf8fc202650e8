"""`murmeli customers`: what a person agreed to, all that is kept of them, and its end."""

import sys
from typing import Annotated, Any

import orjson
import typer

from recommender import persons
from recommender.consent import Purpose
from recommender.errors import UsageError
from recommender.events import system_clock
from recommender.identity import parse_identity
from recommender.stores.base import Store
from recommender.types import instant
from training.report import facts, table_of
from training.terminal import HERE, Home, Json, opened, show

customers_app = typer.Typer(no_args_is_help=True, help="What is kept of a person: consent, export, erasure.")

Customer = Annotated[str, typer.Argument(help="Any one identity of the customer.", show_default=False)]


@customers_app.command("consent")
def consent(
    customer: Customer,
    home: Home = HERE,
    personalise: Annotated[bool | None, typer.Option(help="What they do may count in what they see.")] = None,
    marketing: Annotated[bool | None, typer.Option(help="They may be in a segment for marketing.")] = None,
    as_json: Json = False,
) -> None:
    """What a customer agreed to; with an option, what they say now, for all identities that they have.

    Example: `murmeli customers consent crm:42 --no-personalise`
    """
    identity = parse_identity(customer)
    said = {Purpose.PERSONALISE: personalise, Purpose.MARKETING: marketing}
    given = {purpose: value for purpose, value in said.items() if value is not None}
    with opened(home, reading=not given) as (_, store):
        if given:
            store.consents.state(identity, given, system_clock(), "cli")
        document = _consent(store, identity)
    rows = [{**one, "given": "yes" if one["given"] else "no"} for one in document["history"]]
    holds = {purpose: "yes" if held else "no" for purpose, held in document["consent"].items()}
    show(document, as_json, facts("What holds now", holds), *([table_of("What was said", rows)] if rows else []))


def _consent(store: Store, identity: str) -> dict[str, Any]:
    history = [
        {"identity": one.identity, "purpose": one.purpose, "given": one.given, "at": instant(one.at), "by": one.by}
        for one in store.consents.history(identity)
    ]
    return {"consent": {one.value: store.consents.allows(identity, one) for one in Purpose}, "history": history}


@customers_app.command("export")
def export(customer: Customer, home: Home = HERE, as_json: Json = False) -> None:
    """All that is kept of a customer: one JSON record a line; with --json one document, `records`.

    Example: `murmeli customers export crm:42 > crm-42.jsonl`
    """
    identity = parse_identity(customer)
    before, between, after = ('{"records":[', ",\n", "]}\n") if as_json else ("", "\n", "\n")
    with opened(home, reading=True) as (_, store):
        sys.stdout.write(before)
        for number, record in enumerate(persons.export(store, home, identity)):
            sys.stdout.write((between if number else "") + orjson.dumps(record).decode())
        sys.stdout.write(after)


@customers_app.command("erase")
def erase(customer: Customer, home: Home = HERE, as_json: Json = False) -> None:
    """End all that is kept of a customer, with all linked identities, for good; late events stay outside.

    Example: `murmeli customers erase crm:42`
    """
    with opened(home) as (_, store):
        removed = persons.erase(store, home, parse_identity(customer), system_clock())
    show(removed, as_json, facts("Erased", removed))


@customers_app.command("lift")
def lift(customer: Customer, home: Home = HERE, as_json: Json = False) -> None:
    """Let an identity that was erased in again, with nothing of before.

    Example: `murmeli customers lift crm:42`
    """
    with opened(home) as (_, store):
        if not store.persons.lift(parse_identity(customer)):
            raise UsageError("This identity was not erased: there is nothing to lift.")
    show({"lifted": True}, as_json, "Lifted: this identity may come back, with nothing of before.")
