"""The log: one line for each request and each attempt, with its ids, named as a thing and what happened to it."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import StartFrontdesk
from tests.support.journey import Journey
from tests.support.processes import Process, run

ROOT = Path(__file__).parents[1]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
NAME = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")


def _lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.output.splitlines()]


def _named(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


def test_each_request_and_each_attempt_has_one_line(tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk) -> None:
    """With event, delivery, action, business and route: whoever has one id finds everything that happened to it."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    receiver, worker = stack.serve(), stack.start("work")
    for action in ("BookingCreate", "TeamCreated", "CoworkerCreate"):
        assert stack.post(action) == 202
    assert stack.post("BookingCreate") == 202  # a duplicate
    events = stack.ended(3)
    assert (receiver.stop(), worker.stop()) == (0, 0)
    told, done = _lines(receiver), _lines(worker)

    requests = _named(told, "request.answered")
    assert Counter(line["events"][0] for line in requests) == Counter(
        [event["id"] for event in events] + [event["id"] for event in events if event["action"] == "BookingCreate"]
    )
    for line in requests:
        assert (line["status"], line["business_id"]) == (202, 1001)
        assert line.keys() >= {"timestamp", "level", "action", "bytes", "outcome", "client", "ms"}
    expected = Counter(
        (event["id"], delivery["id"], event["action"], 1001, delivery["route"], number)
        for event in events
        for delivery in event["deliveries"]
        for number in range(1, delivery["attempts"] + 1)
    )
    attempts = _named(done, "delivery.attempted")
    assert expected == Counter(
        tuple(line[name] for name in ("event_id", "delivery_id", "action", "business_id", "route", "attempt"))
        for line in attempts
    )
    assert expected.total() >= 5
    failed = [line for line in attempts if line["route"] == "broken"]
    assert [(line["outcome"], line["error"]) for line in failed] == [("failed", "RuntimeError")] * 2
    for line in told + done:
        assert line.keys() >= {"timestamp", "level", "event"}
        assert NAME.fullmatch(line["event"]), line


def test_a_refused_request_has_a_line_too_without_its_token(
    tmp_path: Path, redis_url: str, frontdesk: StartFrontdesk
) -> None:
    """Who knocks at a door that is none can be seen; what they tried cannot."""
    stack = Journey(tmp_path, redis_url, frontdesk)
    receiver = stack.serve()
    url = f"http://127.0.0.1:{stack.settings['FRONTDESK_PORT']}"
    run("send", "BookingCreate", "--url", url, settings=stack.settings | {"FRONTDESK_URL_KEYS": "another-key"})
    receiver.stop()

    (line,) = _named(_lines(receiver), "request.answered")
    assert (line["status"], line["method"], line["path"]) == (404, "POST", "/hooks/1001/BookingCreate/***")


def _names() -> Iterator[tuple[str, str]]:
    """Yield the name of each line that any module can write, and where."""
    for file in (*ROOT.glob("receiver/**/*.py"), *ROOT.glob("workers/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            logger = ast.unparse(node.func.value)
            if node.func.attr in LEVELS and (logger.endswith("_log") or logger == "logs.get()"):
                first = node.args[0]
                name = first.value if isinstance(first, ast.Constant) else ast.unparse(first)
                yield str(name), f"{file}:{node.lineno}"


def test_every_line_is_named_for_a_thing_and_what_happened_to_it() -> None:
    """`noun.verb_past`, or the state a thing is in; never a sentence or a value: names are what people search for."""
    found = dict(_names())

    assert len(found) > 50
    odd = {name: place for name, place in found.items() if not NAME.fullmatch(name)}
    assert odd.keys() <= {"f'registration.{act}'"}, odd
