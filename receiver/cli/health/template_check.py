"""What `check` finds out about templates: they are rendered with a sample of each action that their route wants."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from receiver.core.events import Event
from receiver.core.suggest import hint, nearest
from receiver.nexudus import actions, record_types, samples
from receiver.routing.route import Route, matches
from receiver.routing.table import RoutingTable
from workers.plugins import enrichment_reader
from workers.plugins.loader import Handler
from workers.templates import Expression, Template, TemplateFailed, templates_in
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
    enriched = {one.name: enrichment_reader.kind_name(one.kind) for one in route.enrich}
    for path, template in found:
        line = _line(route, path, template)
        misnamed = [*_unknown(template, by_kind), *_unknown_of_enriched(template, enriched)]
        for at, sentence in misnamed or _broken(table, route, template, by_kind):
            yield f"{table.file}:{line + at}: route {route.name!r}: option {path!r}: {sentence}"


def _line(route: Route, path: str, template: Template | Expression) -> int:
    """Return the line in the file before the first line of a template."""
    while path not in route.option_lines and "." in path:
        path = path.rpartition(".")[0]
    line = route.option_lines.get(path, route.handler_line)
    return line if "\n" in template.source else line - 1  # a text of several lines begins below its `|`


def _broken(
    table: RoutingTable, route: Route, template: Template | Expression, by_kind: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """Yield why a template cannot be rendered for samples; not of one that reads records without a sample."""
    kinds = {one.name: enrichment_reader.kind_name(one.kind) for one in route.enrich}
    if any(name in kinds and not _sample(kinds[name]) for name, *_ in template.reads):
        return
    failed: dict[str, list[str]] = {}
    for action in list(by_kind.values())[:_MOST_TRIED]:
        try:
            template.fill(names_of(sample_event(table, route, action)))
        except TemplateFailed as error:
            failed.setdefault(str(error), []).append(action)
    for reason, names in failed.items():
        yield 1, f"{reason}, for a sample of {_some(names)}"


def _unknown(template: Template | Expression, by_kind: Mapping[str, str]) -> Iterator[tuple[int, str]]:
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


def _unknown_of_enriched(template: Template | Expression, kinds: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the fields of enriched records that records of their kinds lack, as far as these are known."""
    for name, field, line in dict.fromkeys(template.reads):
        kind = kinds.get(name, "")
        if _fields(kind) and not _has(kind, field) and (name, field) not in template.guarded:
            suggestion = hint(field, _fields(kind))
            yield line, f"as far as is known, {name}, a {kind}, has no field {field!r}{suggestion}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _has(kind: str, field: str) -> bool:
    is_free = field.startswith("Custom") and field[6:].isdecimal()  # Custom1 to Custom30: the operator's own
    return is_free or field in _fields(kind)


@cache
def _fields(kind: str) -> frozenset[str]:
    """Return the fields of a kind of record: those of its type and those of its sample."""
    declared = record_types.by_name().get(kind)
    return frozenset({*_sample(kind), *(declared.model_fields if declared else ())})


def _sample(kind: str) -> dict[str, Any]:
    """Return a record of a kind; empty for one that no action is about."""
    action = next((name for name in actions.NAMES if actions.entity_kind(name) == kind), None)
    return samples.record(action, now=samples.WRITTEN, number=0) if action else {}


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
        enriched={one.name: _sample(enrichment_reader.kind_name(one.kind)) for one in route.enrich},
    )
