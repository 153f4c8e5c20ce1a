"""The handler of a route as its deliveries run it: with its options, and with what the route enriches."""

from collections.abc import Mapping
from pathlib import Path

from receiver.routing.route import Route
from workers.plugins import loader
from workers.plugins.enrichment_reader import with_enrichment
from workers.plugins.injection import CheckedTransport, NexudusProvider


def load(
    route: Route, *, environ: Mapping[str, str], folder: Path, transport: CheckedTransport | None = None
) -> loader.Handler:
    """Return the handler of *route*. Raises HandlerError.

    *folder* is that of routes.yaml; *transport* calls Nexudus, for handlers that ask for it and for `enrich`.
    """
    provider = NexudusProvider(transport, route.writes, route.timeout_ms / 1_000) if transport else None
    names = [one.name for one in route.enrich]
    handler = loader.load(
        route.handler, route.options, environ=environ, folder=folder, provider=provider, records=names
    )
    return with_enrichment(handler, route, provider)
