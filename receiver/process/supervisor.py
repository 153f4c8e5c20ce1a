"""Runs several commands under one parent: shows their output by line, restarts them with growing pauses, stops all.

Children run in sessions of their own, so Ctrl-C reaches only the supervisor, which then stops each of them. On Linux,
when the supervisor is killed, the kernel sends them SIGTERM.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from receiver.process import end_signals
from receiver.process.prefixed_output import PrefixedOutput

SETTLED_S: Final = 5.0
"""A child that lives this long has started; one that ends sooner, ATTEMPTS times and never once later, cannot start."""

ATTEMPTS: Final = 3

LONGEST_LINE: Final = 8_192
"""Characters; a longer line is shown in pieces."""

_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_POLL_S: Final = 0.05

# prctl(PR_SET_PDEATHSIG, SIGTERM) outlives the exec; who is an orphan already would never hear of it, and so ends. (Not
# a preexec_fn: that runs Python between fork and exec, which is unsafe beside our threads.)
_LAUNCH: Final = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]): sys.exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run. *once*: it is done when it ends with status 0; otherwise it is restarted whenever it ends.

    *environ* None: ours. *fds*: open files that it inherits under the same numbers, such as a listening socket. *gate*:
    it is first started when this event is set, such as by a thread that waits until another child answers. *vital*: the
    others are of no use without it; a command that is not vital and cannot start is retried for ever.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] | None = None
    once: bool = False
    fds: tuple[int, ...] = ()
    gate: threading.Event | None = None
    vital: bool = True


@dataclass(slots=True)
class _Child:
    """A command and the state of its process."""

    child: Command
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    settled: bool = False
    deaths: int = 0
    next_start: float = 0.0
    done: bool = False
    reader: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Keeps *children* running until it is told to stop, all of them are done, or one of them cannot start.

    With a *screen* their output goes there; without, they write where we write, unchanged.
    """

    def __init__(
        self, children: Sequence[Command], *, screen: PrefixedOutput | None = None, grace_s: float = 10.0
    ) -> None:
        self._children = [_Child(child) for child in children]
        self._screen = screen
        self._grace_s = grace_s
        self._signals = 0
        self._failure = ""

    def run(self) -> int:
        """Run until the end, in the main thread. A signal to end: SIGTERM to all, after *grace_s* SIGKILL.

        A second signal does the latter at once. Returns 0, or 1 when a child could not start or had to be killed.
        """
        with end_signals.answered(self._count):
            while not self._signals and not self._failure and not all(one.done for one in self._children):
                for one in self._children:
                    self._tend(one)
                time.sleep(_POLL_S)
            killed = self._stop()
        if self._failure:
            self._say(self._failure)
        return 1 if self._failure or killed else 0

    def stop(self) -> None:
        """Make `run` end as a first signal does; may be called from another thread."""
        self._signals += 1

    def _count(self, number: int, frame: object) -> None:
        self._signals += 1

    def _tend(self, one: _Child) -> None:
        now = time.monotonic()
        if one.done or self._failure:
            return
        if one.process is None:
            if now >= one.next_start and (one.child.gate is None or one.child.gate.is_set()):
                self._start(one, now)
        elif one.process.poll() is not None:
            self._ended(one, one.process.returncode, now)
        elif not one.settled and now - one.started >= SETTLED_S:
            one.settled, one.deaths = True, 0

    def _start(self, one: _Child, now: float) -> None:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())]
        stream = None if self._screen is None else subprocess.PIPE
        one.process = subprocess.Popen(
            [*launcher, *one.child.argv],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream and subprocess.STDOUT,
            env=one.child.environ,
            start_new_session=True,
            pass_fds=one.child.fds,
        )
        one.started = now
        if self._screen and one.process.stdout:
            arguments = (one.child.name, one.process.stdout, self._screen)
            one.reader = threading.Thread(target=_read, args=arguments, name=one.child.name, daemon=True)
            one.reader.start()

    def _ended(self, one: _Child, status: int, now: float) -> None:
        one.process = None
        if one.child.once and status == 0:
            one.done = True
            return
        one.settled = one.settled or now - one.started >= SETTLED_S
        one.deaths = 1 if now - one.started >= SETTLED_S else one.deaths + 1
        if one.child.vital and not one.settled and one.deaths >= ATTEMPTS:
            self._failure = f"{one.child.name} cannot start: {_ending(status)}, {one.deaths} times; see its lines above"
            return
        pause = _PAUSES_S[min(one.deaths, len(_PAUSES_S)) - 1]
        one.next_start = now + pause
        self._say(f"{one.child.name} {_ending(status)}; it is started again in {pause:g} s")

    def _stop(self) -> bool:
        """Stop all children; True when one had to be killed."""
        first = time.monotonic()
        self._signal_all(signal.SIGTERM)
        while self._alive():
            if self._signals >= 2 or time.monotonic() - first > self._grace_s:
                break
            time.sleep(_POLL_S)
        stubborn = self._alive()
        reason = "a second signal asks for it at once" if self._signals >= 2 else "it did not stop in time"
        for one in stubborn:
            self._say(f"{one.child.name} is killed: {reason}")
        self._signal_all(signal.SIGKILL)
        for one in self._children:
            if one.process:
                one.process.wait()
            if one.reader:
                one.reader.join(1.0)
        return bool(stubborn)

    def _alive(self) -> list[_Child]:
        return [one for one in self._children if one.process and one.process.poll() is None]

    def _signal_all(self, number: signal.Signals) -> None:
        for one in self._alive():
            if one.process:
                with contextlib.suppress(ProcessLookupError):
                    # SIGKILL is for all that it started too; at SIGTERM it looks after them itself.
                    (os.killpg if number == signal.SIGKILL else os.kill)(one.process.pid, number)

    def _say(self, sentence: str) -> None:
        if self._screen:
            self._screen.say("frontdesk", sentence)
        else:
            print(f"frontdesk: {sentence}", file=sys.stderr, flush=True)  # noqa: T201  # beside the children's own lines


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _read(name: str, pipe: BinaryIO, screen: PrefixedOutput) -> None:
    """Show a child's output until it closes it; a line without an end is shown in pieces."""
    with pipe:
        while line := pipe.readline(LONGEST_LINE):
            screen.say(name, line.decode(errors="replace").rstrip("\r\n"))
