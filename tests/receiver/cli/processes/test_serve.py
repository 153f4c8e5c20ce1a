"""`frontdesk serve` on real processes over a real server: it keeps, stays up, and ends in order."""

import http.client
import os
import re
import signal
import socket
import threading
import urllib.request
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from receiver.nexudus import hook_urls, samples, signature
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, keys
from tests.conftest import StartFrontdesk, StartValkey
from tests.support.events import entry, keep_all
from tests.support.http import request
from tests.support.processes import PATIENT, Process, Valkey, free_port, get, run, wait_until

ROUTES = "routes:\n  - {name: tell, action: Booking*, handler: log}\n"
KEY = "a-key"
SECRET = "s3cr3t"


class Serving:
    """A receiver that was started, and how to post to it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, body: bytes, action: str = "BookingCreate", *, signed: Sequence[str] | None = None
    ) -> tuple[int, dict[str, list[dict[str, str]]]]:
        """Post a signed body; return status and answer. *signed*: signatures, each in a header of its own."""
        url = hook_urls.url(self.url, KEY, 1001, action)
        signatures = [signature.sign(body, SECRET)] if signed is None else signed
        answer = request("POST", url, body, [(signature.HEADER, one) for one in signatures])
        return answer.status, answer.json()

    def metrics(self) -> bytes:
        """What a scrape of it says."""
        return request("GET", f"{self.url}/metrics").body


HANGING = """
import socket, time
resolve = socket.getaddrinfo

def hang(host, *arguments, **options):
    if host == "store.invalid":
        time.sleep(3600)
    return resolve(host, *arguments, **options)

socket.getaddrinfo = hang
"""


def test_a_name_that_does_not_resolve_holds_up_neither_start_nor_scrape_nor_end(
    frontdesk: StartFrontdesk, tmp_path: Path
) -> None:
    """The receiver starts, spools, is scraped, and ends, while whoever looks at the store hangs in a resolver."""
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    more = {"port": str(free_port()), "PYTHONPATH": str(tmp_path)}
    settings = _settings("redis://store.invalid:6379/0", tmp_path, **more)
    serving = Serving(frontdesk("serve", settings=settings), int(settings["FRONTDESK_PORT"]))
    serving.process.wait_for_http(f"{serving.url}/healthz")

    status, answer = serving.post(b'[{"Id":1}]')
    assert (status, answer["events"][0]["status"]) == (202, "spooled")
    for _ in range(2):  # the first look still hangs
        text = serving.metrics()
        assert b"\nfrontdesk_store_up 0.0\n" in text
        assert b'frontdesk_ingest_events_total{action="BookingCreate",status="spooled"} 1.0' in text
    assert serving.process.stop() == 0


def _settings(url: str, folder: Path, /, **more: str) -> dict[str, str]:
    settings = {
        "FRONTDESK_REDIS_URL": url,
        "FRONTDESK_URL_KEYS": KEY,
        "FRONTDESK_WEBHOOK_SECRETS": SECRET,
        "FRONTDESK_PORT": "0",
        "FRONTDESK_ROUTES": str(folder / "routes.yaml"),
        "FRONTDESK_LOG_FORMAT": "json",
    }
    return settings | {name if name.isupper() else f"FRONTDESK_{name.upper()}": value for name, value in more.items()}


def _serve(frontdesk: StartFrontdesk, redis_url: str, folder: Path, *arguments: str, **more: str) -> Serving:
    process = frontdesk("serve", *arguments, settings=_settings(redis_url, folder, **more))
    port = int(process.wait_for(r'"port":(\d+)')[1])
    process.wait_for_http(f"http://127.0.0.1:{port}/healthz")
    return Serving(process, port)


def test_a_sample_is_kept_and_routed(frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path) -> None:
    """From HTTP to the store, by the real parts: bytes, tags, verification, delivery; a repetition is a duplicate."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path, **PATIENT)
    body = samples.body("BookingCreate", now=samples.WRITTEN, number=7)

    status, answer = serving.post(body)
    _, again = serving.post(body)

    (event,) = answer["events"]
    assert (status, event["status"]) == (202, "accepted")
    assert again == {"events": [{"id": event["id"], "status": "duplicate"}]}
    with valkey.client() as client:
        stored = EventReader(client).get(event["id"])
    assert stored.envelope.body == body[1:-1]
    assert (stored.envelope.verified_by, stored.envelope.entity) == ("dotnet-ascii", "Booking:1400000007")
    assert [delivery.route for delivery in stored.deliveries] == ["tell"]
    assert get(f"{serving.url}/readyz") == 200


