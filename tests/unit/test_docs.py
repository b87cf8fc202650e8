"""The pages for users name everything that there is to name."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from recommender.events import FIELDS, REASONS
from recommender.settings import Consent, Placement, Serving, Settings, Training
from serving.problems import _OURS, _THEIRS
from serving.telemetry import Telemetry
from training.files import DAMAGED

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [Settings, Placement, Consent, Training, Serving])
def test_every_setting_is_in_the_operators_table(table: type[BaseModel]) -> None:
    text = page("operations")
    names = [name for name in table.model_fields if name not in ("placements", "consent", "training", "serving")]
    assert [name for name in names if not re.search(rf"^\| .*`{name}`", text, re.MULTILINE)] == []


def test_every_metric_is_in_the_operators_table() -> None:
    shown = re.findall(r"^# TYPE (\w+)", Telemetry().exposition().decode(), re.MULTILINE)
    assert [name for name in shown if not name.endswith("_created") and f"`{name}" not in page("operations")] == []


def test_every_field_and_every_code_of_an_event_is_on_the_front_ends_page() -> None:
    text = page("front-ends")
    assert [name for name in (*FIELDS, *REASONS, "conflict", "not_json") if f"`{name}`" not in text] == []
    assert [code for code in DAMAGED if f"`{code}`" not in page("data-science")] == []


def test_every_type_of_problem_is_on_the_front_ends_page() -> None:
    codes = {code for _, code, _ in _OURS.values()} | {code for code, _ in _THEIRS.values()}
    assert [code for code in sorted(codes) if f"`{code}`" not in page("front-ends")] == []


@pytest.mark.parametrize("path", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_to_a_file(path: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / path).read_text(encoding="utf-8"))
    assert [target for target in targets if not ((ROOT / path).parent / target).exists()] == []
