"""What `check` finds out about templates: they are rendered with a sample of each action that their route wants."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache

from receiver.core.events import Event
from receiver.core.suggest import nearest
from receiver.nexudus import actions, records, samples
from receiver.nexudus.records.record import Record
from receiver.routing.table import Route, RoutingTable, matches
from workers.plugins.loader import Handler
from workers.templates import Template, TemplateFailed, templates_in
from workers.templates.names import names_of

_MOST_NAMED = 3
_MOST_TRIED = 12
"""Kinds of records that the templates of one route are rendered with."""


def warnings(table: RoutingTable, route: Route, handler: Handler) -> Iterator[str]:
    """Yield a sentence, with file and line, for each field that samples lack and each template that they break."""
    found = [(path, template) for path, template in templates_in(handler.options) if not template.is_literal]
    if not found:
        return
    wanted = [name for name in actions.NAMES if matches(route.actions, name)]
    by_kind = {actions.entity_kind(name): name for name in reversed(wanted)}
    for path, template in found:
        line = _line(route, path, template)
        for at, sentence in _of_template(table, route, template, by_kind):
            yield f"{table.file}:{line + at}: route {route.name!r}: option {path!r}: {sentence}"


def _line(route: Route, path: str, template: Template) -> int:
    """Return the line in the file before the first line of a template."""
    while path not in route.option_lines and "." in path:
        path = path.rpartition(".")[0]
    line = route.option_lines.get(path, route.handler_line)
    return line if "\n" in template.source else line - 1  # a text of several lines begins below its `|`


def _of_template(
    table: RoutingTable, route: Route, template: Template, by_kind: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    unknown = list(_unknown(template, by_kind))
    yield from unknown
    if unknown:
        return
    failed: dict[str, list[str]] = {}
    for action in list(by_kind.values())[:_MOST_TRIED]:
        try:
            template.fill(names_of(sample_event(table, route, action)))
        except TemplateFailed as error:
            failed.setdefault(str(error), []).append(action)
    for reason, names in failed.items():
        yield 1, f"{reason}, for a sample of {_some(names)}"


def _unknown(template: Template, by_kind: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the fields of `data` that records lack; of all kinds, or without another way for those that lack it."""
    for name, field, line in dict.fromkeys(template.reads):
        if name != "data":
            continue
        lacking = [action for kind, action in by_kind.items() if not _has(kind, field)]
        is_guarded = (name, field) in template.guarded and len(lacking) < len(by_kind)
        if lacking and not is_guarded:
            near = next((found for kind in by_kind if (found := nearest(field, _fields(kind)))), None)
            suggestion = f"; did you mean {near!r}?" if near and len(lacking) == len(by_kind) else ""
            yield line, f"as far as is known, the record of {_some(lacking)} has no field {field!r}{suggestion}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _has(kind: str, field: str) -> bool:
    is_free = field.startswith("Custom") and field[6:].isdecimal()  # Custom1 to Custom30: the operator's own
    return is_free or field in _fields(kind)


@cache
def _fields(kind: str) -> frozenset[str]:
    """Return the fields of a kind of record: those of its type and those of its sample."""
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    declared = {one.__name__: one for one in Record.__subclasses__()}.get(kind)
    action = next(name for name in actions.NAMES if actions.entity_kind(name) == kind)
    sample = samples.record(action, now=samples.WRITTEN, number=0)
    return frozenset({*sample, *(declared.model_fields if declared else ())})


def sample_event(table: RoutingTable, route: Route, action: str) -> Event:
    """Return an event of *action* as the handler of *route* may get it."""
    business_id = min(route.businesses or (table.businesses[0] if table.businesses != "all" else 1,))
    return Event(
        id="0" * 20,
        key=f"{'0' * 20}-{route.name}",
        action=action,
        action_code=actions.code_of(action),
        business_id=business_id,
        received_at=samples.WRITTEN,
        origin="simulated",
        attempt=1,
        superseded=False,
        data=samples.record(action, now=samples.WRITTEN, number=0),
        business=table.business(business_id),
    )