def test_what_does_not_verify_is_quarantined(
    frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path
) -> None:
    """Shown with its reason, and with the bytes as they came."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path, **PATIENT)
    ran = run(
        "send",
        "BookingCreate",
        "--url",
        serving.url,
        "--json",
        settings=_settings(redis_url, tmp_path) | {"FRONTDESK_WEBHOOK_SECRETS": "wrong"},
    )

    (event,) = orjson.loads(ran.out)["first"]
    assert (ran.status, event["status"]) == (0, "quarantined")
    with valkey.client() as client:
        stored = EventReader(client).get(event["id"])
    assert stored.envelope.quarantine == "X-Nexudus-Hook-Signature does not match"


def test_two_signatures_are_never_better_than_one(
    frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path
) -> None:
    """A captured one beside one's own, in any order, in headers of their own or in one; nor the right one twice."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path, **PATIENT)
    numbers = count(1)

    def status(*signed: str) -> str:
        body = b'[{"Id":%d}]' % next(numbers)
        right = signature.sign(body, SECRET)
        code, answer = serving.post(body, signed=[one.format(right=right, wrong="0" * 64) for one in signed])
        assert code == 202
        return answer["events"][0]["status"]

    assert status("{right}") == "accepted"
    doubted: list[tuple[str, ...]] = [
        ("{right}", "{wrong}"),
        ("{wrong}", "{right}"),
        ("{right}", "{right}"),
        ("{right}", ""),
        ("", "{right}"),
    ]
    doubted += [("{right}, {wrong}",), ("{wrong},{right}",), ("{right}{right}",), ("{wrong}",), ()]
    assert [status(*signed) for signed in doubted] == ["quarantined"] * len(doubted)


def test_receivers_share_what_they_have_seen_of_signatures(
    frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path
) -> None:
    """A secret that signed raw at one of them is not believed in the other reading at the other one."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    one, other = (_serve(frontdesk, redis_url, tmp_path, **PATIENT) for _ in range(2))
    numbers = count(1)

    def status(serving: Serving, reading: signature.Reading) -> str:
        body = f'[{{"Id":{next(numbers)},"Name":"Zoë"}}]'.encode()
        return serving.post(body, signed=[signature.sign(body, SECRET, reading)])[1]["events"][0]["status"]

    assert status(one, "raw") == "accepted"
    assert status(one, "dotnet-ascii") == "quarantined"
    wait_until(lambda: status(other, "dotnet-ascii") == "quarantined", "the other one to hear of it")
    assert status(other, "raw") == "accepted"
    with valkey.client() as client:
        assert client.hgetall(keys.READINGS) == {b"any": b"raw"}
    assert status(one, "raw") == "accepted"


def test_what_is_wrong_is_told_while_it_is_ready(
    frontdesk: StartFrontdesk, start_valkey: StartValkey, tmp_path: Path
) -> None:
    """A spool that cannot be used, a server that loses events, a store that was emptied; each until it is mended."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "spool").write_text("in the way")
    server = start_valkey()
    serving = _serve(frontdesk, server.url, tmp_path, **PATIENT)
    settings = _settings(server.url, tmp_path)

    def ready() -> dict[str, Any]:
        with urllib.request.urlopen(f"{serving.url}/readyz", timeout=20) as answer:
            told: dict[str, Any] = orjson.loads(answer.read())
        return told

    def alerts() -> dict[str, str]:
        rows = [orjson.loads(line) for line in run("alerts", "--json", settings=settings).out.splitlines()]
        return {row["kind"]: row["text"] for row in rows}

    with server.client() as client:
        wait_until(lambda: client.get(keys.MARK), "the store to be known")
        client.config_set("appendonly", "no")
        client.flushall()
        told = wait_until(lambda: found if len(found := ready().get("degraded", [])) == 3 else None, "all of it")
        assert "Not a directory" in told[0] or "File exists" in told[0]
        assert "lost all that it held" in told[1]
        assert "append-only" in told[2]
        serving.process.wait_for(r'"reason":.*"event":"spool.unavailable"|"event":"spool.unavailable".*"reason":')
        found = wait_until(lambda: seen if len(seen := alerts()) == 3 else None, "the report of the spool")
        assert found.keys() == {"spool-unusable", "server", "lost"}
        for sample in (b"frontdesk_spool_unusable 1.0", b'server_unfit{what="append-only"} 1.0', b"store_losses 1.0"):
            assert sample in serving.metrics()

        (tmp_path / "var" / "spool").unlink()
        client.config_set("appendonly", "yes")
        run("alerts", "--acknowledge", settings=settings)
        wait_until(lambda: ready() == {"ready": True, "reason": None}, "all to be well")
        wait_until(lambda: alerts() == {}, "the report of the spool")


