"""The receiver's port: never 5xx, never silence, and 202 for whatever body comes with a right token.

The receiver runs in a thread of this process, whole, so that the fuzzer sees which of its code it reaches; its store is
FRONTDESK_REDIS_URL. What was answered 202 is written to the file FUZZ_ANSWERS: whoever started this compares.
"""

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from receiver.cli.processes.serve import serve
from receiver.nexudus import hook_urls, samples, signature
from receiver.web import server
from tests.fuzz.parts import Parts

KEY = "a-key-of-the-fuzzer"
SECRET = "hush"
ACTION, BUSINESS = "BookingCreate", 1001

_PATH = hook_urls.path(KEY, BUSINESS, ACTION)
_STATUSES = {100, 200, 202, 400, 404, 405, 408, 411, 413, 414, 431}
_METHODS = ("POST", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT")
_PATHS = (f"{_PATH}/", _PATH[:-1], "/hooks/-/probe?nonce=%00x", "/healthz", "/readyz", "/metrics", "/hooks/1/%2e%2e/x")
_HARMLESS = ("Content-Type", "Content-Encoding", "X-Forwarded-For", "Host", "Cookie", "TE", signature.HEADER, "Expect")
_FRAMING = ("Connection", "Content-Length", "Transfer-Encoding", "Upgrade")
_ANSWERS_WITHIN_S = 10.0
_GLANCE_S = 0.01

_answers = Path(os.environ.get("FUZZ_ANSWERS", os.devnull))
_ports: list[int] = []


def one(data: bytes) -> None:
    """Bytes as they are, or a request of which some parts are as they must be, or one that Nexudus could send."""
    parts = Parts(data)
    kind = parts.number(8)
    if kind == 0:
        _send(parts.rest(), wait_s=_GLANCE_S)
        return
    is_right = kind > 3
    method = "POST" if is_right else _METHODS[parts.number(len(_METHODS))]
    path = _PATH if is_right else _PATHS[parts.number(len(_PATHS))]
    chunk, claimed = parts.number(40), parts.number(10)
    names = _HARMLESS if is_right else _HARMLESS + _FRAMING
    headers = [_header(parts, names) for _ in range(parts.number(6))]
    body = parts.rest()[:4_096]
    if kind % 2:
        headers.append(f"{signature.HEADER}: {signature.sign(body, SECRET)}".encode())
    length = len(body) if is_right or claimed > 2 else claimed
    headers.append(b"Transfer-Encoding: chunked" if chunk else b"Content-Length: %d" % length)
    head = b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *headers, b"Connection: close", b"", b""])
    answered = _send(head + _chunked(body, chunk), wait_s=_ANSWERS_WITHIN_S if is_right else _GLANCE_S)
    if is_right:
        assert answered == [202], (answered, head, body)


def _header(parts: Parts, names: Sequence[str]) -> bytes:
    name = names[parts.number(len(names))].encode()
    return name + b": " + re.sub(rb"[^\x20-\x7e\x80-\xff]", b"?", parts.some(parts.number(30)))


def _chunked(body: bytes, size: int) -> bytes:
    if not size:
        return body
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _send(request: bytes, *, wait_s: float) -> list[int]:
    """Send, and return the status of each answer; ids that were answered are written down."""
    received = bytearray()
    with (
        socket.create_connection(("127.0.0.1", _port()), timeout=_ANSWERS_WITHIN_S) as connection,
        contextlib.suppress(ConnectionError, TimeoutError),
    ):
        connection.sendall(request)
        connection.settimeout(wait_s)
        while piece := connection.recv(65_536):
            received += piece
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]
    assert set(statuses) <= _STATUSES, (statuses, request)
    events = [event for body in re.findall(rb'\{"events":.*?\]\}', received) for event in json.loads(body)["events"]]
    with _answers.open("a", encoding="ascii") as file:
        file.writelines(f"{event['id']} {event['status']}\n" for event in events)
    return [status for status in statuses if status != 100]


def _port() -> int:
    """Start the receiver at the first time; it ends with this process."""
    if not _ports:
        os.environ |= {
            "FRONTDESK_URL_KEYS": KEY,
            "FRONTDESK_WEBHOOK_SECRETS": SECRET,
            "FRONTDESK_LOG_FORMAT": "json",
        }
        (listener,) = server.listen("127.0.0.1", 0)
        _ports.append(listener.getsockname()[1])
        threading.Thread(target=serve, kwargs={"listener": [listener.detach()]}, daemon=True).start()
    return _ports[0]


def seeds() -> list[bytes]:
    """What Nexudus sends; the same in pieces; and what scanners send."""
    body = samples.body(ACTION, now=datetime(2026, 1, 1, tzinfo=UTC), number=1)
    whole = f"POST {_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    return [
        b"\0" + whole,
        b"\0" + whole * 3,
        *(bytes([kind, chunk, 0, 0]) + body for kind in (5, 6) for chunk in (0, 9)),
        bytes([3, 0, 0, 0, 9, 1, 10, 7]) + b"chunked" + body,
        bytes([3, 1, 2, 0, 1, 0]),
        bytes([5, 0, 0, 2, 1, 4]) + b"gzip" + bytes([7, 12]) + b"100-continue[]",
    ]
