"""Starts a trial of the playground in a process of its own, and ends it when it takes too long."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

import orjson

from receiver.core.errors import RequestRefused

WITHIN_S: Final = 45.0
"""Seconds that one trial may take."""

_AT_ONCE: Final = 2
_PROGRAM: Final = "receiver.cli.playground.playground_trial"


class Playground:
    """Tries routes, a few at a time. Threads may share it."""

    def __init__(self, environ: Mapping[str, str], *, within_s: float = WITHIN_S) -> None:
        self._environ = dict(environ)
        self._within_s = within_s
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what came of a trial; see `playground_trial.tried`. Raises RequestRefused when too many run."""
        if not self._places.acquire(blocking=False):
            raise RequestRefused(503, "others try routes just now; try again in a moment", retry_after=5)
        try:
            return self._run(orjson.dumps(dict(asked)))
        finally:
            self._places.release()

    def _run(self, asked: bytes) -> dict[str, Any]:
        with subprocess.Popen(
            [sys.executable, "-m", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what a plugin prints may hold personal data
            env=self._environ,
            start_new_session=True,
        ) as child:
            try:
                answer, _ = child.communicate(asked, timeout=self._within_s)
            except subprocess.TimeoutExpired:
                return _failed(f"the trial took longer than {self._within_s:g} s and was ended")
            finally:
                _end(child)
        if child.returncode != 0:
            return _failed("the trial ended without an outcome: it took too much time or memory")
        found: dict[str, Any] = orjson.loads(answer)
        return found


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child, and what its handlers started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.kill()


def _failed(sentence: str) -> dict[str, Any]:
    return {"problems": [{"line": 0, "message": sentence}]}