def test_it_starts_without_a_store_and_gives_it_later_what_came(
    frontdesk: StartFrontdesk, start_valkey: StartValkey, tmp_path: Path
) -> None:
    """Ready, because it can keep events on its own disk; the store finds all of them when it is there."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    port = free_port()
    serving = _serve(frontdesk, f"redis://127.0.0.1:{port}/0", tmp_path)
    assert get(f"{serving.url}/readyz") == 200
    status, answer = serving.post(b'[{"Id":1}]')
    assert (status, answer["events"][0]["status"]) == (202, "spooled")

    server = start_valkey(port=port)

    with server.client() as client:
        archive = EventReader(client)
        wait_until(lambda: archive.many([answer["events"][0]["id"]]), "the spooled event")
    wait_until(lambda: serving.post(b'[{"Id":2}]')[1]["events"][0]["status"] != "spooled", "a receiver that found it")


def test_without_store_and_disk_it_is_not_ready(frontdesk: StartFrontdesk, tmp_path: Path) -> None:
    """503 with a time to come back, and alive."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "file").write_text("in the way")
    url = f"redis://127.0.0.1:{free_port()}/0"
    serving = _serve(frontdesk, url, tmp_path, data_dir=str(tmp_path / "file"))

    assert get(f"{serving.url}/readyz") == 503
    assert get(f"{serving.url}/healthz") == 200
    assert serving.post(b'[{"Id":1}]')[0] == 503


def test_an_outage_and_a_kill_lose_nothing(
    frontdesk: StartFrontdesk, start_valkey: StartValkey, tmp_path: Path
) -> None:
    """Two processes spool, tell how much, are killed with their parent, and one process drains what both have left."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    server = start_valkey()
    serving = _serve(frontdesk, server.url, tmp_path, "--processes", "2")
    server.freeze()
    answers = [serving.post(b'[{"Id":%d}]' % number)[1]["events"][0] for number in range(30)]
    assert {answer["status"] for answer in answers} == {"spooled"}
    wait_until(lambda: "frontdesk_spool_events 30.0" in _text(f"{serving.url}/metrics"), "the gauge")
    assert get(f"{serving.url}/readyz") == 200

    os.killpg(serving.process.pid, signal.SIGKILL)
    serving.process.wait()
    server.thaw()
    aside = tmp_path / "var" / "spool" / "set-aside"
    aside.mkdir()
    (aside / "row.json").write_text("{}")
    again = _serve(frontdesk, server.url, tmp_path)

    with server.client() as client:
        archive = EventReader(client)
        wait_until(lambda: len(archive.many([answer["id"] for answer in answers])) == 30, again.process.__str__)
        wait_until(lambda: client.hlen("fd:spools") == 0, again.process.__str__)
    wait_until(lambda: "frontdesk_spool_events 0.0" in _text(f"{again.url}/metrics"), "the gauge")
    wait_until(lambda: "frontdesk_spool_set_aside_files 1.0" in _text(f"{again.url}/metrics"), "what lies aside")
    assert again.process.stop() == 0
    assert list((tmp_path / "var" / "spool").glob("*.db")) == []


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def test_wrong_routes_do_not_stop_it(frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path) -> None:
    """Without a last good table events are kept unrouted; the file is followed; the last good one outlives it."""
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes: [{action: BookingCraete, handler: log}]\n")
    serving = _serve(frontdesk, redis_url, tmp_path, **PATIENT)

    def deliveries(number: int) -> list[str]:
        _, answer = serving.post(b'[{"Id":%d}]' % number)
        with valkey.client() as client:
            return [delivery.route for delivery in EventReader(client).get(answer["events"][0]["id"]).deliveries]

    assert deliveries(1) == []
    routes.write_text(ROUTES)
    serving.process.wait_for("routes.reloaded")
    assert deliveries(2) == ["tell"]
    routes.write_text("routes: 7\n")
    wait_until(lambda: serving.process.output.count("routes.refused") >= 2, "a refusal of the edited file")
    assert deliveries(3) == ["tell"]
    assert serving.process.stop() == 0
    serving = _serve(frontdesk, redis_url, tmp_path, data_dir=str(tmp_path / "elsewhere"), **PATIENT)
    assert deliveries(4) == ["tell"]


@pytest.mark.parametrize(
    ("settings", "arguments", "sentence"),
    [
        ({"url_keys": ""}, (), "FRONTDESK_URL_KEYS is not set; deploy/env.example says what it is for"),
        ({"port": "abc"}, (), "FRONTDESK_PORT: "),
        ({"redis_url": "http://hush@x"}, (), "FRONTDESK_REDIS_URL: "),
        ({"host": "192.0.2.1"}, (), "cannot listen on 192.0.2.1 port 0: this machine has no such address"),
        ({}, ("--processes", "0"), "--processes 0: must be between 1 and 64"),
        ({}, ("--processes", "many"), "Invalid value "),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, settings: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    """No start, exit status 1, no secret, no traceback."""
    ran = run("serve", *arguments, settings=_settings("redis://127.0.0.1:1/0", tmp_path, **settings))

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"frontdesk: {sentence}")
    assert (ran.err.count("\n"), "hush" in ran.err) == (1, False)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, processes: str) -> None:
    """For several processes too: they do not share a port with strangers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = _settings("redis://127.0.0.1:1/0", tmp_path, port=str(port))

        ran = run("serve", "--processes", processes, settings=settings)

    assert ran.status == 1
    assert ran.err == (
        f"frontdesk: cannot listen on 127.0.0.1 port {port}: something else listens there already; stop it, or set "
        "FRONTDESK_PORT\n"
    )


