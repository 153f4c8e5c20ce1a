"""What ends at the very moment at which a worker stops is recorded all the same."""

import os
import signal
import sys

import pytest

from tests.support.bench import Bench
from tests.support.processes import Process, environment, wait_until


@pytest.mark.parametrize("handler", ["ok", "ok_async"])
def test_sigterm_between_the_end_of_a_handler_and_its_record_loses_no_record(bench: Bench, handler: str) -> None:
    """Nothing runs any more then, and nothing is recorded yet: the process must not leave."""
    route = handler.replace("_", "-")
    bench.routes({"handler": f"deeds:{handler}"})
    event_id = bench.keep(1, route)
    argv = [sys.executable, "-m", "tests.workers.run.dawdling", bench.settings["FRONTDESK_REDIS_URL"]]
    worker = Process(
        [*argv, str(bench.folder / "routes.yaml")], log=bench.folder / "dawdling.log", environ=environment()
    )
    try:
        worker.wait_for("^dawdling$")
        assert worker.stop() == 0
    finally:
        worker.end()

    assert bench.archive.get(event_id).status == "succeeded"
    assert len(bench.seen()) == 1


def test_a_closed_terminal_ends_workers_in_order(bench: Bench) -> None:
    """It sends SIGHUP to the whole group: the parent passes it on once, its processes finish what runs."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 0.5}})
    event_id = bench.keep(1, "slow")
    worker = bench.work()
    wait_until(bench.seen, "the handler to start")

    os.killpg(worker.pid, signal.SIGHUP)

    assert worker.wait() == 0
    assert bench.archive.get(event_id).status == "succeeded"
    assert len(bench.seen()) == 2  # its beginning and its end


def test_probes_see_the_parent_of_workers(bench: Bench) -> None:
    """It touches its file again and again; one that stands still does not."""
    bench.settings["FRONTDESK_DATA_DIR"] = str(bench.folder / "data")
    file = bench.folder / "data" / "work.alive"
    bench.routes({"handler": "deeds:ok"})
    worker = bench.work()
    wait_until(file.exists, lambda: str(worker))

    os.utime(file, (0, 0))
    wait_until(lambda: file.stat().st_mtime > 0, lambda: str(worker))
    assert worker.stop() == 0
