"""An outage: gaps, the Nexudus that knows what happened in them, and the store that back-fill fills."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import redis

from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import actions, fingerprint, payload
from receiver.nexudus.api.client import Client
from receiver.nexudus.api.entities import Entities
from receiver.reconcile.backfill_run import BackfillReport, BackfillRun, Orders, Tools
from receiver.reconcile.route_selection import RouteSelection
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.gap_ledger import Gap, GapLedger, GapState, GapWhy, opened
from tests.support.entity_api import EntityApi

HOUR = 3_600_000
MINUTE = 60_000


def table(*routes: str, head: str = "") -> RoutingTable:
    """Return a table of these routes, each as in routes.yaml on one line; default: one that wants everything."""
    listed = ", ".join(routes) or '{action: "*", handler: log}'
    text = f"{head}\nroutes: [{listed}]\n"
    return file.parse(text, file="routes.yaml", known_actions=actions.CODES)


def gap(action: str, business_id: int, from_ms: int, to_ms: int) -> Gap:
    """Return a closed gap."""
    found = opened((business_id, action), from_ms, GapWhy.DISABLED)
    return replace(found, to_ms=to_ms, state=GapState.HEALING)


@dataclass
class Outage:
    """From *begin* to *end*, in Unix milliseconds; now is ten minutes later."""

    api: EntityApi
    http: Client
    store: redis.Redis
    table: RoutingTable = field(default_factory=table)

    def __post_init__(self) -> None:
        """Tell the times."""
        self.now = int(time.time()) * 1_000
        self.end = self.now - 10 * MINUTE
        self.begin = self.end - 8 * HOUR
        self.middle = self.begin + 4 * HOUR
        self.ledger = GapLedger(self.store)
        self.mint = IdGenerator()

    def gaps(self, *names: str, businesses: Iterable[int] = (1001,)) -> list[Gap]:
        """Write gaps of these actions at these locations into the ledger, and return them."""
        made = [gap(action, business, self.begin, self.end) for business in businesses for action in names]
        self.ledger.write(made)
        return made

    def fill(self, gaps: Iterable[Gap] | None = None, **orders: Any) -> BackfillReport:
        """Fill gaps, by default those of the ledger."""
        selection = orders.pop("selection", None) or RouteSelection(self.table)
        self.entities = Entities(self.http)
        tools = Tools(self.store, self.entities, check=orders.pop("check", lambda: None), ledger=self.ledger)
        return BackfillRun(tools, Orders(selection, **orders)).fill(self.ledger.gaps() if gaps is None else gaps)

    def hook(self, action: str, record: dict[str, Any], business_id: int = 1001, at_ms: int | None = None) -> str:
        """Keep an event as a hook brings it; return its id."""
        entry = self.brought(action, record, business_id, at_ms)
        self.keep(entry)
        return entry.envelope.id

    def keep(self, *entries: Entry, alias_ms: int = 0) -> list[Receipt | None]:
        """Keep events as a receiver does, in one call; return what their senders are answered."""
        arguments = keep_script.arguments(entries, alias_ms=alias_ms)
        return keep_script.receipts(entries, StoreClient(self.store, "keep").run("keep", *arguments))

    def brought(self, action: str, record: dict[str, Any], business_id: int = 1001, at_ms: int | None = None) -> Entry:
        """Return what a receiver makes of the record that a hook brings."""
        at_ms = self.now if at_ms is None else at_ms
        (parsed,) = payload.split(orjson.dumps([record]))
        envelope = Envelope(
            id=self.mint(at_ms / 1_000),
            business_id=business_id,
            action=action,
            action_code=actions.code_of(action),
            received_ms=at_ms,
            body=parsed.raw,
            entity=fingerprint.entity(action, record),
        )
        return HookPlan(business_id, action, self.table, dedup_window_ms=86_400_000).entry(envelope, parsed)

    def events(self, origin: str = "backfill") -> list[StoredEvent]:
        """Return the events of this origin, the oldest first."""
        found = [one for one in EventReader(self.store).newest(EventFilter()) if one.envelope.origin == origin]
        return sorted(found, key=lambda one: one.envelope.id)

    def made(self) -> list[tuple[int, str, int]]:
        """Return location, action and Id of each back-filled event, in their order."""
        return [(one.envelope.business_id, one.envelope.action, one.envelope.record()["Id"]) for one in self.events()]

    def states(self) -> dict[str, str]:
        """Return the state of the gap of each action."""
        return {one.action: one.state.value for one in self.ledger.gaps()}

    def one(self) -> Gap:
        """Return the only gap."""
        (found,) = self.ledger.gaps()
        return found
