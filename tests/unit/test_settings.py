import re
from pathlib import Path

import pytest

from recommender.errors import UsageError
from recommender.settings import FILE, Settings, commented, load_settings


def settings_of(home: Path, text: str) -> Settings:
    (home / FILE).write_text(text, encoding="utf-8")
    return load_settings(home)


def test_a_home_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings()


def test_the_commented_file_is_the_defaults_with_and_without_its_comment_signs(tmp_path: Path) -> None:
    assert settings_of(tmp_path, commented()) == Settings()
    assert settings_of(tmp_path, re.sub(r"^#(?=[a-z\[])", "", commented(), flags=re.MULTILINE)) == Settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("zone = 'Mars/Olympus'", "zone"),
        ("colour = 1", "colour"),
        ("[training]\nfactors = 0", "training.factors"),
        ("[placements.'x']\nkind = 'banner'", "placements.x.kind"),
        ("[placements.'x']\nkind = 'feature'\nstability = 1.5", "placements.x.stability"),
        ("zone = ", "TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)):
        settings_of(tmp_path, text)


def test_features_are_calm_unless_their_placement_says_otherwise(tmp_path: Path) -> None:
    text = "[placements.a]\nkind = 'feature'\n[placements.b]\nkind = 'content'\n"
    text += "[placements.c]\nkind = 'feature'\nstability = 0"
    placements = settings_of(tmp_path, text).placements
    assert {name: place.stability for name, place in placements.items()} == {"a": 0.3, "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("boosts = [{when = 'price <', by = 2}]", "placements.x.boosts.0.when"),
        ("boosts = [{when = 'price < 5', by = 0}]", "placements.x.boosts.0.by"),
        ("boosts = [{when = 'price < 5'}]", "placements.x.boosts.0.by"),
        ("boosts = [{when = '', by = 2}]", "placements.x.boosts.0.when"),
        ("pins = {a = 0}", "placements.x.pins.a"),
        ("pins = {a = 1, b = 1}", "pinned to one position"),
        ("diversity = 2", "placements.x.diversity"),
        ("fallback = ['x']", "placements.x.fallback names x"),
        ("fallback = ['nowhere']", "placements.x.fallback names nowhere"),
        ("fallback = ['other']", "placements.x.fallback names other"),
        ("filter = 'context.mood == 1'", "placements.x asks for context.mood"),
        ("boosts = [{when = 'context.mood == 1', by = 2}]", "placements.x asks for context.mood"),
        ("filter = 'price.much < 3'", "has a name with a dot"),
    ],
)
def test_a_wrong_rule_of_a_placement_is_named(tmp_path: Path, setting: str, named: str) -> None:
    text = f"[placements.x]\nkind = 'feature'\n{setting}\n[placements.other]\nkind = 'content'"
    with pytest.raises(UsageError, match=re.escape(named)):
        settings_of(tmp_path, text)


def test_a_context_that_is_declared_may_be_asked_for(tmp_path: Path) -> None:
    rule = "context.mood == 'good' and context.channel == 'web'"
    text = f'context = ["mood"]\n[placements.x]\nkind = "feature"\nfilter = "{rule}"'
    assert settings_of(tmp_path, text).placements["x"].filter == rule
