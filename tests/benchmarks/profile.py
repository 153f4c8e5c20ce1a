"""Where a request and a delivery spend their time: `python -m tests.benchmarks.profile [--seconds S]`, `make profile`.

py-spy (in an environment of its own) looks at a receiver and at a worker process, each flat out, whenever they hold the
interpreter: a thread that only waits is not seen, nor is what runs without it. For both there are in
`build/bench/profile/`: a flame graph (`.svg`), a table by function and by owner (`.txt`), the stacks for speedscope
(`.speedscope.json`); and where `perf` is installed, what the native parts and the kernel take (`-native.txt`). Needs to
be root, or allowed to trace processes.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import cores, environments, ours, receivers
from tests.benchmarks.environments import HOME, Missing
from tests.benchmarks.rounds import say
from tests.benchmarks.stand import Stand, settle
from tests.support.processes import Process, children_of, wait_until

FOLDER = HOME / "profile"

_RATE = 400
_TOP = 30
_EVERYWHERE = 0.95
"""A function that is below so much of everything tells nothing."""
_DELIVERIES_PER_S = 12_000
_OWNERS = ("receiver", "workers", "tests", "uvicorn", "uvloop", "starlette", "redis", "rq", "structlog", "asyncio")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request or delivery took of the process, in µs, while nobody looked."""

    us: float
    what: str


