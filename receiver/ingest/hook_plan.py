"""What is the same for every event of one hook, worked out once: at its first event, and when the routes change.

A hook is a location and an action. Pure, but for what the record of an event costs.
"""

from collections.abc import Sequence

from receiver.core.events import Envelope
from receiver.ingest.delivery_plan import DeliveryPlan, FilterFailures, MatchingTable
from receiver.nexudus import actions, change_identity, fingerprint, payload
from receiver.storage.model import change_claims
from receiver.storage.model.codec import Packer
from receiver.storage.model.entries import Entry

_new = tuple.__new__
"""Makes a tuple of a class that is one, in a third of the time that a call of the class takes."""


class HookPlan:
    """Makes what the store keeps of one hook's events. *secrets*: those that open it, each behind its scope."""

    def __init__(
        self,
        business_id: int,
        action: str,
        table: MatchingTable | None,
        *,
        dedup_window_ms: int,
        secrets: Sequence[tuple[str, str]] = (),
    ) -> None:
        """*table* None: there is none yet, and events are kept unrouted."""
        self.business_id = business_id
        self.action = action
        self.action_code = actions.code_of(action)
        self.secrets = secrets
        self._routes = table.hash if table else ""
        self._deliveries = DeliveryPlan(table, business_id, action) if table else None
        self._window_ms = fingerprint.window_ms(action, dedup_window_ms)
        self._fingerprints = fingerprint.Fingerprints(business_id, action)
        self._changes_by = change_identity.field_of(action)
        self._packer = Packer(business_id, action, self.action_code, self._routes)

    def received(
        self,
        event_id: str,
        received_ms: int,
        record: payload.BodyRecord,
        *,
        verified_by: str | None,
        trace: str,
        failures: FilterFailures | None,
    ) -> Entry:
        """Return the entry of a record that has just been received."""
        entity = fingerprint.entity(self.action, record.data)
        envelope = _new(
            Envelope,
            (
                *(event_id, self.business_id, self.action, self.action_code, received_ms, record.raw, "webhook"),
                *(verified_by, self._routes, entity, None, _NO_HEADERS, 0, trace, ""),
            ),
        )
        packed = b"" if trace else self._packer.pack(event_id, received_ms, verified_by, entity, record.raw)
        return self.entry(envelope, record, failures, packed)

    def entry(
        self,
        envelope: Envelope,
        record: payload.BodyRecord,
        failures: FilterFailures | None = None,
        packed: bytes = b"",
    ) -> Entry:
        """Return what the store keeps of an event: with its fingerprint, and its deliveries by today's table."""
        wanted = self._deliveries.wanted(record.data, failures) if self._deliveries else ()
        change = change_identity.of(self._changes_by, record.data)
        claims = change_claims.claiming(self._fingerprints.of(record.canonical), change_claims.OF_HOOK, change)
        return _new(Entry, (envelope, claims, self._window_ms, wanted, packed))


_NO_HEADERS = Envelope._field_defaults["headers"]
