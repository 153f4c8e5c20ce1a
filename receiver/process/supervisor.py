"""Runs several commands as children: shows their output line by line, restarts them with growing pauses, stops them.

Children run in their own sessions, so Ctrl-C reaches only the supervisor, which then stops each of them. On Linux, if
the supervisor is killed, the kernel sends them SIGTERM.
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
"""Seconds after which a child counts as started. A child that never lives so long in ATTEMPTS tries cannot start."""

ATTEMPTS: Final = 3

LONGEST_LINE: Final = 8_192
"""Characters in a line of output; a longer line is shown in pieces."""

_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_POLL_S: Final = 0.05

# prctl(PR_SET_PDEATHSIG, SIGTERM) survives the exec. A child that is already an orphan would never get the signal, so
# it exits. (Not a preexec_fn: that runs Python between fork and exec, which is unsafe beside our threads.)
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
    it is not started before this event is set, for example by a thread that waits until another child answers. *vital*:
    the others are useless without it, so if it cannot start, all stop; any other command is retried for ever.
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
    """Keeps *children* running until it is told to stop, all of them are done, or a vital one cannot start.

    With a *screen*, their output is shown there; without one, they write directly to our standard streams.
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
        """Run in the main thread until the end. At a signal to stop, send SIGTERM to all, and SIGKILL after *grace_s*.

        A second signal sends SIGKILL at once. Returns 0, or 1 when a child could not start or had to be killed.
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
        """Make `run` stop as a first signal does. May be called from any thread."""
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
        """Stop all children; return whether one had to be killed."""
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
                    # SIGKILL goes to all that the child started, too; at SIGTERM the child stops them itself.
                    (os.killpg if number == signal.SIGKILL else os.kill)(one.process.pid, number)

    def _say(self, sentence: str) -> None:
        if self._screen:
            self._screen.say("frontdesk", sentence)
        else:
            print(f"frontdesk: {sentence}", file=sys.stderr, flush=True)  # noqa: T201  # beside the children's own lines


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _read(name: str, pipe: BinaryIO, screen: PrefixedOutput) -> None:
    """Show a child's output until the pipe is closed; a line that is too long is shown in pieces."""
    with pipe:
        while line := pipe.readline(LONGEST_LINE):
            screen.say(name, line.decode(errors="replace").rstrip("\r\n"))
