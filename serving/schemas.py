"""What comes over the wire, with an example of each; a name that a call does not have is refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)
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
    Field(
        description="Any one identity of the customer, `namespace:value`; without a namespace it is `id:`.",
        examples=["crm:123"],
    ),
]
ItemId = Annotated[
    str, Field(min_length=1, max_length=256, pattern=_PLAIN, description="An item's id.", examples=["pay-bill"])
]
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
PlacementName = Annotated[
    str, Field(min_length=1, max_length=256, description="One of the settings'.", examples=["home.features"])
]
AttributeName = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)]
RecommendationId = Annotated[
    str, Field(min_length=1, max_length=64, pattern=_PLAIN, description="The `recommendation_id` of an answer.")
]
LONGEST_SAID = 64
SaidText = Annotated[str, Field(max_length=LONGEST_SAID, pattern=_PLAIN)]
Text = Annotated[str, Field(max_length=2000)]


class Wire(BaseModel):
    """Anything that goes over the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def example(**values: JsonValue) -> ConfigDict:
    """Show these values in the documentation of a model."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Event(Wire):
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


class ContextOfCall(Wire):
    """Where and when the answer is wanted, and what else the site declares of a context, such as `device`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | float | SaidText] = Field(init=False)

    channel: Channel | None = None
    at: At | None = None


class SlotOfCall(Wire):
    """One placement to fill."""

    placement: PlacementName
    k: K | None = None
    exclude: Annotated[list[ItemId], Field(fail_fast=True, max_length=MOST_IDS, description="Items not to show.")] = []
    candidates: Annotated[list[ItemId], Field(fail_fast=True, max_length=MOST_IDS)] | None = Field(
        None, description="The only items to choose from; all where missing."
    )


class RecommendCall(Wire):
    """A page to fill: no item is shown twice on it, unless a placement repeats."""

    model_config = example(
        customer="web:cookie-7",
        slots=[{"placement": "home.features", "k": 6}, {"placement": "home.content", "k": 10, "exclude": ["a"]}],
        context={"channel": "mobile"},
    )

    customer: Identity
    slots: Annotated[list[SlotOfCall], Field(fail_fast=True, min_length=1, max_length=MOST_SLOTS)]
    context: ContextOfCall = ContextOfCall()
    explain: bool = Field(False, description="Add to each item what each source added to its score.")
    attributes: bool = Field(False, description="Add to each item its title and its attributes.")
    personalise: bool = Field(True, description="False: nothing known of the customer counts, or is read.")
    after: RecommendationId | None = Field(
        None, description="Go on from this answer, for the same customer: what it showed is not shown again."
    )


class SlotInQuery(Wire):
    """A page of one slot, as a query asks for it."""

    model_config = ConfigDict(extra="ignore")  # a query also holds context.NAME, and what others put into links

    customer: Identity
    k: K | None = None
    channel: Channel | None = None
    at: At | None = None
    exclude: Annotated[list[ItemId], Field(fail_fast=True, max_length=MOST_IDS, description="Items not to show.")] = []
    attributes: bool = False
    personalise: bool = True
    after: RecommendationId | None = None

    def call(self, placement: str, said: dict[str, str]) -> RecommendCall:
        """The call that it stands for; all of it was checked."""
        given = self.model_dump(include={"customer", "attributes", "personalise", "after"})
        slot = SlotOfCall.model_construct(placement=placement, k=self.k, exclude=self.exclude)
        context = ContextOfCall.model_construct(None, channel=self.channel, at=self.at, **said)
        return RecommendCall.model_construct(None, slots=[slot], context=context, **given)


class RankCall(Wire):
    """The caller's own list, to be ranked."""

    model_config = example(customer="crm:123", candidates=["pay-bill", "transfer", "cards"], kind="feature")

    customer: Identity
    candidates: Annotated[list[ItemId], Field(fail_fast=True, min_length=1, max_length=MOST_IDS)]
    kind: Kind | None = Field(None, description="Of the candidates; where missing, that of the first known one.")
    context: ContextOfCall = ContextOfCall()
    personalise: bool = Field(True, description="False: nothing known of the customer counts, or is read.")


class ItemOfCall(Wire):
    """An entry of the catalogue, inserted or replaced as a whole."""

    model_config = example(
        id="guides/first-home", kind="content", title="Your first home", attributes={"topic": "mortgage", "minutes": 4}
    )

    id: ItemId
    kind: Kind
    title: Text | None = None
    attributes: Annotated[
        dict[AttributeName, bool | int | float | Text | Annotated[list[Text], Field(fail_fast=True, max_length=100)]],
        Field(max_length=100),
    ] = {}
    available: bool = Field(True, description="Whether it may be shown.")


Items = Annotated[list[ItemOfCall], Field(max_length=MOST_ITEMS, fail_fast=True)]


class LinkCall(Wire):
    """Two identities of one person."""

    model_config = example(a="web:cookie-7", b="crm:123")

    a: Identity
    b: Identity


class UnlinkCall(Wire):
    """An identity to give back to itself, with its own events."""

    model_config = example(identity="web:cookie-7")

    identity: Identity


class ConsentCall(Wire):
    """What a customer says, by purpose; what is missing stays as it is."""

    model_config = example(personalise=False)

    personalise: StrictBool | None = Field(None, description="Whether what they do may count in what they see.")
    marketing: StrictBool | None = Field(None, description="Whether they may be in a segment for marketing.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.personalise is None and self.marketing is None:
            raise PydanticCustomError("no_purpose", "Say `personalise`, `marketing`, or both: true or false.")
        return self


class PromoteCall(Wire):
    """How a promotion is meant; the body may be missing."""

    model_config = example(force="The search is broken in the champion; approved by the owner of the site.")

    force: Annotated[str, Field(min_length=1, max_length=500, pattern=_PLAIN)] | None = Field(
        None, description="Why it is to be promoted whatever the gate says; recorded."
    )


_PARAMETERS = {"body", "query", "path", "customer", "item", "placement", "k", "channel", "at", "limit"}
FIELD_NAMES = frozenset(_PARAMETERS | {"name", "version"}).union(
    *(model.model_fields for model in (SlotOfCall, ContextOfCall, RecommendCall, RankCall, ItemOfCall)),
    *(model.model_fields for model in (LinkCall, UnlinkCall, ConsentCall, PromoteCall)),
)
"""Every name that a call may hold; a place in a problem document is made of these alone."""
