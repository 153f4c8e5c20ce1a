"""The `tests:` of routes.yaml, tried by `check`: each is a record that its route says it wants, or does not want."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from receiver.cli.ui import output
from receiver.core.errors import FileProblem, UsageError
from receiver.nexudus import actions, payload
from receiver.routing.explanation import explain
from receiver.routing.route import Example, Route, matches
from receiver.routing.table import RoutingTable

_NO_BUSINESS = 1
"""The location of a test when neither it nor its route names one."""


def problems(table: RoutingTable, folder: Path, most: int) -> Iterator[FileProblem]:
    """Yield what is wrong: tests whose record cannot be read, and those that expect something else than happens.

    *folder*: where paths of records begin. *most*: bytes of a record's file. A route that is not enabled is tried too.
    """
    for route in table.routes:
        for number, example in enumerate(route.tests, 1):
            try:
                wrong = _try(replace(route, enabled=True), example, folder, most)
            except UsageError as error:
                wrong = str(error)
            if wrong:
                yield FileProblem(table.file, example.line, f"route {route.name!r}: test {number}: {wrong}")


def _try(route: Route, example: Example, folder: Path, most: int) -> str | None:
    """Return how a test fails, None when it does not."""
    record = read(folder / example.record, most) if isinstance(example.record, str) else example.record
    action = example.action or next((name for name in actions.NAMES if matches(route.actions, name)), route.actions[0])
    business = example.business_id or min(route.businesses or (_NO_BUSINESS,))
    found = explain(route, business, action, record)
    if found.asks_worker and not example.match:
        return (
            "is not to match, but a worker decides that: its filter reads enriched records, which a test does not have"
        )
    if found.failed:
        # A filter that fails counts as false; a test is there to say so before an event does.
        return found.why_not if example.match else None
    if found.matched == example.match:
        return None
    if found.matched:
        return f"is not to match, but the route wants it ({action} at business {business})"
    return f"is to match, but {found.why_not} ({action} at business {business})"


def read(file: Path, most: int) -> Mapping[str, Any]:
    """Return the one record of a file, as Nexudus sends it or alone. Raises UsageError."""
    shown = output.plain(file)
    try:
        if not file.is_file():
            raise UsageError(f"{shown} is not a file")
        with file.open("rb") as stream:
            body = stream.read(most + 1)
        if len(body) > most:
            raise UsageError(f"{shown} is larger than FRONTDESK_MAX_BODY, {most} bytes")
        records = payload.split(body)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from None
    if len(records) != 1:
        raise UsageError(f"{shown} holds {len(records)} records; one is needed")
    return records[0].data
