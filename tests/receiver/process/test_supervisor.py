"""Children are kept running, seen, and ended with their supervisor, whichever way it ends. On real processes."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.processes import Process, environment, is_alive, wait_until

DRIVER = """
import json, sys
from receiver.process import supervisor
from receiver.process.prefixed_output import PrefixedOutput
order = json.loads(sys.argv[1])
supervisor.SETTLED_S = order["settled_s"]
children = [supervisor.Command(**child) for child in order["children"]]
screen = PrefixedOutput([child.name for child in children]) if order["screen"] else None
status = supervisor.Supervisor(children, screen=screen, grace_s=order["grace_s"]).run()
if screen: screen.close()
sys.exit(status)
"""
"""Runs the supervisor in a process of its own, as a command does."""

STAY = "import os, time; print('up', os.getpid(), flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAY
POLITE = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0))); " + STAY
)


class Supervise(Protocol):
    """Starts a supervisor over children given as name=code."""

    def __call__(
        self, *, settled_s: float = 60, grace_s: float = 60, screen: bool = True, once: bool = False, **code: str
    ) -> Process: ...


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Start supervisors; they and their children are gone afterwards."""
    started: list[Process] = []

    def start(
        *, settled_s: float = 60, grace_s: float = 60, screen: bool = True, once: bool = False, **code: str
    ) -> Process:
        children = [{"name": name, "argv": [sys.executable, "-c", text], "once": once} for name, text in code.items()]
        order: dict[str, Any] = {"settled_s": settled_s, "grace_s": grace_s, "screen": screen, "children": children}
        process = Process(
            [sys.executable, "-c", DRIVER, json.dumps(order)], log=tmp_path / "log", environ=environment()
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_running:
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGTERM)
        process.end()


def _pid(process: Process, name: str) -> int:
    return int(process.wait_for(rf"^{name} +\| up (\d+)$")[1])


def _gone(pid: int) -> Callable[[], bool]:
    return lambda: not is_alive(pid)


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """`nohup` is for going on when the terminal is closed, for the children too."""
    order = {
        "settled_s": 5,
        "grace_s": 20,
        "screen": True,
        "children": [{"name": "one", "argv": [sys.executable, "-c", POLITE]}],
    }
    process = Process(
        ["nohup", sys.executable, "-c", DRIVER, json.dumps(order)], log=tmp_path / "log", environ=environment()
    )
    try:
        pids = (_pid(process, "one"), process.pid)
        ignored = [re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text()) for pid in pids]
        assert [bool(found and int(found[1], 16) & 1) for found in ignored] == [True, True]  # SIGHUP is number 1
        os.killpg(process.pid, signal.SIGHUP)
        assert process.stop() == 0
        assert "bye" in process.output
    finally:
        process.end()


def test_each_line_is_told_by_whom_it_is(supervise: Supervise) -> None:
    """Standard output and standard error alike."""
    process = supervise(one="import sys; print('out', flush=True); print('err', file=sys.stderr); " + STAY, other=STAY)

    process.wait_for(r"^one   \| out\n(.*\n)?one   \| err\n(.*\n)?one   \| up \d+$")
    process.wait_for(r"^other \| up \d+$")


def test_without_a_screen_lines_pass_unchanged(supervise: Supervise) -> None:
    """JSON logs stay JSON when `serve --processes 2` runs in a container."""
    process = supervise(screen=False, one="print('{}', flush=True); " + STAY)

    process.wait_for(r"^\{\}$")


def test_a_very_long_line_is_shown_in_pieces(supervise: Supervise) -> None:
    """A megabyte without a line end takes no megabyte of memory, and its neighbours still show."""
    process = supervise(one="print('x' * 100_000); " + STAY)

    process.wait_for(r"^one \| up \d+$")
    assert process.output.count("x") == 100_000
    assert max(map(len, process.output.splitlines())) <= 8_192 + len("one | ")


def test_sigterm_asks_each_child_to_stop(supervise: Supervise) -> None:
    """They finish in their own way, their last words are shown, and the status is 0."""
    process = supervise(one=POLITE, other=POLITE)
    pids = _pid(process, "one"), _pid(process, "other")

    status = process.stop()

    assert status == 0
    assert "one   | bye" in process.output
    assert "other | bye" in process.output
    assert not any(map(is_alive, pids))


