"""The sender does what Nexudus does: the same body again until somebody takes it; and it writes everything down."""

import contextlib
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from receiver.nexudus import signature
from tests.faults import load
from tests.faults.load import Orders
from tests.support.processes import Process, environment, wait_until


class _Receiver(ThreadingHTTPServer):
    """Takes each number at its third try: first it answers 503, then nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.bodies: defaultdict[int, list[bytes]] = defaultdict(list)
        self.signed: Counter[bool] = Counter()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        number: int = orjson.loads(body)[0]["Id"]
        self.server.bodies[number].append(body)
        self.server.signed[signature.verify(body, self.headers[signature.HEADER], ["hush"]) is not None] += 1
        tries = len(self.server.bodies[number])
        if tries == 2:
            self.close_connection = True
            return
        answer = orjson.dumps({"events": [{"id": f"id-{number}", "status": "accepted"}]})
        self.send_response(202 if tries > 2 else 503)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    """A receiver that is hard to please."""
    with _Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_each_event_is_sent_until_it_is_taken(receiver: _Receiver, tmp_path: Path) -> None:
    """Under one signed body; one number in two once more after that; SIGTERM sees through what has begun."""
    answers = tmp_path / "answers"
    orders = Orders(receiver.server_address[1], "key", "hush", str(answers), rate=40.0, echo_every=2)
    argv = [sys.executable, "-m", "tests.faults.load", orders.argument()]
    sender = Process(argv, log=tmp_path / "log", environ=environment())
    with contextlib.ExitStack() as stack:
        stack.callback(sender.end)
        wait_until(lambda: any(answer.status == 202 for answer in load.read(answers)), "the first 202")
        sender.signal(signal.SIGTERM)
        assert sender.wait() == 0

    written = list(load.read(answers))
    first = min(answer.number for answer in written)
    for number, bodies in receiver.bodies.items():
        tries = [answer.status for answer in written if answer.number == number and not answer.echo]
        echoes = [answer.event_id for answer in written if answer.number == number and answer.echo]
        assert tries == [503, 0, 202]
        assert echoes == [f"id-{number}"] * ((number - first) % 2 == 0)
        assert len(set(bodies)) == 1
    assert receiver.signed[False] == 0
    assert len(receiver.bodies) > 1
