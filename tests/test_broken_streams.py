"""Nothing that only tells can stop what it tells of: standard streams that are closed, full or read by nobody."""

import contextlib
import http.client
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from receiver.nexudus import hook_urls
from tests.conftest import StartValkey
from tests.support.http import Answer
from tests.support.processes import command, environment, free_port, get, run, wait_until

MISFORTUNES = ["closed", "full", "gone", "unread"]
ROUTES = "routes:\n  - {action: '*', handler: 'loud:shout'}\n"
HANDLER = """
import sys
from pathlib import Path

def shout(event):
    print("x" * 100_000)
    print("x" * 100_000, file=sys.stderr, flush=True)
    (Path(__file__).parent / f"ran-{event.id}").touch()
"""


@contextlib.contextmanager
def _unwritable(misfortune: str) -> Iterator[tuple[list[str], int | None]]:
    """Yield what to put before a command, and what both of its streams are."""
    if misfortune == "closed":
        yield ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"], None
        return
    reading, writing = os.pipe()
    if misfortune == "full":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    if misfortune == "gone":
        os.close(reading)
    try:
        yield [], writing
    finally:
        os.close(writing)
        if misfortune != "gone":
            os.close(reading)


@contextlib.contextmanager
def _started(misfortune: str, *arguments: str, settings: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with _unwritable(misfortune) as (before, stream):
        process = subprocess.Popen(
            [*before, *command(*arguments)],
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _stopped(process: "subprocess.Popen[bytes]") -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


@pytest.fixture
def told(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """Settings of a receiver and workers, whose handler shouts."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "loud.py").write_text(HANDLER)
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_PORT": str(free_port()),
        "FRONTDESK_CONSOLE_PORT": str(free_port()),
        "FRONTDESK_URL_KEYS": "k" * 32,
        "FRONTDESK_ADMIN_TOKEN": "t" * 32,
        "FRONTDESK_NEXUDUS_URL": "http://127.0.0.1:1",
        "FRONTDESK_NEXUDUS_TOKEN": "n",
        "FRONTDESK_PUBLIC_URL": "http://127.0.0.1:1",
    }


def _post(settings: dict[str, str], number: int) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", int(settings["FRONTDESK_PORT"]), timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", hook_urls.path("k" * 32, 1001, "BookingCreate"), f'[{{"Id":{number}}}]')
        response = connection.getresponse()
        return Answer(response.status, {}, response.read())


def _lost(settings: dict[str, str]) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings['FRONTDESK_PORT']}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return float(text.partition("\nfrontdesk_log_lines_lost_total ")[2].split()[0])


@pytest.mark.parametrize("misfortune", MISFORTUNES)
def test_requests_are_answered_and_spooled(misfortune: str, told: dict[str, str], start_valkey: StartValkey) -> None:
    """More than fill a pipe, first with the store and then without it; and SIGTERM ends it as ever."""
    store = start_valkey()
    settings = told | {"FRONTDESK_REDIS_URL": store.url, "FRONTDESK_LOG_FORMAT": "json"}
    base = f"http://127.0.0.1:{settings['FRONTDESK_PORT']}"
    with _started(misfortune, "serve", settings=settings) as process:
        wait_until(lambda: get(f"{base}/readyz") == 200, "a receiver")
        kept = [_post(settings, number) for number in range(300)]
        store.kill()
        spooled = [_post(settings, number) for number in range(300, 310)]

        assert {answer.status for answer in kept + spooled} == {202}
        assert spooled[-1].json()["events"][0]["status"] == "spooled"
        assert get(f"{base}/readyz") == 200
        if misfortune in ("full", "gone"):
            wait_until(lambda: _lost(settings) >= 300, "a metric of the lines lost")
        assert _stopped(process) == 0


@pytest.mark.parametrize("misfortune", MISFORTUNES)
def test_handlers_run_whatever_they_print(misfortune: str, told: dict[str, str], tmp_path: Path) -> None:
    """And SIGTERM ends the worker."""
    url = f"http://127.0.0.1:{told['FRONTDESK_PORT']}"
    with _started("full", "serve", settings=told), _started(misfortune, "work", settings=told) as worker:
        wait_until(lambda: get(f"{url}/readyz") == 200, "a receiver")
        for number in range(5):
            assert _post(told, number).status == 202

        wait_until(lambda: len(list(tmp_path.glob("ran-*"))) == 5, "five deliveries")
        wait_until(lambda: '"succeeded":5' in run("audit", "--json", settings=told).out, "their record")
        assert _stopped(worker) == 0


@pytest.mark.parametrize("misfortune", MISFORTUNES)
@pytest.mark.parametrize("arguments", [("console",), ("simulate", "--port", "PORT"), ("watch", "--every", "1s")])
def test_whatever_stays_starts_and_stops(misfortune: str, arguments: tuple[str, ...], told: dict[str, str]) -> None:
    """The console, the simulator, the registrar."""
    port = told["FRONTDESK_CONSOLE_PORT"]
    words = [port if word == "PORT" else word for word in arguments]
    with _started(misfortune, *words, settings=told) as process:
        if arguments[0] == "watch":
            wait_until(lambda: _leads(told), "a leader")
        else:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/healthz") != 0, "an answer")

        assert process.poll() is None
        assert _stopped(process) == 0


def _leads(settings: dict[str, Any]) -> bool:
    with redis.Redis.from_url(settings["FRONTDESK_REDIS_URL"]) as client:
        return any(b"registrar-leader" in key for key in client.scan_iter("*"))


@pytest.mark.parametrize("misfortune", MISFORTUNES)
def test_everything_together_starts_and_stops(misfortune: str, told: dict[str, str]) -> None:
    """`up` shows the lines of its parts; where it cannot, they run all the same."""
    url = f"http://127.0.0.1:{told['FRONTDESK_PORT']}"
    with _started(misfortune, "up", settings=told) as process:
        wait_until(lambda: get(f"{url}/readyz") == 200, "a receiver", timeout_s=60)
        for number in range(3):
            assert _post(told, number).status == 202
        assert process.poll() is None
        assert _stopped(process) == 0
