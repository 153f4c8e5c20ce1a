"""Reads the records that a route's `enrich` names before its handler runs, and evaluates a `where` that names them.

If that filter fails, the delivery is discarded with its reason. All this is part of the attempt: reading takes of its
time and comes from the same cache and call budget as `nexudus.get`.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from receiver.core.errors import HandlerError, NexudusError
from receiver.core.events import Event
from receiver.core.suggest import hint
from receiver.nexudus import record_types
from receiver.nexudus.record_kinds import KINDS
from receiver.nexudus.records.record import Record
from receiver.routing.enrichment import Enrichment, NoId
from receiver.routing.explanation import why_it_is_not_true
from receiver.routing.filters import FilterResult
from receiver.routing.route import Route
from workers.api import Discard
from workers.enriched_records import EnrichedRecords, plain_records
from workers.plugins.injection import NexudusProvider
from workers.plugins.loader import Handler
from workers.plugins.typed_records import RecordUnfit


class Filtered(Discard):
    """The filter of the route, which reads enriched records, does not let the event pass."""


class NotEnriched(Exception):
    """A record could not be read; its cause says why, and whether Nexudus is down."""


@dataclass(frozen=True, slots=True)
class Enricher:
    """Reads the records of one route. Raises HandlerError for a kind that there is not, and without credentials."""

    route: Route
    provider: NexudusProvider

    def __post_init__(self) -> None:
        for one in self.route.enrich:
            known = _kinds(one.kind)
            if one.kind not in known:
                raise HandlerError(
                    f"enrich: there is no kind of record {one.kind!r}{hint(one.kind, known)}",
                    option=f"enrich.{one.name}",
                )
        try:
            self.provider.transport.check()
        except HandlerError as error:
            raise HandlerError(f"enrich: {error}", option=f"enrich.{self.route.enrich[0].name}") from None

    def read(self, event: Event) -> Event:
        """Return *event* with its records. It waits as `nexudus.get` does. Raises NotEnriched, RecordUnfit, Retry."""
        nexudus = self.provider.nexudus(event)
        plain: dict[str, dict[str, Any] | None] = {}
        for one in self.route.enrich:
            number = _id(one, event)
            plain[one.name] = None if number is None else _read(nexudus.get, one, number)
        return replace(event, enriched=EnrichedRecords(plain, _types(self.route)))

    def why_not(self, event: Event) -> str | None:
        """Return why the filter of the route does not let an enriched event pass; None: it does."""
        where, verdict = self.route.where_at_work, self._verdict(event)
        return None if where is None or verdict.is_true else why_it_is_not_true(where, verdict)

    def admitted(self, event: Event) -> Event:
        """Return *event* with its records. Raises Filtered when the route does not want it, and what `read` raises."""
        enriched = self.read(event)
        verdict = self._verdict(enriched)
        if not verdict.is_true:
            raise Filtered(f"its filter failed: {verdict.failure}" if verdict.failure else "")
        return enriched

    def _verdict(self, event: Event) -> FilterResult:
        where = self.route.where_at_work
        if where is None:
            return FilterResult(is_true=True)
        return where.judge(event.business_id, event.action, event.data, plain_records(event))


def kind_name(kind: str) -> str:
    """Return the name of a kind that may be written as a path, "spaces/coworkers"."""
    return next((name for name, path in _paths().items() if path == kind), kind)


def with_enrichment(handler: Handler, route: Route, provider: NexudusProvider | None) -> Handler:
    """Return *handler* so that it gets what the route enriches, and only the events that its filter lets pass.

    Raises HandlerError for a kind that there is not, and when the settings lack the credentials for Nexudus.
    """
    if not route.enrich or provider is None:
        return handler
    enricher = Enricher(route, provider)
    call = _async_call(handler.call, enricher) if handler.is_async else _call(handler.call, enricher)
    return replace(handler, call=call, enrich=enricher.read, why_not=enricher.why_not)


def _call(call: Callable[[Event], Any], enricher: Enricher) -> Callable[[Event], Any]:
    return lambda event: call(enricher.admitted(event))


def _async_call(call: Callable[[Event], Any], enricher: Enricher) -> Callable[[Event], Any]:
    async def enriched(event: Event) -> Any:
        executor = enricher.provider.transport.executor
        admitted = await asyncio.get_running_loop().run_in_executor(executor, enricher.admitted, event)
        returned = call(admitted)
        return await returned if inspect.isawaitable(returned) else returned

    return enriched


def _id(one: Enrichment, event: Event) -> int | None:
    try:
        return one.id_for(event.business_id, event.action, event.data)
    except NoId as error:
        raise RecordUnfit(f"enrich: {error}") from None


def _read(get: Callable[[str, int], dict[str, Any]], one: Enrichment, number: int) -> dict[str, Any] | None:
    try:
        return get(_paths().get(one.kind, one.kind), number)
    except NexudusError as error:
        if error.gone:
            return None
        raise NotEnriched(f"enrich: {one.name!r} cannot be read: {error}") from error


@cache
def _paths() -> dict[str, str]:
    """Return the path of each kind of record by its name; at the first use, as it makes all their types."""
    typed = {name: one.PATH for name, one in record_types.by_name().items() if one.PATH}
    return {kind.name: kind.path for kind in KINDS.values()} | typed


def _kinds(like: str) -> list[str]:
    return sorted(_paths().values() if "/" in like else _paths())


def _types(route: Route) -> Mapping[str, type[Record]]:
    known = record_types.by_name()
    return {one.name: known[one.kind] for one in route.enrich if one.kind in known}
