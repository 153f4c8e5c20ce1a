"""The lines of attempts: all of them, soon, and never waited for."""

import io
import os
import threading
from dataclasses import dataclass
from typing import Any, cast

import orjson

from receiver.events import Outcome
from tests.processes import wait_until
from tests.workers.events import an_event
from workers import attemptlog
from workers.attemptlog import AttemptLog
from workers.execution import Ended
from workers.preparation import Prepared


@dataclass
class _Named:
    name: str = "announce"
    delivery_id: str = "00m5x2k1qabcdefg0001-1"


def _prepared() -> Prepared:
    named: Any = _Named()
    return Prepared(named, named, cast("Any", None), an_event())


def _lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_what_was_run_and_how_it_ended() -> None:
    """With the ids to look for, and of an error its class only."""
    stream = io.BytesIO()
    log = AttemptLog("info", "json", stream)
    log.tell(_prepared(), Ended(Outcome.FAILED, "ValueError: zoe@example.com"), 12)
    log.close()

    (line,) = _lines(stream)

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event_id": "00m5x2k1qabcdefg0001",
        "delivery_id": "00m5x2k1qabcdefg0001-1",
        "action": "BookingCreate",
        "business_id": 1001,
        "route": "announce",
        "attempt": 1,
        "outcome": "failed",
        "ms": 12,
        "error": "ValueError",
        "event": "delivery.attempted",
        "level": "info",
    }


def test_lines_of_all_threads_are_written_soon() -> None:
    """Without anybody asking for it."""
    stream = io.BytesIO()
    log = AttemptLog("info", "json", stream)

    def tell() -> None:
        for _ in range(500):
            log.tell(_prepared(), Ended(Outcome.SUCCEEDED), 1)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(_lines(stream)) == 2_000, "all lines")
    log.close()


def test_below_the_level_nothing_is_written() -> None:
    """An attempt is news, not a warning."""
    stream = io.BytesIO()
    log = AttemptLog("warning", "json", stream)
    log.tell(_prepared(), Ended(Outcome.SUCCEEDED), 1)
    log.close()

    assert stream.getvalue() == b""


def test_a_reader_that_stands_still_keeps_nobody_waiting() -> None:
    """What does not fit is dropped and counted, and the count is told when somebody reads again."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "wb") as stream:  # noqa: PTH123 - descriptors
        log = AttemptLog("info", "json", cast("Any", stream))
        for _ in range(3 * attemptlog._MOST_WAITING):
            log.tell(_prepared(), Ended(Outcome.SUCCEEDED), 1)
        found: list[dict[str, Any]] = []

        def read() -> None:
            found.extend(orjson.loads(line) for line in reader)

        reads = threading.Thread(target=read)
        reads.start()
        log.close(60.0)
        stream.close()
        reads.join(60.0)

    dropped = sum(line["lines"] for line in found if line["event"] == "log.dropped")
    assert dropped > 0
    assert dropped + sum(line["event"] == "delivery.attempted" for line in found) == 3 * attemptlog._MOST_WAITING


def test_a_log_that_is_gone_stops_nothing() -> None:
    """A closed stream is no reason to stop working."""
    stream = io.BytesIO()
    log = AttemptLog("info", "json", stream)
    stream.close()
    log.tell(_prepared(), Ended(Outcome.SUCCEEDED), 1)
    log.close()
