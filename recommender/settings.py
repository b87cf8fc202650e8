"""What a site can set, in `murmeli.toml`; everything has a default, and an unknown name is an error."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recommender.consent import UNSTATED, Purpose
from recommender.errors import StoreError, UsageError
from recommender.rules import read_rule
from recommender.types import Kind

FILE = "murmeli.toml"
CHANNEL = "channel"


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not an IANA time zone; write it like Europe/Helsinki")
    return name


STABILITY = {Kind.FEATURE: 0.3, Kind.CONTENT: 0.0}
"""Where a placement does not say: the calmest step of .05 that lost at most 1.5 % of the hits in the first place and
1 % of those on the page, half of what we allow, on the validation part of two logs of features. Content is looked at
once, and may vary."""


def _readable(rule: str) -> str:
    if rule:
        try:
            read_rule(rule)
        except UsageError as error:
            raise ValueError(str(error)) from None
    return rule


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Rule = Annotated[str, AfterValidator(_readable)]


MOST_BOOST = 1e6


class Boost(_Table):
    """Items that are to stand higher, or lower, than their score."""

    when: Rule = Field(min_length=1, description="the rule that says which items")
    by: float = Field(gt=0, le=MOST_BOOST, description="by how much their chance counts more (2.0) or less (0.5)")


def _apart(pins: dict[str, int]) -> dict[str, int]:
    if len(set(pins.values())) < len(pins):
        raise ValueError("two items are pinned to one position")
    return pins


class Placement(_Table):
    """A named place that shows a ranking of one kind."""

    kind: Kind
    size: int = Field(default=10, ge=1, le=1000, description="how many items are shown unless the call says")
    hide_used: bool = Field(default=False, description="leave out what the customer already used")
    filter: Rule = Field(
        default="", description='which items may be shown, such as price < 50 and category in ["shoes", "bags"]'
    )
    fallback: tuple[str, ...] = Field(
        default=(), description="placements whose items fill up what would stay empty, one after the other"
    )
    boosts: tuple[Boost, ...] = Field(
        default=(), description='what stands higher or lower, such as {when = "margin > 0.3", by = 1.5}'
    )
    pins: Annotated[dict[str, Annotated[int, Field(ge=1, le=1000)]], AfterValidator(_apart)] = Field(
        default={}, description='items that keep a position, such as {"welcome" = 1}'
    )
    diversity: float = Field(
        default=0.0, ge=0, le=1, description="how unlike each other its items are: 0 goes by the scores alone"
    )
    repeat: bool = Field(default=False, description="may show what another slot of the page shows too")
    personalise: bool = Field(default=True, description="false shows every customer the same")
    cap: int = Field(default=0, ge=0, description="leave out an item after so many impressions; 0 never does")
    rotate: int = Field(
        default=0, ge=0, description="put an item behind the others after each so many impressions without a use"
    )
    shown_days: float = Field(default=7.0, gt=0, le=365, description="for how long an impression counts")
    implied: bool = Field(default=False, description="every answer is an impression; else those reported are")
    stability: float = Field(
        default_factory=lambda given: STABILITY[given["kind"]] if "kind" in given else 0.0,
        ge=0,
        le=1,
        description="how calm it is from one answer to the next: 0 is the plain ranking, 1 moves nothing that can stay",
    )


LEARNED: Literal["learned"] = "learned"
"""The setting of what training finds out on the log."""

Days = Annotated[float, Field(ge=0, le=36_500)]
TypeWeights = dict[Annotated[str, Field(min_length=1)], Annotated[float, Field(ge=0, le=1)]]


class Training(_Table):
    """How models are trained."""

    seed: int = Field(default=7, description="the seed of everything drawn at random")
    threads: int = Field(default=2, ge=1, description="threads of the fit; part of what makes a run repeatable")
    factors: int = Field(default=256, ge=1, le=1024, description="the longest that an item's vector may be")
    iterations: int = Field(default=15, ge=1, description="passes of alternating least squares")
    alpha: float = Field(default=40.0, gt=0, description="factors: how much surer a use is than no use")
    regularisation: float = Field(default=10.0, gt=0, description="factors: how far they are drawn towards zero")
    customer_discount: float = Field(default=0.8, ge=0, le=3, description="neighbours: discount of busy customers")
    source_discount: float = Field(default=0.8, ge=0, le=3, description="neighbours: discount of popular items used")
    target_discount: float = Field(default=0.3, ge=0, le=3, description="neighbours: discount of popular items found")
    graph_waves: int = Field(default=0, ge=0, le=1024, description="graph: how many waves pass; 0 by the log's size")
    half_life: Days | Literal["learned"] = Field(
        default=LEARNED, description="content: after how many days a use counts half; 0 never"
    )
    type_weights: TypeWeights | Literal["learned"] = Field(
        default=LEARNED, description="content: how much a use of an event type counts, such as {view = 0.1}; others 1"
    )
    trials: int = Field(
        default=0, ge=0, description="content with a clock: settings to try for each source in a training"
    )
    novelty: float = Field(
        default=0.0, ge=0, le=1, description="content: how much of an item's popularity is taken off its score, 0 to 1"
    )
    sources: tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...] = Field(
        default=(), description='models of your own beside the built-in ones, as "module:Class"'
    )


class Serving(_Table):
    """How answers are served."""

    host: str = Field(default="127.0.0.1", description="the address to listen on; the default is this machine alone")
    port: int = Field(default=8787, ge=0, le=65535, description="the port to listen on")
    tracing: bool = Field(default=False, description="whether requests are traced with OpenTelemetry")
    deadline_ms: int = Field(
        default=500, ge=1, description="how long an answer waits for its profile and ranks, before popularity answers"
    )
    origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")], ...] = Field(
        default=(),
        description='whose pages may call from a browser, such as "https://www.shop.example"',
    )
    key_rate: float = Field(default=5000, gt=0, description="calls a second that one key may make of one process")
    customer_rate: float = Field(default=20, gt=0, description="calls a second of a front end for one customer")
    ledger_days: int = Field(default=90, ge=1, description="how long recommendations stay on the ledger")


class Consent(_Table):
    """What holds for customers who did not say what they agree to."""

    personalise: bool = Field(
        default=UNSTATED[Purpose.PERSONALISE], description="whether what they do may count in what they see"
    )
    marketing: bool = Field(
        default=UNSTATED[Purpose.MARKETING], description="whether they may be in a segment for marketing"
    )

    @property
    def unstated(self) -> dict[Purpose, bool]:
        """By purpose."""
        return {purpose: getattr(self, purpose.value) for purpose in Purpose}


class Settings(_Table):
    """A site's settings."""

    zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="the site's time zone, for events that come without one"
    )
    strong: tuple[str, ...] = Field(
        default=("crm", "id"), description="identity namespaces of which a customer has at most one"
    )
    context: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,63}$")], ...] = Field(
        default=("device",), description="what a call may say of its context beside channel and at, for rules"
    )
    models: str = Field(
        default="", description="where trained models lie: a folder, or a URL such as s3://shop/models; else models/"
    )
    placements: dict[str, Placement] = Field(
        default={
            "home.features": Placement(kind=Kind.FEATURE, size=6),
            "home.content": Placement(kind=Kind.CONTENT, size=10),
        },
        description="the places that show a ranking",
    )
    consent: Consent = Consent()
    training: Training = Training()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for name, place in self.placements.items():
            for rule in (place.filter, *(boost.when for boost in place.boosts)):
                unknown = read_rule(rule).context - {CHANNEL, *self.context} if rule else ()
                if unknown:
                    raise ValueError(
                        f"placements.{name} asks for context.{min(unknown)}, which `context` does not name"
                    )
            for other in place.fallback:
                found = self.placements.get(other)
                if found is None or other == name or found.kind != place.kind:
                    raise ValueError(
                        f"placements.{name}.fallback names {other}, which is no other placement of its kind"
                    )
        return self

    @property
    def zone_info(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.zone)


