"""Bad input from a plain socket: a clear 4xx or a closed connection; never a 500, never a stuck or dead process."""

import contextlib
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.nexudus import hook_urls
from tests.receiver.web.doorkeeper import KEYS
from tests.receiver.web.running import BOOKING, Running, Start, head, read_all, statuses
from tests.support.processes import DEADLINE_S, wait_until

PATH = hook_urls.path(KEYS[0], 1001, "BookingCreate").encode()
CHUNKED = head(transfer_encoding="chunked")


def _exchange(door: Running, *parts: bytes) -> bytes:
    """Send parts as they are, and read the answer until the other end closes."""
    with door.connect() as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except ConnectionError:
                break
        answer = _received(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)  # else it would read on for a while, so that we can read its answer
        return answer + read_all(connection)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, [400], id="tls-on-a-plain-port"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400], id="http-2"),
        pytest.param(b"hello\r\n\r\n", [400], id="no-http"),
        pytest.param(b"POST " + PATH + b"\r\n\r\n", [400], id="http-0.9"),
        pytest.param(b"POST " + PATH + b" HTTP/1.1\r\nno colon\r\n\r\n", [400], id="header-without-colon"),
        pytest.param(b"POST " + PATH + b" HTTP/1.1\r\nA: b\x00c\r\n\r\n", [400], id="nul-in-header"),
        pytest.param(b"POST /\xff\xfe HTTP/1.1\r\n\r\n", [400], id="target-that-is-no-ascii"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", [400], id="connect"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", [404], id="options-asterisk"),
        pytest.param(head(content_length="-1"), [400], id="negative-length"),
        pytest.param(head(content_length="abc"), [400], id="length-that-is-no-number"),
        pytest.param(head(content_length="9" * 40), [400], id="length-beyond-64-bits"),
        pytest.param(head(content_length=5, Content_Length=6) + b"123456", [400], id="two-lengths"),
        pytest.param(
            head(content_length=5, transfer_encoding="chunked") + b"0\r\n\r\n", [400], id="length-and-chunked"
        ),
        pytest.param(CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", [400], id="chunk-size-that-is-no-number"),
        pytest.param(CHUNKED + b"5\r\nabcdefgh\r\n0\r\n\r\n", [400], id="chunk-longer-than-said"),
        pytest.param(CHUNKED + b"f" * 20 + b"\r\n", [400], id="chunk-size-beyond-64-bits"),
        pytest.param(b"POST /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", [414], id="long-target"),
        pytest.param(b"POST /" + b"a" * 100_000, [414], id="target-without-end"),
        pytest.param(head(x_long="a" * 10_000_000), [431], id="header-line-of-10-mb"),
        pytest.param(head()[:-2] + b"X: " + b"a" * 70_000, [431], id="header-line-without-end"),
        pytest.param(head()[:-2] + b"X-Name: value\r\n" * 6_000 + b"\r\n", [431], id="thousands-of-headers"),
        pytest.param(head()[:-2] + b"A" * 70_000, [431], id="header-name-without-end"),
    ],
)
def test_what_is_no_request_is_refused(door: Running, request_bytes: bytes, expected: list[int]) -> None:
    """One refusal, then the connection is closed; nothing is kept."""
    before = len(door.kept())

    received = _exchange(door, request_bytes)

    assert statuses(received) == expected
    assert b'{"error":"' in received
    assert len(door.kept()) == before
    assert door.is_alive()


def test_a_head_that_comes_in_small_pieces_is_bounded_too(door: Running) -> None:
    """64 KiB altogether, however it is cut."""
    received = _exchange(door, head()[:-2], *([b"X-Piece: " + b"p" * 1_000 + b"\r\n"] * 80))

    assert statuses(received) == [431]


def test_half_a_request_is_not_taken(door: Running) -> None:
    """The other end goes away in the middle of the head, or of the body: nothing is kept, nobody is answered."""
    before = len(door.kept())
    for part in (head()[:30], head(content_length=len(BOOKING)) + BOOKING[:-1], CHUNKED + b"2\r\n[]\r\n"):
        with door.connect() as connection:
            connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)

            assert read_all(connection) == b""
    assert len(door.kept()) == before
    assert door.is_alive()


@pytest.mark.parametrize("silence", [b"", b"\r\n", b"POST /hooks", head()[:-2]])
def test_a_slow_head_is_closed(hasty: Running, silence: bytes) -> None:
    """Who sent nothing is closed without a word, who began is told."""
    with hasty.connect() as connection:
        connection.sendall(silence)

        assert statuses(read_all(connection)) == ([408] if silence else [])


