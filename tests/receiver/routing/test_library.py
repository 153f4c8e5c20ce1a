"""The CEL library without its command line is the library that handlers import, whoever comes first."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import forked

ROOT = Path(__file__).parents[3]

OURS = "from receiver.routing.cel import library; print(library.program('1 + 1 == two').execute({'two': 2}))"
THEIRS = "import cel; print(cel.compile('1 + 1 == two').execute({'two': 2}))"


@pytest.mark.parametrize("code", [(OURS, THEIRS), (THEIRS, OURS)])
def test_both_can_be_had_in_one_process(code: tuple[str, str]) -> None:
    """It can be loaded only once."""
    both = "; ".join([*code, "print(type(library.program('1')) is cel.Program)"])
    argv, environ = [sys.executable, "-c", both], forked.importable({})
    ran = subprocess.run(argv, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert (ran.returncode, ran.stdout.split()) == (0, ["True"] * 3), ran.stderr
