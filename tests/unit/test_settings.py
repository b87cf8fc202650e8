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