@pytest.mark.parametrize("part", [head(content_length=100), head(content_length=100) + b"[", CHUNKED + b"1\r\n["])
def test_a_slow_body_is_answered_408(hasty: Running, part: bytes) -> None:
    """And nothing of it is kept."""
    before = len(hasty.kept())

    assert statuses(_exchange(hasty, part)) == [408]
    assert len(hasty.kept()) == before


def test_a_body_that_trickles_is_slow_too(hasty: Running) -> None:
    """The limit is on the whole body, not on the pauses in it."""
    with hasty.connect() as connection:
        connection.settimeout(0.2)
        connection.sendall(head(content_length=10_000))
        received = b""
        for _ in range(100):
            try:
                connection.sendall(b" ")
                received += connection.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if received:
                break

    assert statuses(received) == [408]


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(head(content_length=70_000), id="by-its-length"),
        pytest.param(head(content_length="9" * 18), id="by-an-absurd-length"),
        pytest.param(CHUNKED + b"ffff0\r\n" + b"x" * 70_000, id="while-reading"),
    ],
)
def test_a_body_over_the_limit_is_refused_before_it_is_whole(door: Running, request_bytes: bytes) -> None:
    """413 at once; the rest is never waited for."""
    with door.connect() as connection:
        connection.sendall(request_bytes)

        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_sender_of_too_much_can_read_why(door: Running, connection: str) -> None:
    """The whole body is sent before the answer is read: the connection is not reset under it."""
    assert door.post(b"[" + b" " * 5_000_000 + b"]", connection=connection).status == 413


def test_a_connection_that_is_to_close_is_closed_by_the_end_of_what_was_refused(door: Running) -> None:
    """Not before, which would reset it."""
    path = PATH.decode() + "x"
    with door.connect() as connection:
        connection.sendall(head(path=path, content_length=2, connection="close"))
        answer = read_all(connection)
        for piece in (b"[", b"]"):
            connection.sendall(piece)
            assert door.is_alive()  # by now a reset would have come
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    assert statuses(answer) == [404]
    assert b"connection: close" in answer


def test_a_body_of_the_limit_is_taken(door: Running) -> None:
    """The limit is 65,536 bytes here."""
    assert door.post(b"[" + b" " * 65_534 + b"]").status == 202
    assert door.post(b"[" + b" " * 65_535 + b"]").status == 413


def test_chunked_bodies_are_taken(door: Running) -> None:
    """With extensions and trailers, in pieces of one byte."""
    with door.connect() as connection:
        connection.sendall(CHUNKED)
        for byte in b'[{"Id":9001}]':
            connection.sendall(b"1;ext=a\r\n" + bytes([byte]) + b"\r\n")
        connection.sendall(b"0\r\nTrailer: x\r\n\r\n")

        assert connection.recv(65_536).startswith(b"HTTP/1.1 202 ")


def test_expect_100_continue_is_honoured(door: Running) -> None:
    """.NET may ask before it sends a body."""
    with door.connect() as connection:
        connection.sendall(head(content_length=2, expect="100-continue"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"[]")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 202 ")


def test_pipelined_requests_are_answered_in_order(door: Running) -> None:
    """A hundred in one go, the slow one first, then one that ends the connection."""
    slow = head(path=hook_urls.path(KEYS[0], 1, "Slow"), content_length=2) + b"[]"
    many = b"".join(
        head(content_length=len(body)) + body for body in (b'[{"Id":%d}]' % number for number in range(5_000, 5_100))
    )
    last = head(path="/hooks/none", connection="close", content_length=0)

    received = _exchange(door, slow + many + last)

    assert statuses(received) == [202] * 101 + [404]


@pytest.mark.parametrize("junk", [b"junk\r\n\r\n", head()[:-2] + b"X: " + b"a" * 300_000])
def test_junk_behind_a_request_does_not_cost_its_answer(door: Running, junk: bytes) -> None:
    """The request before it is taken, kept and answered; then the connection is closed."""
    received = _exchange(door, head(content_length=2) + b"[]" + junk)

    assert statuses(received)[0] == 202
    assert statuses(received)[1:] in ([], [400], [431])
    assert door.is_alive()


def test_an_upgrade_is_not_an_exception(door: Running) -> None:
    """Websockets are not spoken here."""
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "Sec_WebSocket_Key": "x", "Sec_WebSocket_Version": "13"}

    with door.connect() as connection:
        connection.sendall(head("GET", "/hooks/x", **upgrade))

        assert connection.recv(65_536).startswith(b"HTTP/1.1 404 ")


