"""What `check` warns of in a routing table that is valid: it is probably not what was meant."""

from collections.abc import Iterator
from datetime import UTC, datetime

from receiver.nexudus import samples
from receiver.nexudus.actions import NAMES, entity_kind
from receiver.routing.document.shapes import MAX_ROUTES
from receiver.routing.route import Route, calls_off, matches
from receiver.routing.table import RoutingTable
from receiver.storage.model import keep_script

_MOST_NAMED = 3


def other_records(table: RoutingTable, route: Route, kind: str | None) -> Iterator[str]:
    """Yield a warning when actions of the route carry another kind of record than its handler takes."""
    if kind is None:
        return
    wanted = [name for name in NAMES if matches(route.actions, name)]
    others = [f"{name} carries a {entity_kind(name)}" for name in wanted if entity_kind(name) != kind]
    if others:
        more = f", and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        yield (
            f"{table.file}:{route.handler_line}: route {route.name!r}: its handler takes Event[{kind}], but as far as "
            f"is known {', '.join(others[:_MOST_NAMED])}{more}"
        )


def strays(table: RoutingTable) -> Iterator[str]:
    """Yield a warning for each route that names a location for which no webhook is registered."""
    if table.businesses == "all":
        return
    for route in table.routes:
        strays = sorted((route.businesses or frozenset()) - set(table.businesses))
        if route.enabled and strays:
            yield (
                f"{table.file}:{route.line}: route {route.name!r} wants business {', '.join(map(str, strays))}, which "
                "`businesses` does not list: nobody registers webhooks there"
            )


def untimely(table: RoutingTable) -> Iterator[str]:
    """Yield a warning for each route whose time fails on the sample of an action, and for each action that is to call
    off its deliveries and is about other records."""
    for route in table.routes:
        if route.flow is None or route.flow.at is None:
            continue
        where = f"{table.file}:{route.line}: route {route.name!r}"
        wanted = [name for name in NAMES if matches(route.actions, name) and not calls_off(route, name)]
        for name in wanted:
            sample = samples.record(name, now=datetime.now(UTC), number=1) if name in samples.names() else None
            no_time = route.flow.at.of(1, name, sample)[1] if sample else None
            if no_time is not None:
                yield f"{where}: at: on the sample of {name}: {no_time}"
                break
        kinds = {entity_kind(name) for name in wanted}
        for pattern in route.flow.cancelled_by:
            others = {entity_kind(name) for name in NAMES if matches((pattern,), name)}
            if not others & kinds:
                theirs, ours = ", ".join(sorted(others)), ", ".join(sorted(kinds)) or "nothing else"
                yield (
                    f"{where}: cancelled_by: {pattern} is about {theirs}, and the route's events are about {ours}: it "
                    "never calls one off"
                )


def crowded(table: RoutingTable) -> Iterator[str]:
    """Yield a warning for each action that more routes want than one call to the store can serve."""
    enabled = [route for route in table.routes if route.enabled]
    costs = [keep_script.delivery_us(waits=bool(route.flow and route.flow.has_terms)) for route in enabled]
    if sum(costs) <= keep_script.LONGEST_CALL_US:
        return
    for name in NAMES:
        wanted = [cost for route, cost in zip(enabled, costs, strict=True) if matches(route.actions, name)]
        if sum(wanted) > keep_script.LONGEST_CALL_US:
            plain, waiting = (
                keep_script.LONGEST_CALL_US // keep_script.delivery_us(waits=waits) for waits in (False, True)
            )
            yield (
                f"{table.file}: {len(wanted)} routes want {name}; the store makes {plain} deliveries of an event in "
                f"one call ({waiting} where routes wait for an order, a delay or a limit), and more of them in further "
                f"calls, up to the {MAX_ROUTES} routes that a table may have"
            )
