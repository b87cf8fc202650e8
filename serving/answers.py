"""What goes back over the wire, with examples: the documentation of the answers."""

from typing import Any

from pydantic import BaseModel, Field

from recommender.consent import Purpose
from recommender.types import Kind
from serving.schemas import Wire, example


class Rejected(Wire):
    """A row that was not taken, and why."""

    index: int
    code: str
    detail: str


class Receipt(Wire):
    """What became of the events; `accepted` ones are on disk and in the next answer."""

    model_config = example(accepted=1, duplicate=0, rejected=[])

    accepted: int
    duplicate: int
    rejected: list[Rejected]


class RankedItemOut(Wire):
    """score: how likely this is what the customer takes next; higher is better."""

    item: str
    score: float
    reason: str
    propensity: float
    title: str | None = Field(None, description="With `attributes`: what people call it.")
    attributes: dict[str, Any] | None = Field(None, description="With `attributes`: what the catalogue says of it.")
    parts: dict[str, float] | None = Field(None, description="With `explain`: what each source added.")
    rules: list[str] | None = Field(None, description="With `explain`: without each of which it would stand elsewhere.")
    why: str | None = Field(None, description="With `explain`: words for a customer to read.")


class SlotOut(Wire):
    """A filled placement, in the order to show; fewer items than asked for is normal."""

    placement: str
    items: list[RankedItemOut]


class RecommendationOut(Wire):
    """One answer; it is on the ledger under its `recommendation_id`. degraded: what could not be used for it."""

    model_config = example(
        recommendation_id="019abc3f2c4e8a5b1d0f9e7c6a5b4c3d",
        model="main/7",
        degraded=[],
        slots=[
            {
                "placement": "home.features",
                "items": [{"item": "pay-bill", "score": 0.42, "reason": "habit", "propensity": 1.0}],
            }
        ],
    )

    recommendation_id: str
    model: str
    degraded: list[str]
    slots: list[SlotOut]


class RankingOut(Wire):
    """One ranked list; on the ledger too."""

    recommendation_id: str
    model: str
    degraded: list[str]
    items: list[RankedItemOut]


class OwnOut(Wire):
    """The customer's events that count most: the newest uses of an item. score: what it would be without these."""

    item: str
    uses: int
    score: float


class CauseOut(Wire):
    """What a score comes from: the source without which it would be `score`."""

    source: str
    score: float
    own: OwnOut | None


class ExplanationOut(Wire):
    """Why an item stands where it stands, or why it is not shown (`hidden`). parts: log-score by source.

    rules: without each of which it would stand elsewhere. why: words for a customer to read. proposed_by: the sources
    that know of it. needed: the least boost that would put it on the page. otherwise: the rank it would have, were it
    not hidden.
    """

    item: str
    placement: str
    rank: int | None
    score: float
    reason: str
    parts: dict[str, float]
    hidden: str | None
    rules: list[str]
    why: str
    proposed_by: list[str]
    cause: CauseOut | None
    needed: float | None
    otherwise: int | None


class ItemOut(Wire):
    """An entry of the catalogue; also an item that only an event named has one."""

    id: str
    kind: Kind
    title: str | None
    attributes: dict[str, Any] | None
    available: bool


class Stored(Wire):
    """How many items were written."""

    stored: int


class IdentitiesOut(Wire):
    """All identities of the customer, from now on."""

    model_config = example(identities=["crm:123", "web:cookie-7"])

    identities: list[str]


class CustomerOut(BaseModel):
    """What is remembered of a customer."""

    identities: list[str]
    events: int
    habits: dict[str, list[dict[str, Any]]]
    recent: list[dict[str, Any]]
    consent: dict[Purpose, bool] = Field(description="By purpose, what holds now.")


class StatementOut(Wire):
    """What was said of a purpose, when, and through whom it came."""

    identity: str
    purpose: Purpose
    given: bool
    at: str
    by: str


class ConsentOut(Wire):
    """consent: what holds now, by purpose; history: by identity, purpose and time."""

    model_config = example(
        consent={"personalise": False, "marketing": False},
        history=[
            {
                "identity": "crm:123",
                "purpose": "personalise",
                "given": False,
                "at": "2026-11-22T16:00:00+00:00",
                "by": "mk_1a2b3c4d",
            }
        ],
    )

    consent: dict[Purpose, bool]
    history: list[StatementOut]


class ErasedOut(Wire):
    """How much there was, by kind; zeros where nothing was left to erase."""

    model_config = example(identities=2, events=40, statements=1, answers=12, rejects=0)

    identities: int
    events: int
    statements: int
    answers: int
    rejects: int


class VersionOut(Wire):
    """One published version. reason: what is wrong with it."""

    version: int
    ok: bool
    reason: str | None
    manifest: dict[str, Any] | None = Field(description="Without the list of arrays.")


class ForcedOut(Wire):
    """A promotion whatever the gate says. who: `cli` or `http`; objections: what the gate said."""

    version: int
    at: str
    who: str
    reason: str
    objections: list[str]


class ModelOut(Wire):
    """One model: its versions, those in use, and the promotions that were forced."""

    name: str
    champion: int | None
    challenger: int | None
    history: list[int]
    forced: list[ForcedOut]
    versions: list[VersionOut]


class ModelsOut(Wire):
    """All models of the site. serving: what answers now."""

    serving: str
    models: list[ModelOut]


class InUse(Wire):
    """What answers from now on."""

    model_config = example(champion="main/7", serving="main/7")

    champion: str
    serving: str


class Health(Wire):
    """status: `ready`, also where something is degraded, which is then listed."""

    status: str
    model: str
    degraded: list[str]


class Problem(BaseModel):
    """RFC 9457; `type` is stable, `errors` says where a request does not fit, `reasons` why the gate refused."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    reasons: list[str] | None = None