UPGRADE = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAARAAAAAAAIAAAAA"}


@pytest.mark.parametrize("size", [1, 40, 100_000])
def test_an_offer_of_http2_does_not_cost_the_body(door: Running, size: int) -> None:
    """`curl --http2` and Java's client offer it with every first request; we go on with HTTP/1.1, as both allow."""
    before = len(door.kept())
    bodies = [b'[{"Id":%d}]' % (6_000 + 10 * size + number) for number in range(3)]
    stream = b"".join(head(content_length=len(body), **UPGRADE) + body for body in bodies)
    stream += head(transfer_encoding="chunked", connection="close, Upgrade", upgrade="h2c") + b"2\r\n[]\r\n0\r\n\r\n"

    received = _exchange(door, *(stream[at : at + size] for at in range(0, len(stream), size)))

    assert statuses(received) == [202] * 4
    assert received.count(b'"accepted"') == len(door.kept()) - before == 3


def test_whoever_only_stops_sending_is_answered(door: Running) -> None:
    """Half a connection is enough to read an answer by; `nc -N` works so. Half a request is not taken."""
    slow = head(path=hook_urls.path(KEYS[0], 2, "Slow"), content_length=2) + b"[]"
    later = head(path=hook_urls.path(KEYS[0], 2, "Slow"), content_length=11) + b'[{"Id":65}]'
    page = head("GET", "/healthz")
    with door.connect() as connection:
        connection.sendall(later + page + slow)
        connection.shutdown(socket.SHUT_WR)

        assert statuses(read_all(connection)) == [202, 200, 202]
    with door.connect() as connection:
        connection.sendall(head(content_length=2) + b"[")
        connection.shutdown(socket.SHUT_WR)

        assert read_all(connection) == b""


def test_what_was_answered_is_what_is_noted(start: Start) -> None:
    """A body that was too slow is counted and logged as the 408 it got, one that its sender broke off as 499."""
    running = start(limits={"body_s": 1.0, "farewell_s": 0.5})
    assert statuses(_exchange(running, head(content_length=100))) == [408]
    assert statuses(_exchange(running, CHUNKED + b"zz\r\n")) == [400]
    with running.connect() as connection:
        connection.sendall(head(content_length=100) + b"[")
    wait_until(lambda: b'answer="499"' in running.request("GET", "/metrics").body)

    counts = running.request("GET", "/metrics").body.decode()
    running.process.terminate()
    running.process.wait(DEADLINE_S)

    for status in (400, 408, 499):
        assert f'frontdesk_ingest_requests_total{{action="BookingCreate",answer="{status}"}} 1.0' in counts
    assert [line["status"] for line in running.logged() if line["event"] == "request.answered"] == [408, 400, 499]


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"{", {}, "not JSON"),
        (b"", {}, "an empty body"),
        (b"[1]", {}, "other than objects"),
        (b'[{"a":"\xff"}]', {}, "not JSON"),
        (b'[{"a":NaN}]', {}, "not JSON"),
        (b'[{"a":1e999}]', {}, "infinity"),
        (b'[{"Id":1,"Id":6006}]', {}, "the same key twice"),
        (b"[" * 10_000 + b"]" * 10_000, {}, "nested deeper"),
        (b"\x1f\x8b\x08\x00\x00", {"Content-Encoding": "gzip"}, "compressed ('gzip')"),
        (b"[]", {"Content-Encoding": "\xe9vil"}, "compressed"),
    ],
)
def test_what_cannot_be_read_is_set_aside(door: Running, body: bytes, headers: dict[str, str], reason: str) -> None:
    """202 and one quarantined event, with the whole body and the reason: Nexudus must not count a failure."""
    answer = door.request("POST", PATH.decode(), body, headers)

    assert answer.status == 202
    (event,) = answer.json()["events"]
    kept = next(kept for kept in door.kept() if kept["id"] == event["id"])
    assert event["status"] == "quarantined"
    assert reason in kept["quarantine"]


def test_connections_are_bounded(start: Start) -> None:
    """Above the limit a new one is closed at once when all are promptly sending something."""
    running = start(limits={"connections": 5, "head_s": 60, "prompt_s": 60})
    held = [running.connect() for _ in range(5)]
    for connection in held:
        connection.sendall(head(content_length=2))
        connection.sendall(b"[")
    wait_until(lambda: _is_refused(running))

    held[0].sendall(b"]")

    assert held[0].recv(65_536).startswith(b"HTTP/1.1 202 ")
    assert not _is_refused(running)
    for connection in held[1:]:
        connection.sendall(b"]")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 202 ")
        connection.close()
    held[0].close()


