"""Secrets that do not fit the routes: each location with unsigned events is named, by `check` and `serve`."""

import json
from pathlib import Path

import pytest

from receiver.core import settings
from receiver.nexudus import actions
from receiver.observation import unsigned
from receiver.routing import file
from tests.conftest import StartFrontdesk
from tests.support import processes

ALL = "routes:\n  - {action: '*', handler: log}\n"
ONE = "routes:\n  - {action: '*', handler: log, business: 1001}\n"
TWO = "businesses: [1001, 1002]\n" + ALL


@pytest.mark.parametrize(
    ("secrets", "routes", "parts"),
    [
        ("", ALL, [("is not set, or its file is empty",)]),
        ("any", ALL, []),
        ("any", ONE, []),
        ("1001=a", ONE, []),
        ("1001=a,1002=b", TWO, []),
        ("1001=a", TWO, [("no secret for business 1002,", "unsigned")]),
        ("1010=s", ONE, [("no secret for business 1001,",), ("a secret for business 1010,", "correct the number")]),
        ("2024=Xyz", ONE, [("business 1001",), ("a secret for business 2024", "LOCATION=2024=...")]),
        ("2024=Xyz", ALL, [("secrets for business 2024 only", "all locations", "LOCATION=2024=...")]),
        ("any,1010=s", ONE, [("a secret for business 1010,",)]),
    ],
)
def test_each_location_without_a_secret_and_each_secret_without_a_location_is_named(
    secrets: str, routes: str, parts: list[tuple[str, ...]]
) -> None:
    """Nothing is said where they fit; else what is unsigned, and what to do."""
    read = settings.from_environ({"FRONTDESK_WEBHOOK_SECRETS": secrets})
    table = file.parse(routes, file="routes.yaml", known_actions=actions.CODES)

    told = list(unsigned.warnings(read.webhook_secrets, table))

    assert len(told) == len(parts), told
    assert all(part in sentence for sentence, wanted in zip(told, parts, strict=True) for part in wanted), told
    assert "Xyz" not in "".join(told)


def test_check_names_the_location_that_has_no_secret(tmp_path: Path) -> None:
    """As a warning: nothing keeps the receiver from working."""
    (tmp_path / "routes.yaml").write_text(TWO)
    given = {"FRONTDESK_WEBHOOK_SECRETS": "1001=hush", "FRONTDESK_URL_KEYS": "0123456789abcdef"}

    ran = processes.run("check", "--json", settings=given, cwd=tmp_path)

    (warning,) = json.loads(ran.out)["warnings"]
    assert (ran.status, "business 1002" in warning) == (0, True)


def test_serve_says_so_at_its_start_and_when_the_routes_change(
    tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk
) -> None:
    """Whoever never runs `check` finds it in the log."""
    (tmp_path / "routes.yaml").write_text(TWO)
    given = {
        "FRONTDESK_WEBHOOK_SECRETS": "1001=hush",
        "FRONTDESK_URL_KEYS": "0123456789abcdef",
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_PORT": "0",
    }
    process = frontdesk("serve", settings=given)

    process.wait_for("no secret for business 1002")
    (tmp_path / "new").write_text(ONE.replace("1001", "1003"))
    (tmp_path / "new").replace(tmp_path / "routes.yaml")
    process.wait_for("no secret for business 1003")