def load_settings(home: Path) -> Settings:
    """The settings of a home; the defaults where it has no `murmeli.toml`.

    Raises UsageError that names each setting that is wrong, and why; StoreError where the file cannot be read.
    """
    path = home / FILE
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}). Give another --home, or make it readable."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}. `murmeli init` writes a commented one.") from error
    except ValidationError as error:
        wrong = "; ".join(": ".join(filter(None, [".".join(map(str, e["loc"])), e["msg"]])) for e in error.errors())
        raise UsageError(f"{path}: {wrong}. docs/operations.md lists every setting.") from error


def commented() -> str:
    """A murmeli.toml that says what every setting does; defaults are commented out."""
    lines = ["# Murmeli: settings of one site. Every line that is commented out shows the default.", ""]
    for name, setting in Settings.model_fields.items():
        if isinstance(setting.default, BaseModel) or name == "placements":
            continue
        lines += [f"# {setting.description}", f"#{name} = {_toml(setting.default)}", ""]
    lines += ["# The places that show a ranking: kind is content or feature."]
    for name, placement in Settings().placements.items():
        lines += [f'#[placements."{name}"]', *_commented(placement), ""]
    for name in ("consent", "training", "serving"):
        lines += [f"#[{name}]", *_commented(getattr(Settings(), name)), ""]
    return "\n".join(lines)


def _commented(table: BaseModel) -> list[str]:
    fields = type(table).model_fields
    return [
        f"#{name} = {_toml(getattr(table, name))}" + (f"  # {field.description}" if field.description else "")
        for name, field in fields.items()
    ]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(one)}' for key, one in value.items())}}}"
    return str(value) if isinstance(value, (int, float)) else f'"{value}"'