def test_several_processes_share_a_port_and_their_counts(
    frontdesk: StartFrontdesk, redis_url: str, tmp_path: Path
) -> None:
    """A scrape of any of them counts all; SIGTERM ends all of them, with status 0."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path, "--processes", "2")
    wait_until(lambda: serving.process.output.count("receiver.started") == 2, "two processes")
    for number in range(60):
        assert serving.post(b'[{"Id":%d}]' % number)[0] == 202

    def counted() -> list[bytes]:
        pattern = rb'^frontdesk_ingest_requests_total{action="BookingCreate",answer="202"} (\S+)'
        return re.findall(pattern, serving.metrics(), re.MULTILINE)

    # A process adds up its own counts when it is asked, and for the others to tell once a second.
    wait_until(lambda: {tuple(counted()) for _ in range(10)} == {(b"60.0",)}, "the counts of both")
    assert serving.process.stop() == 0
    assert serving.process.output.count("receiver.stopped") == 2


def test_every_receiver_tells_what_the_last_audit_found(
    frontdesk: StartFrontdesk, redis_url: str, tmp_path: Path
) -> None:
    """Nothing while nobody has swept; then how many events are unaccounted for, and how old that answer is."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path)
    lost = entry()
    with connection.connect(redis_url) as client:
        keep_all(client, lost)
        client.delete(keys.state(lost.envelope.id))
        before = serving.metrics()

        Maintenance(client).turn()

    assert b"frontdesk_unaccounted_events" not in before
    assert b"\nfrontdesk_unaccounted_events 1.0\n" in serving.metrics()
    assert re.search(rb"^frontdesk_audit_age_seconds \d", serving.metrics(), re.MULTILINE)


def test_a_process_that_cannot_start_ends_the_whole(frontdesk: StartFrontdesk, redis_url: str, tmp_path: Path) -> None:
    """And is told: the exit status is not 0."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    broken = "import sys\nif '--listener' in sys.orig_argv and '-I' not in sys.orig_argv: sys.exit('no start today')\n"
    (tmp_path / "sitecustomize.py").write_text(broken)
    settings = _settings(redis_url, tmp_path, PYTHONPATH=str(tmp_path))

    process = frontdesk("serve", "--processes", "2", settings=settings)

    assert process.wait() == 1
    assert "no start today" in process.output
    assert re.search("receiver-[12] cannot start", process.output)


def test_sigterm_under_load_loses_nothing(
    frontdesk: StartFrontdesk, valkey: Valkey, redis_url: str, tmp_path: Path
) -> None:
    """Every event that was answered 202 is in the store, and the exit status is 0."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    serving = _serve(frontdesk, redis_url, tmp_path, **PATIENT)
    kept: list[str] = []
    statuses: set[int] = set()

    def post(first: int) -> None:
        for number in range(first, first + 100_000):
            try:
                status, answer = serving.post(b'[{"Id":%d}]' % number)
            except (OSError, http.client.HTTPException):
                return
            statuses.add(status)
            kept.extend(event["id"] for event in answer["events"])

    posting = [threading.Thread(target=post, args=(first * 100_000,), daemon=True) for first in range(4)]
    for thread in posting:
        thread.start()
    wait_until(lambda: len(kept) > 200, "two hundred events")

    assert serving.process.stop() == 0
    for thread in posting:
        thread.join(20)
    assert statuses == {202}
    with valkey.client() as client:
        assert client.exists(*(f"fd:e:{event_id}" for event_id in kept)) == len(kept)
