"""The load balancer lets hooks through and nothing else, hides tokens, and asks the other receiver when one is gone."""

import contextlib
import http.client
import http.server
import os
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import program
from tests.support.processes import Process, free_port, wait_until

pytestmark = pytest.mark.needs("nginx")

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx.conf"
HOOK = "/hooks/1001/BookingCreate/0123456789abcdef0123456789abcdef"


class Upstream(http.server.ThreadingHTTPServer):
    """A server behind the balancer that keeps what reaches it and answers what it is told to."""

    daemon_threads = True

    def __init__(self, status: int = 202) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = status
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Count a connection, and take it."""
        self.connections += 1
        return True


class Answer(http.server.BaseHTTPRequestHandler):
    """One request to an Upstream."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_POST(self) -> None:
        """Keep it and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815  # the name it has there

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name it has there
        """Stay silent."""


class Balancer:
    """nginx with the shipped configuration, but for its addresses, in front of two upstreams."""

    def __init__(self, folder: Path, *, optional: str = "nothing") -> None:
        """*optional*: what is shipped behind a sign and is to be switched on, as a pattern."""
        self.upstreams = (Upstream(), Upstream())
        self.port, self.tls_port = free_port(), free_port()
        text = re.sub(rf"# (?=({optional})\b)", "", CONFIG.read_text())
        text = text.replace("listen 8443 ", f"listen 127.0.0.1:{self.tls_port} ").replace(
            "/etc/nginx/tls/", f"{folder}/"
        )
        text = text.replace("10.0.0.0/8", "127.0.0.1")
        text = text.replace("/run/nginx/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log")
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{self.port};")
        if os.geteuid() == 0:  # else its workers, who are nobody then, cannot reach the test's folder
            text = "user root;\n" + text
        for number, upstream in enumerate(self.upstreams, 1):
            text = text.replace(f"receiver-{number}:8000", f"127.0.0.1:{upstream.server_port}")
        self.log = folder / "access.log"
        (folder / "nginx.conf").write_text(text)
        argv = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        self.process = Process(argv, log=folder / "nginx.log")
        self.process.wait_for_http(f"http://127.0.0.1:{self.port}/", status=404)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """Return the status of a request through the balancer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            return client.getresponse().status
        finally:
            client.close()

    def close(self) -> None:
        """End it, and the servers behind it."""
        self.process.end()
        for upstream in self.upstreams:
            upstream.shutdown()
            upstream.server_close()

    @property
    def seen(self) -> list[tuple[str, dict[str, str], bytes]]:
        """What reached either upstream."""
        return [request for upstream in self.upstreams for request in upstream.seen]


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Balancer]:
    """A running balancer."""
    with contextlib.closing(Balancer(tmp_path)) as started:
        yield started


def test_a_hook_arrives_as_it_was_sent(balancer: Balancer) -> None:
    """Path and bytes untouched: the signature is over the bytes."""
    body = b'[{"Id": 1,  "FullName": "Jos\xc3\xa9"}]'

    assert balancer.ask("POST", HOOK, body, X_Nexudus_Hook_Signature="AB") == 202

    ((path, headers, arrived),) = balancer.seen
    assert (path, arrived, headers["x-nexudus-hook-signature"]) == (HOOK, body, "AB")


def test_a_stranger_cannot_choose_his_address(balancer: Balancer) -> None:
    """X-Forwarded-For is replaced by the address that nginx sees."""
    balancer.ask("POST", HOOK, b"[]", X_Forwarded_For="10.1.1.1")

    ((_, headers, _),) = balancer.seen
    assert headers["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthz", "/readyz", "/console", "/hooks", "/hooks/../metrics", "/hooks/%2e%2e/metrics"]
)
def test_nothing_but_hooks_is_public(balancer: Balancer, path: str) -> None:
    """Not by a path that only looks like a hook either."""
    status = balancer.ask("GET", path)

    assert status in (301, 404)
    assert balancer.seen == []


def test_the_probe_goes_through(balancer: Balancer) -> None:
    """The registrar proves with it that the public URL leads here."""
    assert balancer.ask("GET", "/hooks/-/probe?nonce=1") == 202


def test_the_token_is_not_logged(balancer: Balancer) -> None:
    """Neither whole nor at the end of a longer path, nor when an upstream fails; the business and action are."""
    balancer.ask("POST", HOOK, b"[]")
    balancer.ask("POST", HOOK + "/more?x=1", b"[]")
    for upstream in balancer.upstreams:
        upstream.status = 503
    balancer.ask("POST", HOOK, b"[]")

    told = balancer.log.read_text() + balancer.process.output
    assert '"POST /hooks/1001/BookingCreate/..." 202' in told
    assert "0123456789" not in told


