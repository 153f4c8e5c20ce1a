"""The runbook: every alert has its section, every command is one, every setting and file it names is there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from receiver.cli import main
from receiver.core.settings import PREFIX, SECRETS, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "RUNBOOK.md").read_text()
RULES = yaml.safe_load((DEPLOY / "prometheus" / "frontdesk.rules.yml").read_text())
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
SECTIONS = dict(re.findall(r"^### (Frontdesk\w+)\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def commands() -> list[str]:
    """Return every command of ours that stands in a block or between backticks."""
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    prose = re.sub(r"```sh\n.*?```", "", TEXT, flags=re.DOTALL)
    quoted = [" ".join(part.split()) for part in re.findall(r"`([^`]+)`", prose)]
    found = {part for part in (*lines, *quoted) if part.startswith("frontdesk ") and "..." not in part}
    return sorted(found)


def test_every_alert_has_its_section_and_no_other_has_one() -> None:
    """With its cause and its cure."""
    assert set(SECTIONS) == ALERTS
    for name, section in SECTIONS.items():
        assert re.match(r"Cause: .+\n(.*\n)*?Cure: .+", section), name


@pytest.mark.parametrize("command", commands())
def test_every_command_is_one(command: str) -> None:
    """The command line takes it, options and all."""
    words = [word.replace("DIRECTORY", "/") for word in shlex.split(command)[1:]]

    main.build().parse_args(words, print_error=False, exit_on_error=False)


def test_it_names_most_of_what_there_is() -> None:
    """Or else the pattern above has stopped finding them."""
    assert len(commands()) > 30


def test_every_setting_is_one() -> None:
    """By its name, or the name of its file."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    known |= {f"{PREFIX}{field.upper()}_FILE" for field in SECRETS}

    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+", TEXT)) <= known


def test_every_file_it_points_to_is_there() -> None:
    """Below deploy/, or beside it."""
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(r"\bdeploy/[\w./-]+\w", TEXT)

    for target in targets:
        assert (DEPLOY / target.removeprefix("deploy/")).exists(), target


def test_every_chapter_is_there() -> None:
    """That an operator looks for at night."""
    chapters = set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE))

    assert chapters == {
        *("Install", "Size", "Secure", "Upgrade", "Rotate keys and secrets", "Back up and restore"),
        *("The store is lost entirely", "A receiver's disk is lost", "Wrong routes are deployed"),
        *("What each failure looks like, and what is safe", "Alerts"),
    }
