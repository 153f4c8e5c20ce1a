"""When what workers run for a route changed: its entry in routes.yaml, or the code of its handler.

Worker parents compare what they run with what the store has when they start and when their table is exchanged. Of
values only digests are stored.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import redis

from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

MOST_CHANGES: Final = 1_000

_HANDLER: Final = "version of its handler"


class RouteVersions:
    """Notes changes. *version* returns a few characters that tell one version of a handler from another."""

    def __init__(
        self, client: redis.Redis, table: Callable[[], RoutingTable | None], version: Callable[[str], str]
    ) -> None:
        self._calls = StoreClient(client)
        self._table = table
        self._version = version
        self._handlers: dict[str, str] = {}
        self._noted = ""

    def turn(self) -> None:
        """Note what changed since the last turn, if the table is another one. Raises StorageUnavailable."""
        table = self._table()
        if table is None or table.hash == self._noted:
            return
        known = decoding.texts(self._calls.ask("hgetall", keys.ROUTE_VERSIONS))
        fresh = {route.name: self._parts(route) for route in table.routes}
        now_ms = self._calls.now_ms()
        changes = [
            orjson.dumps({"at_ms": now_ms, "route": name, "parts": parts})
            for name, said in fresh.items()
            if (parts := _differing(known.get(name), said))
        ]
        commands: list[tuple[Any, ...]] = [("delete", keys.ROUTE_VERSIONS)]
        commands += [("hset", keys.ROUTE_VERSIONS, name, orjson.dumps(said)) for name, said in fresh.items()]
        if changes:
            commands += [("lpush", keys.ROUTE_CHANGES, *changes), ("ltrim", keys.ROUTE_CHANGES, 0, MOST_CHANGES - 1)]
        self._calls.ask_each(commands)
        self._noted = table.hash

    def _parts(self, route: Route) -> dict[str, str]:
        if route.handler not in self._handlers:  # what is imported stays what it is until the process ends
            self._handlers[route.handler] = self._version(route.handler)
        said: dict[str, Any] = {
            "action": route.actions,
            "business": sorted(route.businesses or ()),
            "where": route.where.source if route.where else None,
            "handler": route.handler,
            "with": dict(route.options),
            "queue": route.queue,
            "timeout": route.timeout_ms,
            "retry": route.retry_ms,
            "enabled": route.enabled,
            "shadow": route.shadow,
        }
        if route.enrich:
            said["enrich"] = [(one.name, one.kind, one.number.source) for one in route.enrich]
        if route.flow and route.flow.at:
            said |= {"at": route.flow.at.source, "cancelled_by": route.flow.cancelled_by}
        return {name: _digest(value) for name, value in said.items()} | {_HANDLER: self._handlers[route.handler]}


def changes(client: redis.Redis, route: str) -> Iterator[tuple[int, str]]:
    """Yield when a route changed (Unix ms), and what, the latest first. Raises StorageUnavailable."""
    for stored in StoreClient(client).ask("lrange", keys.ROUTE_CHANGES, 0, MOST_CHANGES - 1):
        try:
            fields = orjson.loads(stored)
            at_ms, name, parts = (
                decoding.moment(fields["at_ms"]),
                fields["route"],
                [str(one) for one in fields["parts"]],
            )
        except (ValueError, KeyError, TypeError):
            continue
        if name == route and at_ms is not None:
            yield at_ms, f"workers got another {', '.join(parts)}"


def _differing(known: str | None, said: dict[str, str]) -> list[str]:
    """Name the parts that differ; a route that nobody knew yet has not changed."""
    if known is None:
        return []
    try:
        before = orjson.loads(known)
    except ValueError:
        return []
    return [name for name, value in said.items() if isinstance(before, dict) and before.get(name, value) != value]


def _digest(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
