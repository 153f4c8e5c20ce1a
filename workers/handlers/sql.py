"""Writes a row for each event into a database, through SQLAlchemy (the extra `frontdesk[sql]`).

`append` writes one row an event, whatever is retried or replayed: its key is `event_key`. `upsert` keeps one row for
each record of Nexudus: its key is `entity`, "Booking:1418686279", and an event that is older than the row's `event_id`
changes nothing. Both rest on a primary key or unique constraint, which is looked for before the first row is written.

The table is made by `frontdesk check --create-tables` or by hand, and never silently.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from workers import Event
from workers.api import Reference, entity_of, previewed_by
from workers.handlers import sql_store
from workers.handlers.sql_errors import NotWritten
from workers.templates import ColumnTemplates, ValueTemplate

Mode = Literal["append", "upsert"]

DEFAULT_COLUMNS: Mapping[str, str] = {
    "event_id": "{{ event.id }}",
    "action": "{{ action }}",
    "business_id": "{{ business_id }}",
    "received_at": "{{ event.received_at }}",
    "record": "{{ data }}",
}
"""What a row holds beside its key when a route names no columns: the record is one JSON column."""


def _columns(columns: ColumnTemplates) -> ColumnTemplates:
    if not isinstance(columns.tree, dict) or not columns.tree:
        raise ValueError("must be a mapping of columns to values")
    for name in columns.tree:
        if not sql_store.NAME.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name of a column")
    own = {"event_key", "entity"} & set(columns.tree)
    if own:
        raise ValueError(f"{own.pop()!r} is written by itself; leave it out")
    return columns


def _table(name: str) -> str:
    if not all(sql_store.NAME.fullmatch(part) for part in name.split(".")) or name.count(".") > 1:
        raise ValueError("must be the name of a table, or SCHEMA.TABLE")
    return name


def _url(url: object) -> object:
    if not isinstance(url, str):
        raise ValueError("must be text")  # noqa: TRY004 - pydantic collects these
    if sql_store.has_password(url) and not isinstance(url, Reference):
        raise ValueError("holds a password, so it must be env/NAME or file/PATH")
    return url


Url = Annotated[str, BeforeValidator(_url)]
TableName = Annotated[str, AfterValidator(_table)]
Columns = Annotated[ColumnTemplates, AfterValidator(_columns)]


def _preview(
    event: Event, *, url: Url, table: TableName, mode: Mode = "append", columns: Columns | None = None
) -> Mapping[str, Any]:
    """Return the row that would be written."""
    del url
    return {"table": table, "mode": mode, "row": row_of(event, mode, columns)}


@previewed_by(_preview)
def sql(event: Event, *, url: Url, table: TableName, mode: Mode = "append", columns: Columns | None = None) -> None:
    """Write one row for the event into *table* of the database at *url*.

    *columns* are templates, or CEL as `{cel: EXPRESSION}`; without them, the row holds the record as JSON beside what
    the event is.
    """
    row = row_of(event, mode, columns)
    found = sql_store.table(url, table)
    if mode == "append":
        found.append(row)
    else:
        found.upsert(row)


def row_of(event: Event, mode: Mode, columns: ValueTemplate | None) -> dict[str, Any]:
    """Return the row of *event*. Raises TemplateFailed, and NotWritten for a record without an Id under `upsert`."""
    filled = (columns or _DEFAULT).render(event)
    if mode == "append":
        return {"event_key": event.key, **filled}
    entity = entity_of(event)
    if entity is None:
        raise NotWritten("the record has no Id, so that it is not known which row is its own")
    return {"entity": entity, **filled, "event_id": event.id}


_DEFAULT = ValueTemplate(dict(DEFAULT_COLUMNS))
