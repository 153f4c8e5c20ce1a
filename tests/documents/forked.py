"""Runs commands of Frontdesk by forking a process that has imported them all: a hundred examples in seconds.

Each command is a process with its own environment, folder and output, as if it had been started from a shell; only the
second that Python takes to import everything is paid once. `python -m tests.documents.forked` is that process.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from receiver.cli import main
from tests.support.processes import Ran, environment

ROOT = Path(__file__).resolve().parents[2]
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Commands:
    """The process that forks; a context manager. One command at a time."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.documents.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment({"PYTHONPATH": str(ROOT)}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._popen:  # closes its streams: it ends when there is no more to read
            pass

    def run(self, *arguments: str, settings: Mapping[str, str], cwd: Path) -> Ran:
        """Run `frontdesk ARGUMENTS` to its end."""
        assert self._popen.stdin
        assert self._popen.stdout
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {
                "arguments": arguments,
                "environ": environment(settings),
                "cwd": str(cwd),
                "streams": [str(out), str(err)],
            }
            self._popen.stdin.write(json.dumps(request).encode() + b"\n")
            self._popen.stdin.flush()
            status = json.loads(self._popen.stdout.readline())
            return Ran(status, out.read_text(), err.read_text())


def _become(request: Mapping[str, Any]) -> None:
    """Be the process of one command."""
    streams = [os.open(os.devnull, os.O_RDONLY), *(os.open(path, _NEW_FILE) for path in request["streams"])]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    main.main(request["arguments"])


def _serve() -> None:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    for target, _ in main.COMMANDS.values():
        importlib.import_module(target.partition(":")[0])
    gc.collect()
    gc.freeze()
    for line in requests:
        child = os.fork()
        if child == 0:
            requests.close()
            os.close(answers)
            _become(json.loads(line))  # exits
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(answers, f"{status}\n".encode())


if __name__ == "__main__":
    _serve()
