"""deploy/env.example is complete and true: every setting, its default, a sentence."""

import re
from pathlib import Path

import pytest

from receiver.core import settings
from receiver.core.settings import PREFIX, SECRETS, Settings

TEXT = (Path(__file__).parents[2] / "deploy" / "env.example").read_text(encoding="utf-8")
LINES = dict(re.findall(rf"^#({PREFIX}[A-Z_]+)=(.*)$", TEXT, re.MULTILINE))
NAMES = {PREFIX + field.upper() for field in Settings.model_fields}


def test_every_setting_is_there_once_and_no_other() -> None:
    """A setting that nobody can find does not exist."""
    assert set(LINES) == NAMES
    assert len(re.findall(rf"^#{PREFIX}", TEXT, re.MULTILINE)) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_value_shown_is_the_default(name: str) -> None:
    """Read as the settings read it, it changes nothing; without one it is shown empty."""
    field = Settings.model_fields[name.removeprefix(PREFIX).lower()]

    assert settings.from_environ({name: LINES[name]}) == settings.from_environ({})
    assert (LINES[name] == "") == (field.default in (None, ()))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_has_its_sentence(name: str) -> None:
    """A comment right above that ends with a full stop, or with an example behind a colon."""
    above = TEXT.partition(f"\n#{name}=")[0].splitlines()[-1]

    assert re.fullmatch(r"# \S.*(\.|: https://\S+)", above)


def test_every_secret_is_named_as_one() -> None:
    """The head of the file says which settings can come as a file."""
    head = TEXT.partition("# ----")[0]

    assert {name for name in SECRETS if f"_{name.upper()}" in head} == SECRETS


def test_nothing_is_set() -> None:
    """Copied as it is, the file changes nothing."""
    assert all(not line or line.startswith("#") for line in TEXT.splitlines())