def main(words: Sequence[str]) -> int:
    """Profile both; returns 1 when the profiler cannot run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to look at each")
    seconds = parser.parse_args(words).seconds
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        spy = environments.python("profiler") / "py-spy"
        _receiver(spy, seconds)
        _worker(spy, seconds)
    except (Missing, AssertionError) as reason:
        print(f"profile: {reason}", file=sys.stderr)
        return 1
    return 0


def _receiver(spy: Path, seconds: float) -> None:
    with Stand() as stand:
        running = receivers.start(stand, receivers.FRONTDESK, core=cores.server_core())
        pid = running.process.pid
        stand.load(stand.orders(running.port, ours.PATH, seconds=1.0, connections=32))
        used = cores.seconds_of(pid)
        load = stand.load(stand.orders(running.port, ours.PATH, seconds=2.0, connections=32))
        cost = Cost((cores.seconds_of(pid) - used) / max(load.accepted, 1) * 1e6, "request")
        sending = stand.begin(stand.orders(running.port, ours.PATH, seconds=seconds * 3 + 4, connections=32))
        _look(spy, "receiver", pid, seconds, cost)
        stand.read(sending)


def _worker(spy: Path, seconds: float) -> None:
    with Stand() as stand:
        stand.empty()
        number = int(_DELIVERIES_PER_S * (seconds * 3 + 4))
        say(f"  profile: {number:,} events for the worker")
        ours.preload(stand, number)
        fleet = stand.start(ours.workers(ours.routes(stand), processes=1), core=cores.server_core())
        stand.wait_for_marks(1, timeout_s=60)
        pid = _busy_child(fleet)
        before, used = stand.marks.stat().st_size // 32, cores.seconds_of(pid)
        settle(2.0)
        ran = stand.marks.stat().st_size // 32 - before
        cost = Cost((cores.seconds_of(pid) - used) / max(ran, 1) * 1e6, "delivery")
        _look(spy, "worker", pid, seconds, cost)
        left = stand.client.llen(ours.QUEUE)
        assert left, "the queue was empty before the profiler was done; look for a shorter time (--seconds)"


def _busy_child(fleet: Process) -> int:
    """The worker process below its parent: the child that has used the most time."""
    children = wait_until(lambda: list(children_of(fleet.pid)), "a worker process")
    return max(children, key=cores.seconds_of)


def _look(spy: Path, name: str, pid: int, seconds: float, cost: Cost) -> None:
    """Record the process and write what there is to see."""
    say(f"  profile: {name}, process {pid}, {cost.us:.0f} µs for each {cost.what}")
    stacks = FOLDER / f"{name}.stacks"
    for file, form in ((stacks, "raw"), (FOLDER / f"{name}.svg", "flamegraph")):
        argv = [str(spy), "record", "--pid", str(pid), "--rate", str(_RATE), "--duration", str(max(round(seconds), 1))]
        ran = subprocess.run(
            [*argv, "--gil", "--format", form, "--function", "--output", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"py-spy: {(ran.stderr or ran.stdout).strip()[-500:]}"
    found = list(_stacks(stacks))
    (FOLDER / f"{name}.speedscope.json").write_text(json.dumps(_speedscope(name, found)))
    table = _table(name, found, cost)
    (FOLDER / f"{name}.txt").write_text(table + "\n")
    print(table, flush=True)
    _look_below(name, pid, seconds)


def _look_below(name: str, pid: int, seconds: float) -> None:
    """The native parts and the kernel, by `perf`, where it is installed and may look."""
    perf = shutil.which("perf")
    if perf is None:
        say("NOT PROFILED: native code; perf is not installed on this machine (Debian: apt-get install linux-perf)")
        return
    data = FOLDER / f"{name}.perf"
    record = [perf, "record", "-q", "-F", str(_RATE), "-o", str(data), "-p", str(pid), "--", "sleep", str(seconds)]
    ran = subprocess.run(record, capture_output=True, text=True, check=False)
    if ran.returncode:
        say(f"NOT PROFILED: native code; perf: {ran.stderr.strip()[:300]}")
        return
    shown = [perf, "report", "-i", str(data), "--stdio", "--no-children", "-s", "dso,symbol", "--percent-limit", "0.4"]
    text = subprocess.run(shown, capture_output=True, text=True, check=False).stdout
    (FOLDER / f"{name}-native.txt").write_text(text)
    data.unlink(missing_ok=True)


def _stacks(file: Path) -> Iterator[tuple[tuple[str, ...], int]]:
    """Read stacks, outermost frame first, and how often each was seen."""
    for line in file.read_text().splitlines():
        frames, _, number = line.rpartition(" ")
        yield tuple(frames.split(";")), int(number)


def _table(name: str, stacks: Sequence[tuple[tuple[str, ...], int]], cost: Cost) -> str:
    """By function, itself and with what it calls; and by owner, itself. In µs for each request or delivery."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    owners: Counter[str] = Counter()
    for frames, number in stacks:
        own[frames[-1]] += number
        whole.update(dict.fromkeys(frames, number))
        owners[_owner(frames)] += number
    seen = max(sum(own.values()), 1)
    us = cost.us / seen
    lines = [f"{name}: {cost.us:.0f} µs of processor time for each {cost.what}; {seen:,} looks, µs each", ""]
    lines += ["   itself  function"]
    lines += [f"{number * us:9.1f}  {frame}" for frame, number in own.most_common(_TOP)]
    lines += ["", "  in all  function"]
    inner = [(frame, number) for frame, number in whole.most_common() if number < seen * _EVERYWHERE]
    lines += [f"{number * us:9.1f}  {frame}" for frame, number in inner[:_TOP]]
    lines += ["", "   itself  owner"]
    lines += [f"{number * us:9.1f}  {owner}" for owner, number in owners.most_common()]
    return "\n".join(lines)


def _owner(frames: Sequence[str]) -> str:
    """Whose code it was: the package of the innermost frame."""
    path = frames[-1].rpartition("(")[2].rstrip(")")
    parts = path.split("/")
    return next((owner for owner in _OWNERS if owner in parts), parts[0] if len(parts) > 1 else "Python itself")


def _speedscope(name: str, stacks: Sequence[tuple[tuple[str, ...], int]]) -> dict[str, object]:
    """The stacks as speedscope reads them."""
    index: dict[str, int] = {}
    samples = [[index.setdefault(frame, len(index)) for frame in frames] for frames, _ in stacks]
    weights = [number for _, number in stacks]
    profile = {"type": "sampled", "name": name, "unit": "none", "startValue": 0, "endValue": sum(weights)}
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": frame} for frame in index]},
        "profiles": [{**profile, "samples": samples, "weights": weights}],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
