"""`rediss://`: a CA of one's own, a client certificate, an ACL user. The server is a real one behind a TLS listener."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from receiver.storage.redis import connection
from receiver.storage.redis.raw_connection import Wires
from tests.conftest import program
from tests.support.processes import Valkey

pytestmark = pytest.mark.needs("openssl")


class Listener(threading.Thread):
    """Takes TLS connections of clients that show a certificate, and passes their bytes to the server's socket."""

    def __init__(self, behind: str, context: ssl.SSLContext) -> None:
        super().__init__(daemon=True)
        self._behind = behind
        self._tls = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve until closed."""
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with (
            peer,
            contextlib.suppress(OSError),
            self._tls.wrap_socket(peer, server_side=True) as client,
            socket.socket(socket.AF_UNIX) as server,
        ):
            server.connect(self._behind)
            # Redis speaks in turns: what a client sends is answered before it sends more.
            while data := client.recv(65536):
                server.sendall(data)
                client.sendall(server.recv(65536))

    def close(self) -> None:
        """Take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(10)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and server.pem and client.pem signed by it, each with its key."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run([program("openssl"), *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA")
    for name in ("server", "client"):
        (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", "extensions", "-out", f"{name}.pem"),
        )
    return folder


@pytest.fixture
def listener(valkey: Valkey, redis_url: str, certificates: Path) -> Iterator[Listener]:
    """TLS in front of this test's server; it asks for a certificate of the CA. A user `desk` may sign in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # asks no more of the CA than Redis and Valkey do
    context.load_verify_locations(certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with valkey.client() as client:
        client.acl_setuser("desk", enabled=True, passwords=["+p@ss/word"], keys="*", commands=["+@all"])
        started = Listener(str(client.connection_pool.connection_kwargs["path"]), context)
        started.start()
        yield started
        started.close()
        client.acl_deluser("desk")


def _url(listener: Listener, certificates: Path, *, ca: bool = True, client: bool = True) -> str:
    options = [f"ssl_ca_certs={certificates}/ca.pem"] if ca else []
    options += [f"ssl_certfile={certificates}/client.pem", f"ssl_keyfile={certificates}/client.key"] if client else []
    return f"rediss://desk:p%40ss%2Fword@127.0.0.1:{listener.port}/0?{'&'.join(options)}"


@pytest.fixture(autouse=True, params=["as it is", "as of 3.13"])
def strictness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test with this Python's own contexts, and with what those of 3.13 ask for besides."""
    if request.param == "as it is":
        return
    make = ssl.create_default_context

    def strict() -> ssl.SSLContext:
        context = make()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


def test_the_ca_is_an_ordinary_one(certificates: Path) -> None:
    """As `openssl req -x509` makes them: it does not say what its key is for."""
    told = subprocess.run(
        [program("openssl"), "x509", "-in", certificates / "ca.pem", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "CA:TRUE" in told.stdout
    assert "Key Usage" not in told.stdout


def test_a_name_that_the_certificate_does_not_have_is_refused(listener: Listener, certificates: Path) -> None:
    """Whoever has signed it: it is 127.0.0.1's, not localhost's."""
    url = _url(listener, certificates).replace("@127.0.0.1:", "@localhost:")
    with connection.connect(url) as client, pytest.raises(redis.ConnectionError, match="not valid for 'localhost'"):
        client.ping()


def test_a_client_shows_its_certificate_and_signs_in(listener: Listener, certificates: Path) -> None:
    """CA, certificate and key by the URL's options, user and password before the @."""
    with connection.connect(_url(listener, certificates)) as client:
        client.set("key", "value")

        assert (client.get("key"), client.acl_whoami()) == (b"value", "desk")


def test_an_async_client_does_the_same(listener: Listener, certificates: Path) -> None:
    """On an event loop."""

    async def ask() -> object:
        async with connection.connect_async(_url(listener, certificates)) as client:
            await client.set("key", "value")
            return await client.get("key")

    assert asyncio.run(ask()) == b"value"


def test_a_wire_does_the_same(listener: Listener, certificates: Path) -> None:
    """The connection of the hot path, taken over from the client that made it."""

    async def ask() -> list[object]:
        async with connection.connect_async(_url(listener, certificates)) as client:
            wires = Wires(client.connection_pool)
            try:
                return [await wires.ask(("ACL", "WHOAMI")) for _ in range(2)]
            finally:
                await wires.close()

    assert asyncio.run(ask()) == [[b"desk"]] * 2


@pytest.mark.parametrize(("ca", "client"), [(False, True), (True, False)], ids=["unknown-ca", "no-certificate"])
def test_without_the_right_papers_nothing_is_said(
    listener: Listener, certificates: Path, ca: bool, client: bool
) -> None:
    """A server of another CA is not believed, and a server that wants a certificate takes nobody without."""
    with (
        connection.connect(_url(listener, certificates, ca=ca, client=client)) as connected,
        pytest.raises(redis.ConnectionError) as caught,
    ):
        connected.ping()

    assert "p@ss" not in str(caught.value)
