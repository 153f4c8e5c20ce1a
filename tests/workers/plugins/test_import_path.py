"""What lies beside routes.yaml is for handlers alone: whatever its name is, it takes nothing else's place."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from receiver.core.errors import HandlerError
from receiver.storage.redis import connection
from tests.support.events import entry, keep_all
from tests.support.processes import environment
from workers.plugins import handler_lookup

ROOT = Path(__file__).parents[3]
NAMES = ("email", "logging", "redis", "structlog", "receiver", "workers", "opentelemetry")
HANDLER = """
from pathlib import Path

def run(event):
    import email.message
    import plug_sibling
    from plug_package import inner
    assert (plug_sibling.VALUE, inner.VALUE) == (1, 2) and email.message.Message
    (Path(__file__).parent / "ran").touch()
"""


@pytest.fixture
def told(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """Settings for the folder, where files have the names of modules of Python, of libraries and of ours."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "plug_mine.py").write_text(HANDLER)
    (tmp_path / "plug_sibling.py").write_text("VALUE = 1\n")
    (tmp_path / "plug_package").mkdir()
    (tmp_path / "plug_package" / "inner.py").write_text("VALUE = 2\n")
    (tmp_path / "routes.yaml").write_text("routes: [{name: mine, action: '*', handler: 'plug_mine:run'}]\n")
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_URL_KEYS": "k" * 32,
        "PYTHONPATH": str(ROOT),
    }


def _run(folder: Path, *arguments: str, settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command in *folder*, as the installed one runs, which has no folder of its own on its import path."""
    argv = [sys.executable, "-P", "-m", "receiver", *arguments]
    return subprocess.run(
        argv, cwd=folder, env=environment(settings), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_worker_runs_beside_files_of_any_name(told: dict[str, str], tmp_path: Path) -> None:
    """Its handler imports what lies beside it, also late and out of a folder; and Python's own modules."""
    with connection.connect(told["FRONTDESK_REDIS_URL"]) as client:
        keep_all(client, entry(routes=["mine"]))

    ran = _run(tmp_path, "work", "--burst", settings=told)

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "ran").exists(), ran.stderr


def test_check_names_the_files_whose_names_are_taken(told: dict[str, str], tmp_path: Path) -> None:
    """They do no harm, but a handler that imports them gets another module."""
    ran = _run(tmp_path, "check", "--json", settings=told)

    told_of: dict[str, Any] = json.loads(ran.stdout)
    assert told_of["ok"], told_of
    warned = [warning for warning in told_of["warnings"] if "rename it" in warning]
    named = {Path(warning.partition(" has ")[0]).name for warning in warned}
    assert named >= {f"{name}.py" for name in NAMES if name != "opentelemetry"}
    assert not any(name.startswith("plug_") for name in named)


@pytest.mark.parametrize("name", ["email", "uvloop", "redis"])
def test_a_handler_may_not_have_the_name_of_another_module(name: str, tmp_path: Path) -> None:
    """Loaded under it, it would be what libraries get that import the other one later."""
    (tmp_path / f"{name}.py").write_text("def run(event): ...\n")

    with pytest.raises(HandlerError, match=f"the module '{name}' beside routes.yaml has the name of .*; rename"):
        handler_lookup.find(f"{name}:run", tmp_path)


def test_a_library_finds_nothing_beside_routes_yaml(tmp_path: Path) -> None:
    """One that tries whether an optional module is there is not a handler."""
    (tmp_path / "plug_optional.py").write_text("def run(event):\n    import plug_optional_too\n    return True\n")
    (tmp_path / "plug_optional_too.py").write_text("")
    function = handler_lookup.find("plug_optional:run", tmp_path)

    with pytest.raises(ImportError):
        __import__("plug_optional_too")
    assert function(None)
    assert str(tmp_path) not in sys.path
