"""`frontdesk up --demo` as a newcomer meets it: events come in, are kept, routed and handled; Ctrl-C ends all of it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from receiver.storage.embedded import embedded_server
from receiver.storage.redis import connection
from tests.conftest import StartFrontdesk
from tests.support.processes import Process, Ran, children_of, command, environment, get, is_alive, run, wait_until

HANDLED = r"event\.handled .*action={}\b"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with nothing in it, whose embedded server is gone afterwards, whatever the test did to its parent."""
    yield tmp_path
    embedded_server.stop(tmp_path / "var", grace_s=2)


@pytest.fixture
def up(folder: Path, frontdesk: StartFrontdesk) -> Process:
    """The demo, up."""
    return _up(folder, frontdesk)


def _up(folder: Path, frontdesk: StartFrontdesk, *arguments: str, **settings: str | None) -> Process:
    """*settings*: None for one that is not to be set; the ports are any that are free."""
    asked = {"port": "0", "console_port": "0"} | settings
    names = {f"FRONTDESK_{name.upper()}": value for name, value in asked.items() if value is not None}
    process = frontdesk("up", "--demo", *arguments, settings=names, cwd=folder)
    process.wait_for(r"^frontdesk \| Frontdesk is up\.$")
    return process


class Demo(NamedTuple):
    """A demo that is up, and its folder."""

    up: Process
    folder: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """For all tests that look and leave it as it is."""
    folder = tmp_path_factory.mktemp("demo")
    ports = {"FRONTDESK_PORT": "0", "FRONTDESK_CONSOLE_PORT": "0"}
    process = Process(command("up", "--demo"), log=folder / "log", environ=environment(ports), cwd=folder)
    try:
        process.wait_for(r"^frontdesk \| Frontdesk is up\.$")
        yield Demo(process, folder)
        process.stop()
    finally:
        process.end()
        embedded_server.stop(folder / "var", grace_s=2)


def _beside(folder: Path, *arguments: str) -> Ran:
    """Run another command in the same folder, without any setting: the way a newcomer does in a second terminal."""
    return run(*arguments, cwd=folder)


def _events(folder: Path) -> list[dict[str, Any]]:
    ran = _beside(folder, "events", "--json")
    assert ran.status == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def _child(process: Process, command: str) -> int:
    """Return the id of the child that runs a command of ours."""
    (pid,) = [pid for pid, line in children_of(process.pid).items() if f"-m receiver {command}" in line]
    return pid


def _url(process: Process) -> str:
    return process.wait_for(r"hooks    (http://\S+)/hooks/")[1]


def test_it_prints_a_link_that_signs_in_to_the_console_once(demo: Demo) -> None:
    """The console is part of it, with a token of its own making that is nowhere in what is printed."""
    link = demo.up.wait_for(r"sign in  (http://\S+/console/enter\?link=\S+)")[1]
    token = (demo.folder / "var" / "secrets" / "admin-token").read_text().strip()

    assert (_visit(link), _visit(link)) == (303, 403)
    assert _visit(link.partition("/enter")[0] + "/api/overview", token) == 200
    another = _beside(demo.folder, "console", "--link")
    assert another.status == 0
    assert _visit(another.out.strip()) == 303, "at the port that was free, which need not be the usual one"
    assert token not in demo.up.output + another.out


def test_a_newcomer_sees_events_handled_within_the_minute(demo: Demo) -> None:
    """Several actions, through the real door; `frontdesk events` beside it finds the store without any setting."""
    for action in ("BookingCreate", "CoworkerCheckin", "VisitorRegistered"):
        demo.up.wait_for(HANDLED.format(action))

    wait_until(lambda: any(event["status"] == "succeeded" for event in _events(demo.folder)), "a succeeded event")
    assert {event["status"] for event in _events(demo.folder)} <= {"succeeded", "in_flight"}


def test_what_nexudus_fires_is_registered_with_it(demo: Demo) -> None:
    """The events come through real registrations; `frontdesk hooks` beside it shows them, healthy."""
    demo.up.wait_for(r"nexudus +\| Nexudus is simulated at")
    demo.up.wait_for(HANDLED.format("BookingCreate"))

    ran = _beside(demo.folder, "hooks", "--json")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.status == 0, ran.err
    assert len(rows) == 15, "five actions at three locations"
    assert {row["state"] for row in rows} == {"healthy"}
    assert any(row["last_received_at"] for row in rows if row["action"] == "BookingCreate")
    assert _beside(demo.folder, "plan").status == 0


