"""A release has one version, wherever it is told."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from receiver import __version__

ROOT = Path(__file__).parents[2]


def test_the_package_has_it() -> None:
    """As pip sees it."""
    assert metadata.version("frontdesk") == __version__


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("deploy/helm/frontdesk/Chart.yaml", r"(?m)^version: (\S+)$"),
        ("deploy/helm/frontdesk/Chart.yaml", r'(?m)^appVersion: "(\S+)"$'),
        ("deploy/RUNBOOK.md", r"REGISTRY/frontdesk:([0-9.]+)"),
    ],
)
def test_whoever_names_it_names_the_same(file: str, pattern: str) -> None:
    """The chart pulls the image that the runbook builds."""
    assert set(re.findall(pattern, (ROOT / file).read_text())) == {__version__}


def test_the_changelog_tells_of_it() -> None:
    """Below what is not released yet."""
    released = re.findall(r"(?m)^## ([0-9.]+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text())

    assert released[0] == __version__
