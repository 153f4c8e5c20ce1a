"""The receiver under other ASGI servers, by the settings of the environment, and under Starlette's test client."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from starlette.routing import Route
from starlette.testclient import TestClient

import receiver.web
from receiver.core.errors import SettingsError
from receiver.core.settings import from_environ
from receiver.nexudus import hook_urls
from receiver.storage.query.event_reader import EventReader
from receiver.web import assembly
from receiver.web.hook_endpoint import HookEndpoint
from tests.support.http import request
from tests.support.processes import Process, environment, free_port

KEY = "a-url-key"
PATH = hook_urls.path(KEY, 1001, "BookingCreate")
BODY = b'[{"Id":1,"FullName":"Jose"}]'


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests, and of the tests themselves, are none of the application's."""
    for name in [name for name in os.environ if name.startswith("FRONTDESK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """What a receiver needs."""
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes:\n- {action: Booking*, handler: log}\n")
    return {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_URL_KEYS": KEY,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_ROUTES": str(routes),
        "FRONTDESK_LOG_FORMAT": "json",
    }


@pytest.fixture
def served(settings: dict[str, str], tmp_path: Path) -> Iterator["Served"]:
    """Starts the application under any server."""
    started = Served(settings, tmp_path)
    yield started
    for process in started.processes:
        process.end()


class Served:
    """Processes that serve the application."""

    def __init__(self, settings: dict[str, str], folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.processes: list[Process] = []

    def start(self, module: str, options: Sequence[str]) -> str:
        """Start a server; *options* with {port} in them. Returns its URL, once it is ready."""
        port = free_port()
        words = [word.replace("{port}", str(port)) for word in options]
        argv = [sys.executable, "-m", module, *words]
        process = Process(argv, log=self._folder / f"{module}.log", environ=environment(self._settings))
        self.processes.append(process)
        url = f"http://127.0.0.1:{port}"
        process.wait_for_http(f"{url}/readyz")
        return url


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("uvicorn", ("--factory", "receiver.web:create_application", "--port", "{port}")),
        ("hypercorn", ("--bind", "127.0.0.1:{port}", "receiver.web:create_application()")),
        (
            "granian",
            ("--interface", "asgi", "--factory", "--port", "{port}", "receiver.web:create_application"),
        ),
    ],
)
def test_other_servers_serve_it(served: Served, module: str, options: tuple[str, ...], client: redis.Redis) -> None:
    """An event is taken and kept, a stranger learns nothing, and the end is in order."""
    url = served.start(module, options)

    taken = request("POST", url + PATH, BODY, {})
    again = request("POST", url + PATH, BODY, {})
    strange = request("POST", f"{url}/hooks/1001/BookingCreate/{'x' * 32}", BODY, {})
    proof = request("GET", f"{url}{hook_urls.PREFIX}-/probe?nonce=n", None, {})

    assert (taken.status, taken.json()["events"][0]["status"]) == (202, "accepted")
    assert again.json()["events"] == [{"id": taken.json()["events"][0]["id"], "status": "duplicate"}]
    assert (strange.status, strange.json()) == (404, {"error": "not found"})
    assert proof.body.decode() == hook_urls.probe_answer(KEY, "n")
    assert request("GET", f"{url}/metrics", None, {}).status == 200
    assert EventReader(client).get(taken.json()["events"][0]["id"]).envelope.body == BODY[1:-1]
    (process,) = served.processes
    process.stop()
    assert '"event":"request.answered"' in process.output
    assert "Traceback" not in process.output


def test_starlettes_client_tests_it(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, no port: whoever extends it tests it as any Starlette application."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    with TestClient(receiver.web.create_application()) as client:
        assert client.post(PATH, content=BODY).json()["events"][0]["status"] == "accepted"
        assert client.post(PATH, content=b"x" * 1_100_000).status_code == 413
        assert client.post(PATH[:-1] + "-", content=BODY).status_code == 404
        assert client.get(PATH).headers["allow"] == "POST"
        assert client.get("/readyz").json() == {"ready": True, "reason": None}
        assert client.post("/healthz").status_code == 405


def test_starlettes_client_tests_it_without_a_lifespan(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, client: redis.Redis
) -> None:
    """Without `with` it runs each request in an event loop of its own: none hangs, each event is kept."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    tested = TestClient(receiver.web.create_application())

    first, again = (tested.post(PATH, content=BODY).json()["events"][0] for _ in range(2))

    assert (first["status"], again) == ("accepted", {"id": first["id"], "status": "duplicate"})
    assert tested.post(PATH[:-1] + "-", content=BODY).status_code == 404
    assert tested.get("/readyz").json() == {"ready": True, "reason": None}
    assert EventReader(client).get(first["id"]).envelope.body == BODY[1:-1]


def test_a_server_without_a_lifespan_serves_it(served: Served, client: redis.Redis) -> None:
    """Slowly, but each event is kept, and no request costs one that comes at the same time."""
    options = ("--factory", "receiver.web:create_application", "--port", "{port}", "--lifespan", "off")
    url = served.start("uvicorn", options)
    bodies = [b'[{"Id":%d}]' % number for number in range(4)]

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda body: request("POST", url + PATH, body, {}), bodies))

    assert [one.json()["events"][0]["status"] for one in taken] == ["accepted"] * 4
    kept = [EventReader(client).get(one.json()["events"][0]["id"]).envelope.body for one in taken]
    assert kept == [body[1:-1] for body in bodies]


def test_a_hook_is_an_ordinary_route(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the owner asked: the path of a hook, and an endpoint behind it."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    routes = receiver.web.create_application().routes
    (hook,) = [one for one in routes if isinstance(one, Route) and one.path == "/hooks/{business_id}/{action}/{token}"]

    assert isinstance(hook.endpoint, HookEndpoint)


def test_below_another_path_it_is_the_same(served: Served) -> None:
    """Behind a proxy that takes the prefix away, which servers call the root path."""
    url = served.start(
        "uvicorn", ("--factory", "receiver.web:create_application", "--port", "{port}", "--root-path", "/desk")
    )

    assert request("POST", url + PATH, BODY, {}).status == 202


def test_limits_are_as_the_settings_say() -> None:
    """And several of the largest bodies may be coming at once, whatever their limit is."""
    current = from_environ(
        {"FRONTDESK_IDLE_TIMEOUT": "900s", "FRONTDESK_MAX_CONNECTIONS": "7", "FRONTDESK_MAX_BODY": "33554432"}
    )

    found = assembly.limits(current)

    assert (found.idle_s, found.connections, found.unfinished_bytes) == (900.0, 7, 4 * 33_554_432)
    assert assembly.limits(from_environ({})).idle_s == 620.0


def test_what_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `frontdesk serve` says it."""
    monkeypatch.setenv("FRONTDESK_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("FRONTDESK_URL_KEYS", raising=False)

    with pytest.raises(SettingsError, match="^FRONTDESK_URL_KEYS is not set"):
        receiver.web.create_application()