def test_idle_connections_make_room(start: Start) -> None:
    """A stranger cannot shut others out by keeping connections open: the one that is idle for longest is closed."""
    running = start(limits={"connections": 3})
    with running.connect() as first, running.connect() as second, running.connect() as third:
        for connection in (first, second, third):
            connection.sendall(head("HEAD", "/healthz"))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")

        assert not _is_refused(running)

        assert read_all(first) == b""
        second.sendall(head("HEAD", "/healthz"))
        assert second.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(b"", id="silent"),
        pytest.param(head()[:-2], id="head"),
        pytest.param(head(content_length=2) + b"[", id="body"),
        pytest.param(head(path="/hooks/none", content_length=2), id="body-of-what-is-answered"),
        pytest.param(b"junk\r\n\r\n", id="refused-but-not-gone"),
    ],
)
def test_who_dawdles_makes_room_for_an_event(start: Start, half: bytes) -> None:
    """Half-sent requests fill it, again and again: each event is taken, and the oldest of them go."""
    running = start(limits={"connections": 3, "prompt_s": 0, "head_s": 600, "body_s": 600, "farewell_s": 60})
    held = []
    for _ in range(9):
        held.append(running.connect())
        held[-1].sendall(half)
        assert running.post(BOOKING).status == 202
    wait_until(lambda: all(_is_gone(connection) for connection in held[:6]))
    for connection in held:
        connection.close()


def test_idle_connections_go_before_bodies_and_after_heads(start: Start) -> None:
    """Who is owed an answer does not go at all."""
    running = start(limits={"connections": 4, "prompt_s": 0, "head_s": 600, "body_s": 600})
    slow = head(path=hook_urls.path(KEYS[0], 3, "Slow"), content_length=11) + b'[{"Id":77}]'
    held = [running.connect() for _ in range(3)]
    held[0].sendall(head(content_length=2) + b"[")
    held[1].sendall(head("HEAD", "/healthz"))
    assert held[1].recv(65_536).startswith(b"HTTP/1.1 200 ")
    held[2].sendall(head()[:-2])
    owed = running.connect()
    owed.sendall(slow * 400)  # two hundred seconds
    order = []
    for _ in range(3):
        before = [connection for connection in held if connection not in order]
        newcomer = running.connect()
        newcomer.sendall(slow * 400)
        wait_until(lambda left=before: any(_is_gone(connection) for connection in left))  # type: ignore[misc]
        order += [connection for connection in before if _is_gone(connection)]
        held.append(newcomer)
    answer = owed.recv(65_536)
    for connection in (owed, *held):
        connection.close()

    assert order == [held[2], held[1], held[0]]
    assert statuses(answer)[:1] == [202]


def _is_gone(connection: socket.socket) -> bool:
    """Whether the other end has closed it; what it said before is read."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def _is_refused(running: Running) -> bool:
    with running.connect() as another:
        try:
            another.sendall(head("HEAD", "/healthz", connection="close"))
            return read_all(another) == b""
        except ConnectionError:
            return True


def test_who_does_not_read_answers_is_closed(start: Start) -> None:
    """A flood of pipelined requests whose answers are left to pile up."""
    running = start(limits={"unread_answer_s": 1.0})
    with running.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(1.0)
        burst = head("GET", "/metrics") * 200

        def is_closed() -> bool:
            try:
                connection.sendall(burst)
            except TimeoutError:
                return False
            except ConnectionError:
                return True
            return False

        wait_until(is_closed)
    assert running.is_alive()


_PIECES = st.sampled_from(
    [
        head(content_length=2) + b"[]",
        head(content_length=13) + b'[{"Id":"x"}]\n',
        CHUNKED,
        b"0\r\n\r\n",
        b"5\r\nabcde\r\n",
        b"\r\n",
        b"POST / HTTP/1.1\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"X-Nexudus-Hook-Signature: \xff\xfe\r\n",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_PIECES | st.binary(max_size=40), min_size=1, max_size=6), st.booleans())
def test_any_bytes_are_answered_or_closed(door: Running, parts: list[bytes], at_once: bool) -> None:
    """Pieces of requests in any order, cut anywhere: no 500, and the process goes on."""
    with door.connect() as connection:
        try:
            for part in [b"".join(parts)] if at_once else parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        received = read_all(connection)

    assert all(status < 500 for status in statuses(received))
    assert door.process.poll() is None
