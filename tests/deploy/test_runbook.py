"""The runbook: every alert has its section, every chapter is there. What it names is tested by tests/documents."""

import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "RUNBOOK.md").read_text()
RULES = yaml.safe_load((DEPLOY / "prometheus" / "frontdesk.rules.yml").read_text())
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
SECTIONS = dict(re.findall(r"^### (Frontdesk\w+)\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_every_alert_has_its_section_and_no_other_has_one() -> None:
    """With its cause and its cure."""
    assert set(SECTIONS) == ALERTS
    for name, section in SECTIONS.items():
        assert re.match(r"Cause: .+\n(.*\n)*?Cure: .+", section), name


def test_every_chapter_is_there() -> None:
    """That an operator looks for at night."""
    chapters = set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE))

    assert chapters == {
        *("Install", "Size", "Secure", "Upgrade", "Rotate keys and secrets", "Back up and restore"),
        *(
            "A key of the store has a wrong type",
            "The store is lost entirely",
            "A receiver's disk is lost",
            "Wrong routes are deployed",
        ),
        *("What each failure looks like, and what is safe", "Alerts"),
    }
