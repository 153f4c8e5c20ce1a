"""What the door answers, from outside, on a real process."""

import base64
import hashlib
import hmac
import re
import signal

import pytest

from receiver.nexudus import hook_urls, samples
from tests.receiver.web.doorkeeper import KEYS
from tests.receiver.web.running import BOOKING, Running, Start, head, read_all, statuses
from tests.support.processes import DEADLINE_S, wait_until


def test_an_event_is_taken_and_told(door: Running) -> None:
    """202 with one id and status for each record; the same again is a duplicate of the first."""
    first = door.post(b'[{"Id":77}]')
    again = door.post(b'[{"Id":77}]')

    assert first.status == 202
    assert first.headers["content-type"] == "application/json"
    (event,) = first.json()["events"]
    assert re.fullmatch("[0-9a-z]{20,32}", event["id"])
    assert event["status"] == "accepted"
    assert again.json() == {"events": [{"id": event["id"], "status": "duplicate"}]}


@pytest.mark.parametrize(
    ("body", "count"), [(b"[]", 0), (b'{"Id":801}', 1), (b'[{"Id":802},{"Id":803},{"Id":804}]', 3)]
)
def test_there_is_one_answer_for_each_record(door: Running, body: bytes, count: int) -> None:
    """None, a bare object, several."""
    answer = door.post(body)

    assert answer.status == 202
    assert [event["status"] for event in answer.json()["events"]] == ["accepted"] * count


def test_every_url_key_opens(door: Running) -> None:
    """Rotation of keys: the second one still does."""
    assert door.request("POST", hook_urls.path(KEYS[1], 5, "TeamCreated"), b"[]").status == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/hooks/1001/BookingCreate/" + "A" * 32),
        ("POST", hook_urls.path("foreign", 1001, "BookingCreate")),
        ("POST", hook_urls.path(KEYS[0], 1001, "BookingCreate").replace("1001", "1002")),
        ("POST", hook_urls.path(KEYS[0], 1001, "BookingCreate") + "/"),
        ("POST", hook_urls.path(KEYS[0], 1001, "BookingCreate").replace("/1001", "/01001")),
        ("GET", "/hooks/1001/BookingCreate/" + "A" * 32),
        ("POST", "/hooks/"),
        ("POST", "/hooks/%FF/%00/%0d%0a"),
        ("GET", "/docs"),
        ("POST", "/healthz/"),
    ],
)
def test_a_stranger_learns_nothing(door: Running, method: str, path: str) -> None:
    """A wrong token has no effect and looks like a path that does not exist."""
    before = door.kept()
    unknown = door.request("POST", "/no/such/path", BOOKING)

    answer = door.request(method, path, BOOKING)

    assert (answer.status, answer.body) == (404, b'{"error":"not found"}')
    assert list(answer.headers) == list(unknown.headers), "in the same order, too"
    assert (answer.body, answer.headers["content-type"]) == (unknown.body, unknown.headers["content-type"])
    assert door.kept() == before


def test_a_wrong_token_is_answered_before_the_body_comes(door: Running) -> None:
    """Only the head is sent; the answer comes all the same."""
    with door.connect() as connection:
        connection.sendall(head(path="/hooks/1/A/" + "x" * 32, content_length=1_000))

        assert connection.recv(65_536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_a_hook_takes_post_only(door: Running, method: str) -> None:
    """405 for the holder of a right token."""
    answer = door.request(method, hook_urls.path(KEYS[0], 1001, "BookingCreate"))

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_the_probe_proves_that_this_receiver_holds_the_key(door: Running) -> None:
    """HMAC-SHA256 of the nonce, in hex, by the first key."""
    answer = door.request("GET", "/hooks/-/probe?nonce=n0nce-1")

    assert answer.status == 200
    assert answer.body.decode() == hmac.new(KEYS[0].encode(), b"n0nce-1", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "", 400),
        ("GET", "?nonce=", 400),
        ("GET", "?nonce=1001%2FBookingCreate", 400),
        ("GET", "?nonce=1001/BookingCreate", 400),
        ("GET", "?nonce=" + "n" * 500, 400),
        ("GET", "?" + "nonce=a&" * 50, 400),
        ("GET", "?nonce=%FF", 400),
        ("POST", "?nonce=n", 405),
    ],
)
def test_the_probe_answers_nothing_else(door: Running, method: str, query: str, status: int) -> None:
    """Above all not for what tokens are made from."""
    assert door.request(method, "/hooks/-/probe" + query).status == status