def test_ctrl_c_reaches_only_the_supervisor(supervise: Supervise) -> None:
    """A terminal sends SIGINT to its whole foreground group; the children hear SIGTERM once, from the supervisor."""
    code = "import signal; signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True)); " + POLITE
    process = supervise(one=code)
    _pid(process, "one")

    os.killpg(process.pid, signal.SIGINT)

    assert process.wait() == 0
    assert "interrupted" not in process.output
    assert "one | bye" in process.output


def test_a_child_that_does_not_stop_is_killed_after_the_grace_time(supervise: Supervise) -> None:
    """It is named, and the status says that the end was not clean."""
    process = supervise(grace_s=0.3, one=STUBBORN, other=POLITE)
    pid = _pid(process, "one")
    _pid(process, "other")

    status = process.stop()

    assert status == 1
    assert "one is killed: it did not stop in time" in process.output
    assert not is_alive(pid)


def test_a_second_signal_ends_all_at_once(supervise: Supervise) -> None:
    """Impatience is obeyed, also towards what a child has started itself."""
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STAY!r}.replace('up', 'grandchild')]); "
    process = supervise(grace_s=600, one=code + STUBBORN)
    pid = _pid(process, "one")
    grandchild = int(process.wait_for(r"grandchild (\d+)")[1])

    process.signal(signal.SIGINT)
    process.signal(signal.SIGTERM)

    assert process.wait() == 1
    assert "one is killed: a second signal asks for it at once" in process.output
    assert not is_alive(pid)
    wait_until(_gone(grandchild), "the end of the grandchild")


def test_a_child_that_dies_is_started_again(supervise: Supervise) -> None:
    """After a pause, and it is said why."""
    process = supervise(settled_s=0.2, one=STAY)
    first = _pid(process, "one")
    os.kill(first, signal.SIGKILL)

    process.wait_for(r"one was ended by signal 9; it is started again in 0\.2 s")
    wait_until(lambda: len(set(re.findall(r"up (\d+)", process.output))) == 2, "a second process")
    assert process.is_running


def test_a_child_that_ran_once_is_never_given_up(supervise: Supervise) -> None:
    """What started yesterday and fails today may work tomorrow; the pauses grow."""
    flag = "import os, sys, time; print('up', os.getpid(), flush=True); time.sleep(0.4); sys.exit(3)"
    process = supervise(settled_s=0.2, one=flag)

    wait_until(lambda: process.output.count("one ended with status 3; it is started again") >= 4, process.__str__)
    assert process.is_running


def test_a_child_that_cannot_start_ends_everything(supervise: Supervise) -> None:
    """It is named with its status and its own words; the others stop; the status is 1."""
    process = supervise(one="import sys; sys.exit('port 8000 is taken')", other=POLITE)

    assert process.wait() == 1
    assert process.output.count("one   | port 8000 is taken") == 3
    assert "frontdesk | one cannot start: ended with status 1, 3 times; see its lines above" in process.output


def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """No traceback of the launcher."""
    order = {"settled_s": 5, "grace_s": 5, "screen": True, "children": [{"name": "x", "argv": ["/nowhere/program"]}]}
    process = Process([sys.executable, "-c", DRIVER, json.dumps(order)], log=tmp_path / "log", environ=environment())

    assert process.wait() == 1
    assert "x | /nowhere/program: No such file or directory" in process.output
    assert "Traceback" not in process.output


def test_children_that_end_once_end_the_supervisor(supervise: Supervise) -> None:
    """`work --burst` in several processes: all done, status 0."""
    process = supervise(once=True, one="print('done')", other="print('done')")

    assert process.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_children_of_a_killed_supervisor_are_told(supervise: Supervise) -> None:
    """kill -9 of `up` leaves no receiver behind on the port: the kernel sends SIGTERM, and they stop cleanly."""
    process = supervise(one=POLITE.replace("print('bye', flush=True)", "None"), other=STAY)
    pids = _pid(process, "one"), _pid(process, "other")

    process.kill()

    for pid in pids:
        wait_until(_gone(pid), f"the end of {pid}")
