"""What keeps the way of an event short, and would be missed by nobody but those who measure."""

import signal

from tests.receiver.web.running import BOOKING, Running, Start
from tests.support.processes import DEADLINE_S

MANY = 5


def test_the_collector_looks_at_nothing_that_start_up_made(door: Running) -> None:
    """A collection that goes through all modules would stop everybody for tens of milliseconds, again and again."""
    inside = door.request("GET", "/inside").json()

    assert inside["frozen"] > 10_000
    assert inside["threshold"] >= 50_000


def test_a_request_is_one_line(start: Start) -> None:
    """An event is one, whatever else is asked is none: there is no access log beside it."""
    running = start()
    for _ in range(MANY):
        assert running.post(BOOKING).status == 202
        assert running.request("GET", "/healthz").status == 200
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(DEADLINE_S) == 0

    running.log.seek(0)
    lines = running.log.readlines()
    assert len(lines) == MANY
    assert [line["event"] for line in running.logged()] == ["request.answered"] * MANY
