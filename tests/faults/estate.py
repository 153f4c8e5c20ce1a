"""The real topology on one machine: what `deploy/` runs in containers, as processes.

simulated Nexudus --> nginx (deploy/nginx.conf) --> 2 receivers --> primary, replica, 3 sentinels <-- 2 x 2 workers
        ^------------------------------- watch -------------------------^
"""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx2
import orjson

from tests.conftest import program
from tests.faults.ensemble import Ensemble
from tests.support.processes import Command, Process, environment, free_port, wait_until

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx.conf"
BUSINESSES = (1001, 1002)
SECRET = "a-secret-of-the-locations"
STARTS_WITHIN_S = 60.0

_HANDLER = '''
"""Writes down which event was handled for which route."""
import os
from workers import Event

def note(event: Event, *, route: str, path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{route} {event.id}\\n".encode())
    os.close(file)
'''


class Estate:
    """Started by `with`; everything is gone at its end. *keys*: URL keys of each role, which upheavals change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = {"serve": "first-key", "watch": "first-key"}
        self.notes = folder / "notes"
        self.routes = folder / "routes.yaml"
        self.balancer_log = folder / "access.log"
        self._ports = [free_port() for _ in range(4)]
        self._stack = contextlib.ExitStack()
        self._logs = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._stack = stack
            self.ensemble = stack.enter_context(Ensemble(self.folder / "store"))
            (self.folder / "noting.py").write_text(_HANDLER)
            self.route("BookingCreate", "CoworkerInvoicePaid")
            self._nexudus = stack.enter_context(httpx2.Client(base_url=self._url(2), timeout=30, trust_env=False))
            nexudus = self._frontdesk("simulate", "--port", str(self._ports[2]), "--rate", "0", *self._businesses())
            nexudus.wait_for("simulated at", timeout_s=STARTS_WITHIN_S)
            self.balancer = self._start_balancer()
            self.receivers = [self.start_receiver(number) for number in range(2)]
            self.workers = [self.start_worker() for _ in range(2)]
            self.watch = self.start_watch()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- parts ------------------------------------------------------------------------------------------------------

    def start_receiver(self, number: int) -> Process:
        """Start one of the two receivers, and wait until it is ready; it has a port and a spool of its own."""
        started = self._frontdesk(
            "serve",
            settings={
                "FRONTDESK_PORT": str(self._ports[number]),
                "FRONTDESK_DATA_DIR": str(self.folder / f"receiver-{number}"),
                "FRONTDESK_URL_KEYS": self.keys["serve"],
                "FRONTDESK_WEBHOOK_SECRETS": SECRET,
                "FRONTDESK_DURABILITY": "replicated",
                "FRONTDESK_TRUSTED_PROXIES": "127.0.0.1/32",
            },
        )
        started.wait_for_http(f"{self._url(number)}/readyz", timeout_s=STARTS_WITHIN_S)
        return started

    def start_worker(self) -> Process:
        """Start a parent of two worker processes."""
        started = self._frontdesk("work", "--processes", "2", "--threads", "4")
        started.wait_for("worker.started", timeout_s=STARTS_WITHIN_S)
        return started

    def start_watch(self) -> Process:
        """Start the registrar, and wait until it leads."""
        started = self._frontdesk(
            "watch",
            *("--every", "2s"),
            settings={
                "FRONTDESK_URL_KEYS": self.keys["watch"],
                "FRONTDESK_PUBLIC_URL": self._url(3),
                "FRONTDESK_NEXUDUS_URL": self._url(2),
                "FRONTDESK_NEXUDUS_USERNAME": "demo@example.com",
                "FRONTDESK_NEXUDUS_PASSWORD": "demo",
                "FRONTDESK_NEXUDUS_CALLS_PER_MINUTE": "6000",
                "FRONTDESK_NEXUDUS_WRITES_PER_MINUTE": "6000",
                "FRONTDESK_NEXUDUS_CALLS_PER_HOUR": "1000000",
                "FRONTDESK_NEXUDUS_WRITES_PER_DAY": "1000000",
            },
        )
        started.wait_for("watch.leading", timeout_s=STARTS_WITHIN_S)
        return started

    def route(self, *actions: str) -> None:
        """Write routes.yaml anew: a route for each of these actions, at all locations."""
        routes = [
            {
                "name": action.lower(),
                "action": action,
                "handler": "noting:note",
                "with": {"route": action, "path": str(self.notes)},
                "retry": ["300ms", "1s", "5s"],
            }
            for action in actions
        ]
        new = self.routes.with_suffix(".new")
        new.write_bytes(orjson.dumps({"businesses": BUSINESSES, "routes": routes}))  # JSON is YAML
        new.replace(self.routes)

    # -- Nexudus ----------------------------------------------------------------------------------------------------

    def fire(self, rate: float) -> None:
        """Have so many events happen in a second; what is not taken is sent again soon."""
        self._ask("POST", "/simulator/faults", {"events_per_second": rate, "retry_scale": 0.02})

    def state(self) -> Any:
        """What Nexudus knows: its hooks, and what became of its deliveries."""
        return self._ask("GET", "/simulator/state")

    def wait_for_hooks(self, count: int, *, tokens: Sequence[str] | None = None) -> None:
        """Wait until so many hooks are active, and no other; *tokens*: which their URLs must end with, too."""

        def are_there() -> bool:
            hooks = self.state()["hooks"]
            ends = {hook["URL"].rpartition("/")[2] for hook in hooks}
            return len(hooks) == count and all(hook["Active"] for hook in hooks) and ends == set(tokens or ends)

        wait_until(are_there, lambda: f"{count} hooks, and not {self.state()['hooks']}", timeout_s=STARTS_WITHIN_S)

    def _ask(self, method: str, path: str, value: Any = None) -> Any:
        answer = self._nexudus.request(method, path, json=value)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    # -- for the parts ----------------------------------------------------------------------------------------------

    def _url(self, number: int) -> str:
        return f"http://127.0.0.1:{self._ports[number]}"

    def _businesses(self) -> list[str]:
        return [word for business in BUSINESSES for word in ("--business", str(business))]

    def _start_balancer(self) -> Process:
        text = CONFIG.read_text(encoding="utf-8")
        changes = {
            "/run/nginx/": f"{self.folder}/",
            "/dev/stdout": str(self.balancer_log),
            "listen 8080;": f"listen 127.0.0.1:{self._ports[3]};",
            "receiver-1:8000": f"127.0.0.1:{self._ports[0]}",
            "receiver-2:8000": f"127.0.0.1:{self._ports[1]}",
        }
        for shipped, here in changes.items():
            assert shipped in text, f"deploy/nginx.conf: no {shipped}"
            text = text.replace(shipped, here)
        if os.geteuid() == 0:  # else its workers, who are nobody then, cannot reach our folder
            text = "user root;\n" + text
        (self.folder / "nginx.conf").write_text(text, encoding="utf-8")
        argv = [program("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]
        started = self._tended(Process(argv, log=self.folder / "nginx.log"))
        started.wait_for_http(f"{self._url(3)}/", status=404)
        return started

    def _frontdesk(self, *arguments: str, settings: dict[str, str] | None = None) -> Process:
        self._logs += 1
        environ = environment(
            {
                "FRONTDESK_REDIS_URL": self.ensemble.url,
                "FRONTDESK_ROUTES": str(self.routes),
                "FRONTDESK_DATA_DIR": str(self.folder / arguments[0]),
                "FRONTDESK_LOG_FORMAT": "json",
                "FRONTDESK_WEBHOOK_SECRETS": SECRET if arguments[0] == "simulate" else "",
                **(settings or {}),
            }
        )
        log = self.folder / f"{self._logs}-{arguments[0]}.log"
        return self._tended(Command(*arguments, log=log, environ=environ, cwd=self.folder))

    def _tended(self, process: Process) -> Process:
        self._stack.callback(process.end)
        return process


def roll(process: Process) -> None:
    """SIGTERM, and wait for an orderly end: a deploy."""
    process.signal(signal.SIGTERM)
    status = process.wait(timeout_s=STARTS_WITHIN_S)
    assert status == 0, f"{process} ended with {status}"