def test_nothing_of_the_shape_of_a_token_is_logged(balancer: Balancer) -> None:
    """Whatever the path around it is, as in a URL that somebody has mistyped; and no line is longer than is of use."""
    token = HOOK.rpartition("/")[2]
    encoded = "".join(f"%{ord(letter):02x}" for letter in token)
    paths = (
        *("/x" + HOOK, HOOK + "/", HOOK.upper(), HOOK.replace("/", "%2F"), "/" + HOOK, "/" + token, f"/?t={token}"),
        *(f"/hooks/1001/{token}", f"/hooks/{token}/a/b", f"/hooks/1001/A/?{token}", f"/hooks/1001/A/{encoded}"),
        *(f"/hooks/1001/A/{encoded.replace('%', '%25')}", f"/%0A/{token}", f"/%ff/{token}", f"/{'a/' * 51}{token}"),
        *(
            f"/{'a/' * 59}{token}",
            f"/{'a/' * 3_000}{token}",
            "/hooks/1001/NewsLetterSubscriberRemovedFromGroup/" + token,
        ),
    )
    for path in paths:
        balancer.ask("POST", path, b"[]")
    balancer.ask("A" * 5_000, "/last")

    wait_until(lambda: "... /last" in balancer.log.read_text(), "the last line")
    lines = balancer.log.read_text().splitlines()
    assert '"POST /hooks/1001/NewsLetterSubscriberRemovedFromGroup/..."' in lines[-2]
    assert max(map(len, lines)) < 300
    told = "\n".join(lines) + balancer.process.output
    assert not re.search("0123456789|abcdef|%30%31|25303132", told, re.IGNORECASE)


def test_a_body_over_the_limit_is_refused(balancer: Balancer) -> None:
    """As the receiver would, with the same limit; a byte less goes through."""
    assert balancer.ask("POST", HOOK, b"x" * (1_048_576 + 1)) == 413
    assert balancer.seen == []
    assert balancer.ask("POST", HOOK, b"x" * 1_048_576) == 202


def test_when_a_receiver_is_gone_the_other_one_is_asked(balancer: Balancer) -> None:
    """Nexudus counts no strike while one of them is restarted."""
    balancer.upstreams[0].shutdown()
    balancer.upstreams[0].server_close()

    assert [balancer.ask("POST", HOOK, b"[]") for _ in range(6)] == [202] * 6
    assert len(balancer.upstreams[1].seen) == 6


def test_when_a_receiver_says_503_the_other_one_is_asked(balancer: Balancer) -> None:
    """One whose spool is full is not the last word; a POST is repeated too, because a doubled event is one event."""
    balancer.upstreams[0].status = 503

    assert [balancer.ask("POST", HOOK, b"[1]") for _ in range(6)] == [202] * 6


def test_connections_to_receivers_are_used_again(balancer: Balancer) -> None:
    """A handshake for each event would cost more than the event."""
    for _ in range(10):
        assert balancer.ask("POST", HOOK, b"[]") == 202

    assert len(balancer.seen) == 10
    assert sum(upstream.connections for upstream in balancer.upstreams) <= 4


@pytest.mark.needs("openssl")
def test_it_can_end_tls_itself(tmp_path: Path) -> None:
    """With the lines for it switched on: TLS 1.2 and later, and the receiver is told that it was https."""
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")]
    subprocess.run(
        [*make, "-addext", "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True, timeout=60
    )
    trusting = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))

    with contextlib.closing(Balancer(tmp_path, optional="listen 8443|ssl_[a-z_]+")) as balancer:
        client = http.client.HTTPSConnection("127.0.0.1", balancer.tls_port, timeout=30, context=trusting)
        with contextlib.closing(client):
            client.request("POST", HOOK, b"[]")
            assert client.getresponse().status == 202
        ((_, headers, _),) = balancer.seen
        assert headers["x-forwarded-proto"] == "https"


def test_behind_another_balancer_the_real_client_is_known(tmp_path: Path) -> None:
    """To the log and to the receivers, with the lines for it switched on."""
    with contextlib.closing(Balancer(tmp_path, optional="set_real_ip_from|real_ip_[a-z]+")) as balancer:
        balancer.ask("POST", HOOK, b"[]", X_Forwarded_For="10.9.9.9, 203.0.113.7")

        ((_, headers, _),) = balancer.seen
        assert headers["x-forwarded-for"] == "203.0.113.7"
        wait_until(lambda: "\n203.0.113.7 " in balancer.log.read_text(), "the line of the request")


def test_a_refusal_is_not_repeated(balancer: Balancer) -> None:
    """404 of a wrong token is an answer."""
    for upstream in balancer.upstreams:
        upstream.status = 404

    assert balancer.ask("POST", HOOK, b"[]") == 404
    assert len(balancer.seen) == 1
