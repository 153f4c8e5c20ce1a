"""The lines of attempts: all of them, and never waited for."""

import threading
from dataclasses import dataclass
from typing import Any, cast

from receiver.core.events import Outcome
from receiver.process.line_writer import LineWriter
from tests.support.handled import an_event
from tests.support.lines import objects, written
from workers.run.attempt_log import AttemptLog
from workers.run.delivery_loader import LoadedDelivery
from workers.run.execution import AttemptResult


@dataclass
class _Named:
    name: str = "announce"
    delivery_id: str = "00m5x2k1qabcdefg0001-1"


def _loaded() -> LoadedDelivery:
    named: Any = _Named()
    return LoadedDelivery(named, named, cast("Any", None), an_event())


def test_a_line_says_what_was_run_and_how_it_ended() -> None:
    """With the ids to look for, and of an error its class only."""

    def tell(writer: LineWriter) -> None:
        AttemptLog("info", "json", writer).write(
            _loaded(), AttemptResult(Outcome.FAILED, "ValueError: zoe@example.com"), 12
        )

    (line,) = objects(written(tell))

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


def test_lines_of_all_threads_are_written() -> None:
    """However many threads there are."""

    def tell(writer: LineWriter) -> None:
        log = AttemptLog("info", "json", writer)

        def tell_many() -> None:
            for _ in range(500):
                log.write(_loaded(), AttemptResult(Outcome.SUCCEEDED), 1)

        threads = [threading.Thread(target=tell_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(objects(written(tell))) == 2_000


def test_below_the_level_nothing_is_written() -> None:
    """An attempt is news, not a warning."""

    def tell(writer: LineWriter) -> None:
        AttemptLog("warning", "json", writer).write(_loaded(), AttemptResult(Outcome.SUCCEEDED), 1)

    assert written(tell) == b""