def test_a_newcomer_can_switch_the_webhooks_off(demo: Demo) -> None:
    """By the command that the demo prints. The registrar enables them again when that is over."""
    demo.up.wait_for(HANDLED.format("BookingCreate"))
    demo.up.wait_for(r"gap +\S+ simulate --outage 1m")

    ran = _beside(demo.folder, "simulate", "--outage", "1s")

    assert (ran.status, ran.err) == (0, "")
    wait_until(lambda: _states(demo.folder) - {"healthy"}, lambda: f"hooks that are off: {_states(demo.folder)}")
    wait_until(lambda: _states(demo.folder) == {"healthy"}, lambda: f"healthy hooks: {_states(demo.folder)}")


def _states(folder: Path) -> set[str]:
    return {json.loads(line)["state"] for line in _beside(folder, "hooks", "--json").out.splitlines()}


def test_ctrl_c_stops_all_of_it_and_the_data_stays(up: Process, folder: Path, frontdesk: StartFrontdesk) -> None:
    """With status 0; the next start finds the events again."""
    up.wait_for(HANDLED.format("BookingCreate"))
    children = children_of(up.pid)
    url = _url(up)

    up.signal(signal.SIGINT)

    assert up.wait() == 0
    assert [line for pid, line in children.items() if is_alive(pid)] == []
    assert (embedded_server.is_running(folder / "var"), get(f"{url}/healthz")) == (False, 0)
    ids = set(re.findall(r"event_id=(\w+)", up.output))
    _up(folder, frontdesk)
    assert ids <= {event["id"] for event in _events(folder)}


def test_a_second_one_over_the_same_data_is_refused(demo: Demo) -> None:
    """It would end with the first one's server."""
    ran = run("up", settings={"FRONTDESK_PORT": "0"}, cwd=demo.folder)

    assert ran.status == 1
    assert f"frontdesk up already runs here (process {demo.up.pid}); stop it first" in ran.err
    assert demo.up.is_running


def test_a_store_that_dies_is_started_again(up: Process, folder: Path) -> None:
    """kill -9 of the embedded server: it comes back with its data, and events go on being handled."""
    up.wait_for(HANDLED.format("BookingCreate"))
    before = {event["id"] for event in _events(folder)}
    with connection.connect(embedded_server.socket_url(folder / "var")) as client:
        pid = int(client.info("server")["process_id"])

    os.kill(pid, signal.SIGKILL)

    up.wait_for("the embedded server ended; restarting it")
    handled = up.output.count("event.handled")
    wait_until(lambda: up.output.count("event.handled") > handled + 3, up.__str__)
    assert before <= {event["id"] for event in _events(folder)}


@pytest.mark.parametrize("part", ["serve", "work"])
def test_a_part_that_dies_is_started_again(up: Process, part: str) -> None:
    """kill -9 of the receiver or the worker; the other parts go on."""
    up.wait_for(HANDLED.format("BookingCreate"))
    first = _child(up, part)

    os.kill(first, signal.SIGKILL)

    up.wait_for(r"was ended by signal 9; it is started again")
    second = wait_until(lambda: next((p for p in [_maybe(up, part)] if p not in (None, first)), None), up.__str__)
    handled = up.output.count("event.handled")
    wait_until(lambda: up.output.count("event.handled") > handled + 3, up.__str__)
    assert second != first


def _maybe(process: Process, command: str) -> int | None:
    found = [pid for pid, line in children_of(process.pid).items() if f"-m receiver {command}" in line]
    return found[0] if found else None


def test_after_kill_9_the_next_one_attaches(up: Process, folder: Path, frontdesk: StartFrontdesk) -> None:
    """The parts stop, the store lives on, and nothing that was accepted is missing."""
    up.wait_for(HANDLED.format("BookingCreate"))
    children = children_of(up.pid)
    with connection.connect(embedded_server.socket_url(folder / "var")) as client:
        pid = int(client.info("server")["process_id"])
    parts = [child for child in children if child != pid]

    up.kill()

    # a part may take 25 s for what it has begun, and the machine is busy with other tests
    wait_until(lambda: not any(map(is_alive, parts)), "the end of the parts", timeout_s=60)
    assert is_alive(pid)
    ids = {event["id"] for event in _events(folder)}
    _up(folder, frontdesk)
    with connection.connect(embedded_server.socket_url(folder / "var")) as client:
        assert client.info("server")["process_id"] == pid
    assert ids <= {event["id"] for event in _events(folder)}


