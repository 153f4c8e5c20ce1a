"""The tables that routes with the handler `sql` write to: whether they are there and fit, and making them."""

from collections.abc import Iterator
from typing import Any

from receiver.cli.health.template_check import sample_event
from receiver.cli.ui import output
from receiver.core.errors import FileProblem
from receiver.nexudus import actions
from receiver.routing.route import Route, matches
from receiver.routing.table import RoutingTable
from workers.plugins.loader import Handler
from workers.plugins.safe_error_text import describe, masked
from workers.templates import TemplateFailed

HANDLER = "sql"


def problems(table: RoutingTable, route: Route, handler: Handler, *, create: bool) -> Iterator[FileProblem]:
    """Yield what is wrong with the table of a route; with *create*, it is made first where it is not there."""
    if route.handler != HANDLER:
        return
    try:
        found = _look(table, route, handler, create=create)
    except Exception as error:  # noqa: BLE001 - whatever a driver raises
        found = describe(error, handler.secrets)
    if found:
        line = route.option_lines.get("table", route.handler_line)
        yield FileProblem(table.file, line, f"route {route.name!r}: {masked(found, handler.secrets)}")


def _look(table: RoutingTable, route: Route, handler: Handler, *, create: bool) -> str | None:
    """Return what is wrong with the table."""
    from workers.handlers import sql_store

    options = handler.options
    key = "event_key" if options.get("mode", "append") == "append" else "entity"
    row = _row(table, route, handler)
    rows = sql_store.table(options["url"], options["table"])
    if create and rows.create(key, row):
        output.warn(f"made the table {options['table']} for the route {route.name}")
    return rows.missing(key, row)


def _row(table: RoutingTable, route: Route, handler: Handler) -> dict[str, Any]:
    """Return a row of samples: of each column the first value that is not null. Raises TemplateFailed."""
    row: dict[str, Any] = {}
    failed: TemplateFailed | None = None
    wanted = [name for name in actions.NAMES if matches(route.actions, name)]
    for action in {actions.entity_kind(name): name for name in reversed(wanted)}.values():
        try:
            made = handler.preview(sample_event(table, route, action))["row"] if handler.preview else {}
        except TemplateFailed as error:  # of one kind of record; `check` warns of it
            failed = error
        else:
            row = made | {name: value for name, value in row.items() if value is not None}
    if failed and not row:
        raise failed
    return row