@pytest.mark.parametrize(("action", "retry_after"), [("Unavailable", "5"), ("Full", "60")])
def test_what_cannot_be_kept_is_asked_for_again(door: Running, action: str, retry_after: str) -> None:
    """503 with Retry-After, when neither store nor spool takes it."""
    answer = door.post(BOOKING, action)

    assert (answer.status, answer.headers["retry-after"]) == (503, retry_after)


def test_operators_pages(door: Running) -> None:
    """Alive, ready, counted; labels stay few whatever action is posted."""
    door.post(b'[{"Id":5}]', "RobotDances")

    assert door.request("GET", "/healthz").json() == {"alive": True}
    assert door.request("GET", "/readyz").json() == {"ready": True, "reason": None}
    counts = door.request("GET", "/metrics")
    assert counts.status == 200
    assert b'frontdesk_ingest_requests_total{action="other",answer="202"}' in counts.body
    assert b'frontdesk_ingest_events_total{action="other",status="accepted"}' in counts.body
    assert b"frontdesk_ingest_seconds_bucket" in counts.body
    assert b"RobotDances" not in counts.body


def test_a_receiver_that_cannot_keep_is_not_ready(start: Start) -> None:
    """Load balancers send elsewhere; it lives all the same."""
    running = start(unready=True)

    assert running.request("GET", "/readyz").status == 503
    assert running.request("GET", "/healthz").status == 200


def test_one_line_for_each_request_and_no_secret_in_it(start: Start) -> None:
    """Status, action, ids, size, time, client; never a token, a signature or a payload."""
    running = start(trusted_proxies=["127.0.0.0/8"])
    taken = running.post(b'[{"Id":1,"Email":"zoe@example.com"}]', X_Forwarded_For="198.51.100.7, 203.0.113.9")
    running.post(b"{", X_Nexudus_Hook_Signature="AB" * 32)
    running.request("POST", "/hook/1001/BookingCreate/" + hook_urls.token(KEYS[0], 1001, "BookingCreate"))
    running.request("POST", "/hooks/1001/BookingCreate/" + "secret7890" * 4)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(DEADLINE_S) == 0

    lines = [line for line in running.logged() if line["event"] == "request.answered"]
    assert [line["status"] for line in lines] == [202, 202, 404]
    assert lines[0] | {"ms": 0, "timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "request.answered",
        "status": 202,
        "method": "POST",
        "action": "BookingCreate",
        "business_id": 1001,
        "bytes": 36,
        "events": [taken.json()["events"][0]["id"]],
        "outcome": ["accepted"],
        "client": "203.0.113.9",
        "ms": 0,
    }
    assert lines[2]["path"] == "/hooks/1001/BookingCreate/***"
    running.log.seek(0)
    written = running.log.read()
    for secret in (b"zoe", b"ABABAB", b"secret7890", hook_urls.token(KEYS[0], 1001, "BookingCreate").encode()):
        assert secret not in written


def test_samples_are_kept_byte_for_byte(start: Start) -> None:
    """From socket to keeper: the record's own bytes, its tags, its routes."""
    running = start(secrets=[[None, "s3cr3t"]])
    body = samples.body("BookingCreate", now=samples.WRITTEN, number=3)
    signature = hmac.new(b"s3cr3t", body, hashlib.sha256).hexdigest()

    running.post(body, X_Nexudus_Hook_Signature=signature)

    (kept,) = running.kept()
    assert base64.b64decode(kept["body"]) == body[1:-1]
    assert (kept["action"], kept["action_code"], kept["business_id"]) == ("BookingCreate", 6, 1001)
    assert (kept["verified_by"], kept["entity"]) == ("raw", "Booking:1400000003")
    assert (kept["routes"], kept["wanted"]) == ("0123456789abcdef", ["announce", "mirror"])


def test_sigterm_finishes_what_was_taken(start: Start) -> None:
    """What is half sent and what is being kept is answered; meanwhile it is not ready; then exit status 0."""
    running = start()
    with running.connect() as half, running.connect() as slow, running.connect() as idle:
        half.sendall(head(content_length=len(BOOKING)) + BOOKING[:5])
        slow.sendall(head(path=hook_urls.path(KEYS[0], 1, "Slow"), content_length=2) + b"{}")
        idle.sendall(head("HEAD", "/healthz"))
        assert statuses(idle.recv(65_536)) == [200]
        assert running.request("GET", "/readyz").status == 200

        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: running.request("GET", "/readyz").status == 503)
        half.sendall(BOOKING[5:])

        assert statuses(read_all(half)) == [202]
        assert statuses(read_all(slow)) == [202]
        assert read_all(idle) == b""
    assert running.process.wait(DEADLINE_S) == 0
