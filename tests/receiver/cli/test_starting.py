"""What a command needs to start: everybody waits for it, and a program that asks often pays it often."""

import subprocess
import sys
from pathlib import Path

from tests.support import forked

ROOT = Path(__file__).parents[3]

IMPORTED = """
import importlib, sys
from receiver.cli import main
for target, _ in main.COMMANDS.values():
    importlib.import_module(target.partition(":")[0])
print(*sys.modules)
"""

STARTED = """
import gc, sys
from receiver import __main__
sys.argv = ["frontdesk", "events", "--help"]
try:
    __main__.main()
except SystemExit as ended:
    print(ended.code, gc.isenabled(), gc.get_freeze_count() > 50_000, file=sys.stderr)
"""


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    argv, environ = [sys.executable, "-c", code], forked.importable({})
    return subprocess.run(argv, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)


def test_no_command_imports_what_it_does_not_use() -> None:
    """Not the command line of the CEL library, and no type of a record before somebody asks for one."""
    modules = {*_python(IMPORTED).stdout.split()}

    assert "receiver.cli.events.events" in modules
    assert {"cel", "prompt_toolkit", "typer", "receiver.nexudus.records.bookings"} & modules == set()


def test_garbage_is_looked_for_once_it_has_started() -> None:
    """Among what came after its modules."""
    assert _python(STARTED).stderr.split() == ["0", "True", "True"]
