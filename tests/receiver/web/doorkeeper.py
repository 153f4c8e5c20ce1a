"""A receiver process for tests: the real server, door and ingest over a keeper that holds events in memory.

`python -m tests.receiver.web.doorkeeper OPTIONS` prints its port, serves until SIGTERM, shows under `/kept` what it was
asked to keep, and under `/inside` how the garbage collector is set. The action says how the keeper behaves:
`Unavailable`, `Full`; `Slow` waits half a second first.
"""

import asyncio
import base64
import gc
import ipaddress
import sys
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.ingest.ingest import Ingest
from receiver.ingest.request_evaluation import Policy
from receiver.nexudus import actions
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs
from receiver.routing import file
from receiver.routing.table import Matched
from receiver.storage.model.entries import Entry, OnResult, Receipt
from receiver.web import server
from receiver.web.application import Receiver
from receiver.web.clients import ClientAddresses
from receiver.web.connections.connection_limits import ConnectionLimits
from receiver.web.hook_endpoint import HookEndpoint
from receiver.web.probe_endpoint import Probe
from receiver.web.request_log import RequestLog
from receiver.web.request_notes import RequestNotes

KEYS = ("new-key", "old-key")


class MemoryKeeper:
    """Keeps entries in a list; an equal fingerprint is a duplicate for ever."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._ids: dict[bytes, str] = {}

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None:
        """Keep one entry, or fail as its action says."""
        match entry.envelope.action:
            case "Unavailable":
                on_result(entry, StorageUnavailable("Redis: away"), context)
            case "Full":
                on_result(entry, RequestRefused(503, "quarantine is full", retry_after=60), context)
            case "Slow":
                asyncio.get_running_loop().call_later(0.5, lambda: on_result(entry, self._keep(entry), context))
            case _:
                on_result(entry, self._keep(entry), context)

    def _keep(self, entry: Entry) -> Receipt:
        if entry.fingerprint is not None and entry.fingerprint in self._ids:
            return Receipt(self._ids[entry.fingerprint], "duplicate")
        self.entries.append(entry)
        if entry.fingerprint is None:
            return Receipt(entry.envelope.id, "quarantined")
        self._ids[entry.fingerprint] = entry.envelope.id
        return Receipt(entry.envelope.id, "accepted")


_BOOKINGS = file.parse(
    """
    queues: [default, bulk]
    routes:
      - {action: "Booking*", handler: log, name: announce}
      - {action: "Booking*", handler: log, name: mirror, queue: bulk, timeout: 60s}
    """,
    file="routes.yaml",
    known_actions=actions.NAMES,
)


class HandTable:
    """Routes bookings, breaks on the action `Broken`, and has a `where` that fails on invoices."""

    hash = "0123456789abcdef"

    def match_any(self, business_id: int, action: str) -> Matched | None:
        """Nothing is known before a record is seen."""
        return None

    def match(self, business_id: int, action: str, record: dict[str, Any]) -> Matched:
        """Return the routes by the action's name."""
        if action == "Broken":
            raise RuntimeError(f"a fault of ours at {business_id} on {record}")
        matched = _BOOKINGS.match(business_id, action, record)
        return matched._replace(failed=("dear",)) if "Invoice" in action else matched


def shown(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON can say it."""
    envelope = entry.envelope
    return {
        "id": envelope.id,
        "business_id": envelope.business_id,
        "action": envelope.action,
        "action_code": envelope.action_code,
        "received_ms": envelope.received_ms,
        "body": base64.b64encode(envelope.body).decode(),
        "verified_by": envelope.verified_by,
        "routes": envelope.routes,
        "entity": envelope.entity,
        "quarantine": envelope.quarantine,
        "headers": dict(envelope.headers),
        "fingerprint": entry.fingerprint.hex() if entry.fingerprint else None,
        "wanted": [wanted.route for wanted in entry.wanted],
    }


def main(options: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    logs.configure("info", "json")
    keeper = MemoryKeeper()
    metrics = IngestMetrics(actions.NAMES)
    policy = Policy(
        secrets=tuple((business, secret) for business, secret in options.get("secrets", ())),
        on_bad_signature=options.get("on_bad_signature", "quarantine"),
    )
    table = None if options.get("tableless") else HandTable()
    log = RequestLog("info", options.get("log_format"))
    trusted = [ipaddress.ip_network(network) for network in options.get("trusted_proxies", ())]
    notes = RequestNotes(ClientAddresses(trusted), log, metrics)
    hooks = HookEndpoint(
        Ingest(keeper, lambda: table, policy, metrics),
        url_keys=KEYS,
        max_body=options.get("max_body", 65_536),
        notes=notes,
    )

    async def can_keep() -> bool:
        return not options.get("unready")

    async def kept(_: Request) -> Response:
        return Response(orjson.dumps([shown(entry) for entry in keeper.entries]), media_type="application/json")

    app = Receiver(hooks=hooks, probes=Probe(KEYS[0], notes), can_keep=can_keep, counts=metrics)
    app.router.routes += [Route("/kept", kept), Route("/inside", _inside)]
    (listener,) = server.listen("127.0.0.1", 0)
    server.FINISH_WITHIN_S = options.get("finish_within_s", server.FINISH_WITHIN_S)
    print(listener.getsockname()[1], flush=True)
    limits = ConnectionLimits(**options.get("limits", {}))
    server.run(app, [listener], limits=limits, metrics=metrics, drain_s=options.get("drain_s", 0))
    log.flush()


async def _inside(_: Request) -> Response:
    inside = {"frozen": gc.get_freeze_count(), "threshold": gc.get_threshold()[0]}
    return Response(orjson.dumps(inside), media_type="application/json")


if __name__ == "__main__":
    main(orjson.loads(sys.argv[1]))
