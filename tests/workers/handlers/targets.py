"""What forward posts to: real HTTP servers on this machine, each a thread, and sockets that send whatever they like."""

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One request as it arrived. *peer* tells connections apart."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int]


@dataclass
class Target:
    """A server, what it answers, and what it got. *judge* returns status and body for each request instead."""

    port: int
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    received: list[Received] = field(default_factory=list)
    scheme: str = "http"
    judge: Callable[[Received], tuple[int, bytes]] | None = None

    def url(self, host: str = "127.0.0.1", path: str = "/hooks") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


@contextlib.contextmanager
def a_target(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Target]:
    """Serve HTTP (with *context*, HTTPS) until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.path, headers, body, self.client_address)
            target.received.append(received)
            status, answer = target.judge(received) if target.judge else (target.status, target.body)
            self.send_response(status)
            for name, value in target.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer)

        do_PUT = do_POST  # noqa: N815 - its name

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away, or did not like our certificate, is no error of the test."""

    server = Server((host, 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    target = Target(server.server_address[1], scheme="http" if context is None else "https")
    with _serving(lambda: server.serve_forever(poll_interval=0.02)):
        yield target
        server.shutdown()
    server.server_close()


@contextlib.contextmanager
def a_socket(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections and let *talk* do what it wants with each, in a thread of its own; the port is given."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_talk, args=(talk, connection), daemon=True).start()

    with _serving(accept):
        yield listener.getsockname()[1]
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _talk(talk: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(30)
        talk(connection)


@contextlib.contextmanager
def _serving(serve: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(30)


@dataclass
class Closing:
    """What a server that closes idle connections saw: the requests that arrived on each connection, in order."""

    port: int = 0
    requests: list[list[bytes]] = field(default_factory=list)


@contextlib.contextmanager
def a_closing_target(goodbye: bytes = b"", together: int = 1, answers: bool = True) -> Iterator[Closing]:
    """Answer the first request of each connection; close it when a second one arrives, after sending *goodbye*.

    So does every server whose idle time is over just when a client sends. The first *together* requests are answered
    when all of them are there, so that they use as many connections. Without *answers*, only those are answered.
    """
    seen, barrier = Closing(), threading.Barrier(together)

    def talk(connection: socket.socket) -> None:
        mine: list[bytes] = []
        seen.requests.append(mine)
        mine.append(_request(connection))
        if len(seen.requests) <= together:
            barrier.wait(30)
        elif not answers:
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if again := _request(connection):
            mine.append(again)
            connection.sendall(goodbye)

    with a_socket(talk) as port:
        seen.port = port
        yield seen


def _request(connection: socket.socket) -> bytes:
    """Read one request with its body; nothing when the client closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (data := connection.recv(65_536)):
            return b""
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = [int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-le")]
    while len(body) < length:
        body += connection.recv(65_536)
    return head.partition(b"\r\n")[0]
