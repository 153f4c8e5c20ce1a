"""The routing file that installations begin with: right, and nothing in it writes beside itself."""

import json
import re
from pathlib import Path
from typing import Any

from tests.support.processes import run

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "routes.yaml"


def checked(file: Path, folder: Path) -> dict[str, Any]:
    """Return what `check` says of a file."""
    settings = {
        "FRONTDESK_ROUTES": str(file),
        "FRONTDESK_DATA_DIR": str(folder),
        "FRONTDESK_WEBHOOK_SECRETS": "hush",
        "CRM_SECRET": "hush",
    }
    told: dict[str, Any] = json.loads(run("check", "--json", settings=settings, cwd=folder).out)
    return told


def test_nothing_is_wrong_with_it(tmp_path: Path) -> None:
    """As it stands; and with what stands there as a comment, but for the folder of this machine."""
    assert checked(FILE, tmp_path) == {"ok": True, "problems": [], "warnings": []}
    opened = tmp_path / "routes.yaml"
    text = re.sub(r"^  # (?=- name|  [a-z]+:)", "  ", FILE.read_text(), flags=re.MULTILINE)
    opened.write_text(text)

    told = checked(opened, tmp_path)

    assert text.count("\n  - name:") == 4
    assert (told["ok"], told["problems"]) == (True, [])
    assert all("'/var/lib/frontdesk/archive' cannot be written by this user" in str(each) for each in told["warnings"])


def test_it_is_what_compose_begins_with() -> None:
    """And not the demo's."""
    head = (DEPLOY / "compose.yaml").read_text().partition("\nname:")[0]

    assert "cp routes.yaml config/" in head
