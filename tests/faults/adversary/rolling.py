"""A rolling deploy: two workers with two tables, and nothing starves."""

import json
import os
import signal
from collections import Counter
from typing import Self

from tests.faults import blows
from tests.faults.frontdesk import Frontdesk, write_routes
from tests.faults.stand import STARTS_WITHIN_S, Stand, interrupt
from tests.support.processes import Process, children_of


class RollingDeploy(Frontdesk):
    """Two workers on one store: the older one knows neither the ordered nor the limited route, and not one handler."""

    def __enter__(self) -> Self:
        (self.folder / "older").mkdir(parents=True, exist_ok=True)
        write_routes(self.folder / "older", self._older_routes())
        super().__enter__()
        self.outdated: list[Process] = []
        self.start_older()
        self._stack.callback(lambda: self.older.end())
        return self

    @property
    def older(self) -> Process:
        """The older worker of the moment."""
        return self.outdated[-1]

    def start_older(self) -> None:
        """Start another older worker."""
        settings = {**self._store_of_worker(), "FRONTDESK_DATA_DIR": str(self.folder / "older" / "var")}
        process = self._command("work", "--threads", "8", settings=settings, folder=self.folder / "older")
        process.wait_for("worker.started", timeout_s=STARTS_WITHIN_S)
        self.outdated.append(process)

    def routes(self) -> list[dict[str, object]]:
        """Those of every stand, one ordered, one limited."""
        more: dict[str, dict[str, object]] = {
            "waits": {"order": "data.Id % 10"},
            "slow": {"limit": "200/s", "concurrency": 4},
        }
        return [{**route, **more.get(str(route["name"]), {})} for route in super().routes()]

    def _older_routes(self) -> list[dict[str, object]]:
        known = [route for route in self.routes() if route["name"] in ("quick", "fails")]
        return [
            {**route, "handler": "tests.faults.deeds:not_yet"} if route["name"] == "fails" else route for route in known
        ]

    def unaccounted(self) -> list[str]:
        """Nothing is parked any more, and no worker was given twice what it had handed back as unknown."""
        found = super().unaccounted()
        with self.store.client() as client:
            waiting = sorted(key.decode() for key in client.scan_iter("fd:w:*", count=1_000))
        if waiting:
            found.append(f"deliveries still wait before {waiting}")
        for process in self.outdated:
            lines = [line for line in process.output.splitlines() if '"delivery.not_ready"' in line]
            back = Counter(json.loads(line)["delivery_id"] for line in lines)
            if twice := [name for name, times in back.items() if times > 1]:
                found.append(
                    f"{len(twice)} deliveries were handed back by one worker several times, such as {twice[0]}"
                )
        return found


def kill_older_worker(stand: Stand) -> None:
    """kill -9 of all of the older worker, then another."""
    assert isinstance(stand, RollingDeploy)
    processes = list(children_of(stand.older.pid))
    stand.orphan(processes)
    stand.killed.update(processes)
    stand.older.kill()
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    stand.start_older()


def stop_older_worker(stand: Stand) -> None:
    """SIGTERM of the older worker, then another."""
    assert isinstance(stand, RollingDeploy)
    interrupt(stand.older, signal.SIGTERM, then=stand.start_older)


def finish_the_deploy(stand: Stand) -> None:
    """The older worker gets the routes of the newer one while it runs."""
    assert isinstance(stand, RollingDeploy)
    write_routes(stand.folder / "older", stand.routes())


BLOWS = (
    blows.Blow("two tables: SIGTERM of the newer worker", blows.stop_worker),
    blows.Blow("two tables: SIGTERM of the older worker", stop_older_worker),
    blows.Blow("two tables: kill -9 of the older worker", kill_older_worker, crashes=True),
    blows.Blow("the older worker gets the newer table", finish_the_deploy),
)