def test_a_server_that_is_set_is_used(folder: Path, frontdesk: StartFrontdesk, redis_url: str) -> None:
    """No embedded one is started beside it."""
    process = _up(folder, frontdesk, redis_url=redis_url)
    process.wait_for(HANDLED.format("BookingCreate"))

    assert "store    the server of FRONTDESK_REDIS_URL" in process.output
    assert not (folder / "var" / "valkey").exists()
    assert process.stop() == 0


def test_several_processes_share_the_work(folder: Path, frontdesk: StartFrontdesk) -> None:
    """Two receivers behind one port and two workers, all gone at the end."""
    process = _up(folder, frontdesk, "--receivers", "2", "--workers", "2")
    process.wait_for(HANDLED.format("BookingCreate"))
    grown = {pid for child in children_of(process.pid) for pid in children_of(child)}

    assert len(children_of(_child(process, "serve"))) >= 2
    assert process.stop() == 0
    wait_until(lambda: not any(map(is_alive, grown)), "the end of the grandchildren")


def test_a_registrar_that_cannot_start_harms_nobody(folder: Path, frontdesk: StartFrontdesk, redis_url: str) -> None:
    """It says what is wrong each time it is tried again; events come in and are handled beside it."""
    wrong = {"FRONTDESK_PUBLIC_URL": "http://hooks.example", "FRONTDESK_NEXUDUS_TOKEN": "x", "FRONTDESK_PORT": "0"}
    (folder / "routes.yaml").write_text("routes: [{action: BookingCreate, handler: log}]")
    process = frontdesk("up", settings=wrong | {"FRONTDESK_REDIS_URL": redis_url}, cwd=folder)
    process.wait_for(r"^frontdesk \| Frontdesk is up\.$")
    wait_until(lambda: process.output.count("registrar ended with status 1") >= 3, "three attempts")

    sent = run("send", "BookingCreate", "--url", _url(process), cwd=folder)

    assert sent.status == 0, sent.err
    process.wait_for(HANDLED.format("BookingCreate"))
    assert "registrar | frontdesk: FRONTDESK_PUBLIC_URL: must be https://" in process.output
    assert process.stop() == 0


def test_no_part_sees_a_secret_of_another(demo: Demo) -> None:
    """The worker's environment names no URL key, and no environment holds one: they come as files."""
    key = (demo.folder / "var" / "secrets" / "url-keys").read_bytes().strip()
    environ = {name: Path(f"/proc/{_child(demo.up, name)}/environ").read_bytes() for name in ("serve", "work")}

    assert b"FRONTDESK_URL_KEYS_FILE=" in environ["serve"]
    assert b"URL_KEYS" not in environ["work"]
    assert b"WEBHOOK_SECRETS" not in environ["work"]
    assert key not in environ["serve"] + environ["work"]
    assert key not in demo.up.output.encode()


def test_a_link_leads_to_the_console_wherever_it_found_a_port(folder: Path, frontdesk: StartFrontdesk) -> None:
    """The usual port is somebody else's; the word that `up` left of the other one is gone with it."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # then another test has it
            stack.enter_context(socket.create_server(("127.0.0.1", 8001)))
        process = _up(folder, frontdesk, console_port=None)
        shown = process.wait_for(r"console  http://127\.0\.0\.1:(\d+)/console/")[1]
        link = _beside(folder, "console", "--link").out
        named = run("console", "--link", settings={"FRONTDESK_CONSOLE_PORT": "4711"}, cwd=folder).out
        assert process.stop() == 0
    after = _beside(folder, "console", "--link").out

    assert [re.search(r":(\d+)/console/enter", one)[1] for one in (link, named, after)] == [shown, "4711", "8001"]  # type: ignore[index]


def _visit(url: str, token: str = "") -> int:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.netloc, timeout=20)
    with contextlib.closing(client):
        client.request(
            "GET", f"{parts.path}?{parts.query}", headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        return client.getresponse().status
