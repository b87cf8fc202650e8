"""What goes over the wire, with an example of each; validation is strict about names and lenient about nothing."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonValue
from pydantic_core import PydanticCustomError

from recommender.errors import UsageError
from recommender.identity import parse_identity
from recommender.types import Kind

MOST_EVENTS = 500
MOST_ITEMS = 500
MOST_SLOTS = 20
MOST_IDS = 1000
MOST_K = 1000

_PLAIN = r"^[^\x00-\x1f\x7f-\x9f]+$"


def _identity(text: str) -> str:
    try:
        return parse_identity(text)
    except UsageError as error:
        raise PydanticCustomError("bad_identity", "{reason}", {"reason": str(error)}) from None


def _whole_text(value: object) -> object:
    """Let a time be text or a number; what else there is would be shown by pydantic as a union's branches."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return str(value)
    return value


Identity = Annotated[
    str,
    AfterValidator(_identity),
    Field(description="Any one identity of the customer, `namespace:value`; without a namespace it is `id:`."),
]
ItemId = Annotated[str, Field(min_length=1, max_length=256, pattern=_PLAIN, description="An item's id.")]
Channel = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN, description="Such as web or mobile.")]
At = Annotated[
    str,
    BeforeValidator(_whole_text),
    Field(
        max_length=64,
        description="When: ISO 8601, or seconds or milliseconds since 1970; now where missing. "
        "Without an offset it is the site's wall clock. In a query `+` is written `%2B`.",
    ),
]
K = Annotated[int, Field(ge=1, le=MOST_K, description="How many items; the placement's size where missing.")]
PlacementName = Annotated[str, Field(min_length=1, max_length=256, description="A placement of the settings.")]
AttributeName = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)]
Text = Annotated[str, Field(max_length=2000)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _example(**example: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class Event(_Wire):
    """One thing that a customer did. Documentation alone: the door (recommender/events.py) is what checks it."""

    event_id: str = Field(max_length=256, description="The sender's name for it, unique per identity.")
    customer: str = Field(description="Any one identity of the customer, `namespace:value`.")
    type: str = Field(max_length=64, description="use, view, click, purchase, dismiss, ... or a name of your own.")
    item: str | None = Field(None, max_length=256, description="The item that it is about.")
    kind: Literal["content", "feature"] | None = Field(
        None, description="What a new item is; a `use` is of a feature, all else of content."
    )
    at: str | float | None = Field(None, description="When; now where missing.")
    seq: int | None = Field(None, description="The sender's order among events of the same time.")
    channel: str | None = Field(None, max_length=64)
    session: str | None = Field(None, max_length=256)
    recommendation_id: str | None = Field(None, max_length=256, description="The answer that led to it.")
    position: int | None = Field(None, ge=1, description="1 for the first place shown.")
    value: float | None = Field(None, description="Below zero a use or a purchase is a return.")
    properties: dict[str, Any] | None = Field(None, description="Anything else, up to 32 KB.")


EVENT_EXAMPLES: dict[str, Any] = {
    "one": {
        "summary": "One event",
        "value": {
            "event_id": "e1",
            "customer": "crm:123",
            "type": "use",
            "item": "pay-bill",
            "at": "2026-11-22T16:00:00Z",
            "channel": "mobile",
        },
    },
    "several": {
        "summary": "Several events",
        "value": [
            {"event_id": "e2", "customer": "web:cookie-7", "type": "view", "item": "first-home", "kind": "content"},
            {"event_id": "e3", "customer": "web:cookie-7", "type": "click", "item": "first-home", "position": 1},
        ],
    },
}


class Rejected(_Wire):
    """A row that was not taken, and why."""

    index: int
    code: str
    detail: str


class Receipt(_Wire):
    """What became of the events; `accepted` ones are on disk and in the next answer."""

    model_config = _example(accepted=1, duplicate=0, rejected=[])

    accepted: int
    duplicate: int
    rejected: list[Rejected]


class ContextOfCall(_Wire):
    """Where and when the answer is wanted."""

    channel: Channel | None = None
    at: At | None = None


class SlotOfCall(_Wire):
    """One placement to fill."""

    placement: PlacementName
    k: K | None = None
    exclude: Annotated[list[ItemId], Field(max_length=MOST_IDS, description="Items not to show.")] = []


class RecommendCall(_Wire):
    """A page to fill: no item is shown twice on it."""

    model_config = _example(
        customer="web:cookie-7",
        slots=[{"placement": "home.features", "k": 6}, {"placement": "home.content", "k": 10, "exclude": ["a"]}],
        context={"channel": "mobile"},
    )

    customer: Identity
    slots: Annotated[list[SlotOfCall], Field(min_length=1, max_length=MOST_SLOTS)]
    context: ContextOfCall = ContextOfCall()
    explain: bool = Field(False, description="Add to each item what each source added to its score.")


class RankCall(_Wire):
    """The caller's own list, to be ranked."""

    model_config = _example(customer="crm:123", candidates=["pay-bill", "transfer", "cards"], kind="feature")

    customer: Identity
    candidates: Annotated[list[ItemId], Field(min_length=1, max_length=MOST_IDS)]
    kind: Kind | None = Field(None, description="Of the candidates; where missing, that of the first known one.")
    context: ContextOfCall = ContextOfCall()


class RankedItemOut(_Wire):
    """score: how likely this is what the customer takes next; higher is better."""

    item: str
    score: float
    reason: str
    propensity: float
    parts: dict[str, float] | None = Field(None, description="With `explain`: what each source added.")


class SlotOut(_Wire):
    """A filled placement, best first; fewer items than asked for is normal."""

    placement: str
    items: list[RankedItemOut]


class RecommendationOut(_Wire):
    """One answer; it is on the ledger under its `recommendation_id`. degraded: what could not be used for it."""

    model_config = _example(
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


class RankingOut(_Wire):
    """One ranked list; on the ledger too."""

    recommendation_id: str
    model: str
    degraded: list[str]
    items: list[RankedItemOut]


class ExplanationOut(_Wire):
    """Why an item stands where it stands, or why it is not shown (`hidden`). parts: log-score by source."""

    item: str
    placement: str
    rank: int | None
    score: float
    reason: str
    parts: dict[str, float]
    hidden: str | None


class ItemOfCall(_Wire):
    """An entry of the catalogue, inserted or replaced as a whole."""

    model_config = _example(
        id="guides/first home", kind="content", title="Your first home", attributes={"topic": "mortgage", "minutes": 4}
    )

    id: ItemId
    kind: Kind
    title: Text | None = None
    attributes: Annotated[
        dict[AttributeName, bool | int | float | Text | Annotated[list[Text], Field(max_length=100)]],
        Field(max_length=100),
    ] = {}
    available: bool = Field(True, description="Whether it may be shown.")


class ItemOut(_Wire):
    """An entry of the catalogue; also an item that only an event named has one."""

    id: str
    kind: Kind
    title: str | None
    attributes: dict[str, Any] | None
    available: bool


class Stored(_Wire):
    """How many items were written."""

    stored: int


class LinkCall(_Wire):
    """Two identities of one person."""

    model_config = _example(a="web:cookie-7", b="crm:123")

    a: Identity
    b: Identity


class UnlinkCall(_Wire):
    """An identity to give back to itself, with its own events."""

    model_config = _example(identity="web:cookie-7")

    identity: Identity


class IdentitiesOut(_Wire):
    """All identities of the customer, from now on."""

    model_config = _example(identities=["crm:123", "web:cookie-7"])

    identities: list[str]


class CustomerOut(BaseModel):
    """What is remembered of a customer."""

    identities: list[str]
    events: int
    habits: dict[str, list[dict[str, Any]]]
    recent: list[dict[str, Any]]


class VersionOut(_Wire):
    """One published version. reason: what is wrong with it."""

    version: int
    ok: bool
    reason: str | None
    manifest: dict[str, Any] | None = Field(description="Without the list of arrays.")


class ModelOut(_Wire):
    """One model: its versions, and those in use."""

    name: str
    champion: int | None
    challenger: int | None
    history: list[int]
    versions: list[VersionOut]


class ModelsOut(_Wire):
    """All models of the site. serving: what answers now."""

    serving: str
    models: list[ModelOut]


class InUse(_Wire):
    """What answers from now on."""

    model_config = _example(champion="main/7", serving="main/7")

    champion: str
    serving: str


class Health(_Wire):
    """status: `ready`, also where something is degraded, which is then listed."""

    status: str
    model: str
    degraded: list[str]


class Problem(BaseModel):
    """RFC 9457; `type` is stable, `errors` says where a request does not fit."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


_PARAMETERS = {"body", "query", "path", "customer", "item", "placement", "k", "channel", "at", "exclude", "limit"}
FIELD_NAMES = frozenset(_PARAMETERS | {"name", "version"}).union(
    *(model.model_fields for model in (SlotOfCall, ContextOfCall, RecommendCall, RankCall, ItemOfCall)),
    *(model.model_fields for model in (LinkCall, UnlinkCall)),
)
"""Every name that a call may hold; a place in a problem document is made of these alone."""
