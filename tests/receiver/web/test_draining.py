"""A receiver that is about to stop still answers, and parts with each connection in order."""

import signal
import time

from receiver.nexudus import hook_urls
from tests.receiver.web.doorkeeper import KEYS
from tests.receiver.web.running import Start, head, read_all, statuses
from tests.support.processes import DEADLINE_S, wait_until


def test_while_it_drains_each_answer_ends_its_connection(start: Start) -> None:
    """A load balancer opens the next one elsewhere, and sends nothing into a connection that we are closing."""
    running = start(drain_s=15)
    request = head(content_length=2) + b"[]"
    slow = head(path=hook_urls.path(KEYS[0], 2, "Slow"), content_length=11) + b'[{"Id":65}]'
    with running.connect() as kept, running.connect() as busy:
        kept.sendall(request)
        first = kept.recv(65_536)
        busy.sendall(head(content_length=2))

        running.process.terminate()
        wait_until(lambda: running.request("GET", "/readyz").status == 503)
        kept.sendall(slow)
        last = read_all(kept)
        busy.sendall(b"[]")

        assert b"connection: close" not in first
        assert statuses(last) == [202]
        assert b"connection: close" in last
        assert statuses(busy.recv(65_536)) == [202]
    assert running.process.wait(DEADLINE_S) == 0


def test_a_client_that_dawdles_does_not_hold_it_up_for_longer_than_promised(start: Start) -> None:
    """Whoever stops it kills it soon after that; what is half sent then was not answered, and comes again."""
    running = start(finish_within_s=5, limits={"body_s": 3_600})
    with running.connect() as busy:
        busy.sendall(head(content_length=2) + b"[")
        wait_until(running.is_alive)
        began = time.monotonic()
        running.process.terminate()

        assert running.process.wait(DEADLINE_S) == 0, "its body would have been waited for for an hour"
        assert time.monotonic() - began > 3, "it was waited for"


def test_a_closed_terminal_ends_it_in_order_too(start: Start) -> None:
    """SIGHUP is what remains of an SSH session that breaks: what was half sent is taken, the status is 0."""
    running = start()
    with running.connect() as busy:
        busy.sendall(head(content_length=2) + b"[")
        wait_until(running.is_alive)
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: running.request("GET", "/readyz").status == 503)
        busy.sendall(b"]")

        assert statuses(busy.recv(65_536)) == [202]
    assert running.process.wait(DEADLINE_S) == 0
