"""log writes one line for each event and nothing of what the event says."""

from pathlib import Path

import pytest

from receiver.core.errors import HandlerError
from receiver.process import logs
from receiver.process.line_writer import LineWriter
from tests.support.handled import an_event
from tests.support.lines import objects, written
from workers.plugins import loader


def test_a_line_names_the_event_and_tells_nothing_of_its_record(tmp_path: Path) -> None:
    """Action, business, entity and ids; never a name, a note or a price."""

    def handle(writer: LineWriter) -> None:
        logs.configure("info", "json", writer=writer)
        handler = loader.load("log", {"level": "warning"}, environ={}, folder=tmp_path)
        handler.call(an_event(attempt=3))
        handler.call(an_event(data={"Id": "Zoë Ångström", "CoworkerFullName": "Zoë Ångström"}))

    text = written(handle)

    first, second = objects(text)
    assert first.pop("timestamp")
    assert first == {
        "event": "event.handled", "level": "warning", "action": "BookingCreate", "business": 1001, "entity": 77,
        "event_id": "00m5x2k1qabcdefg0001", "attempt": 3,
    }  # fmt: skip
    assert second["entity"] is None
    assert "Ångström" not in text.decode()


def test_a_level_below_the_process_is_not_written(tmp_path: Path) -> None:
    """As any log line."""

    def handle(writer: LineWriter) -> None:
        logs.configure("info", "json", writer=writer)
        loader.load("log", {"level": "debug"}, environ={}, folder=tmp_path).call(an_event())

    assert written(handle) == b""


def test_an_unknown_level_is_refused_when_the_route_is_checked(tmp_path: Path) -> None:
    """Not at the first event."""
    with pytest.raises(HandlerError, match="handler 'log': option 'level': input should be 'debug', 'info'"):
        loader.load("log", {"level": "loud"}, environ={}, folder=tmp_path)
