"""Release: a quarantined request is checked again, with the secrets and the parser of today, and becomes events.

The request's id stays: it is that of its first record from now on. Further records get ids that follow from it, so a
release that was cut off and is done again makes the same events. What does not pass stays, with the reason of today.

Whoever releases may know fewer secrets than the receiver that set the request aside: what nothing has verified because
its signature was bad stays until a secret of its location verifies it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import redis

from receiver.core import ids
from receiver.core.errors import StorageUnavailable
from receiver.core.events import Envelope, EventStatus
from receiver.ingest.hook_plan import HookPlan
from receiver.ingest.request_evaluation import Accepted, Request, evaluate
from receiver.nexudus import fingerprint, payload, signature
from receiver.nexudus.verification import Verifier
from receiver.routing.table import RoutingTable
from receiver.storage.model import codec, keep_script
from receiver.storage.model.entries import Entry
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.redis.store_client import StoreClient, is_refusal
from receiver.storage.shared import signature_readings


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the records, and how they were verified; or why the request must stay.

    *bad_signature* says what is wrong with its signature, also when the release is forced. *is_blind*: no secret of its
    location is known here to check it with.
    """

    records: tuple[payload.BodyRecord, ...] = ()
    verified_by: str | None = None
    reason: str | None = None
    bad_signature: str | None = None
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """What became of one request: the ids of its events, or the reason why it stays. *is_blind*: see Checked."""

    event_id: str
    events: tuple[str, ...] = ()
    reason: str | None = None
    is_blind: bool = False


class Release:
    """Releases quarantined requests by a routing table.

    *secrets*: pairs of a location (None: any) and a shared secret. *force*: let pass what can be read, although its
    signature does not match. *reading*: the only one of signatures that holds; None: what receivers have learnt.
    """

    def __init__(
        self,
        client: redis.Redis,
        table: RoutingTable,
        secrets: Sequence[tuple[int | None, str]],
        *,
        dedup_window_ms: int,
        force: bool = False,
        reading: signature.Reading | None = None,
    ) -> None:
        self._client = client
        self._calls = StoreClient(client, "keep", "change_reason")
        self._table = table
        self._secrets = secrets
        self._dedup_window_ms = dedup_window_ms
        self._force = force
        self._reading = reading

    def check(self, envelope: Envelope) -> Checked:
        """Check a request as if it arrived today. Reads and changes nothing; total over hostile bodies."""
        signed = self._signed(envelope)
        encoding = envelope.headers.get("Content-Encoding")
        request = Request(envelope.business_id, envelope.action, envelope.body, content_encoding=encoding)
        found = evaluate(request, signed.bad_signature, "accept" if self._force else "quarantine")
        if not isinstance(found, Accepted):
            return replace(signed, reason=found.reason)
        return replace(signed, records=found.records, reason=None if found.records else "the body holds no record")

    def _signed(self, envelope: Envelope) -> Checked:
        """Check the signature alone. What the receiver has verified already stays verified."""
        if envelope.verified_by:
            return Checked(verified_by=envelope.verified_by)
        if not self._verifier.secrets_of(envelope.business_id):
            return _unchecked(envelope)
        given = envelope.headers.get(signature.HEADER)
        verdict = self._verifier.verify(envelope.business_id, envelope.body, given)
        return Checked(verified_by=verdict.reading, bad_signature=verdict.doubt)

    @cached_property
    def _verifier(self) -> Verifier:
        """Judges by what the receivers have learnt, too."""
        verifier = Verifier(self._secrets, self._reading)
        for scope, reading in signature_readings.read(self._client).items():
            verifier.learn(scope, reading)
        return verifier

    def would_pass(self, stored: StoredEvent) -> bool:
        """Whether a request would be released, as far as can be known before it is tried."""
        return self.reason_to_stay(stored) is None

    def reason_to_stay(self, stored: StoredEvent) -> str | None:
        """Return why a request would not be released, None if it would."""
        return _obstacle(stored) or self.check(stored.envelope).reason

    def is_blind_to(self, stored: StoredEvent) -> bool:
        """Whether a request stays because no secret of its location is known here."""
        checked = self.check(stored.envelope)
        return _obstacle(stored) is None and checked.is_blind and not self._force

    def run(self, stored: StoredEvent) -> Released:
        """Check one request and, when it passes, make its events. Raises StorageUnavailable.

        A request that the script fails on stays, with that as the reason.
        """
        envelope = stored.envelope
        if obstacle := _obstacle(stored):
            return Released(envelope.id, reason=obstacle)
        checked = self.check(envelope)
        if checked.reason:
            return self._stays(envelope, checked, checked.reason)
        first, *others = [self._entry(envelope, checked, number) for number in range(len(checked.records))]
        try:
            made, reply = self._keep(first, others)
        except StorageUnavailable as error:
            if not is_refusal(error):
                raise
            return Released(envelope.id, reason=f"the store refuses it: {error}")
        if reply == b"a":
            return Released(envelope.id, (envelope.id, *made))
        if reply[:1] == b"d":
            return self._stays(envelope, checked, f"a duplicate of {reply[1:].decode()}")
        return Released(envelope.id, reason="it is not quarantined any more")

    def _keep(self, first: Entry, others: Sequence[Entry]) -> tuple[list[str], bytes]:
        """Return the ids of the events of all further records, and what the script said of the request's own id."""
        made = []
        for some in keep_script.calls(others):
            receipts = keep_script.receipts(some, self._calls.run("keep", *keep_script.arguments(some)))
            made += [receipt.id for receipt in receipts if receipt]
        # The request's own id comes last: until it is released, all of this can be done again and makes nothing twice.
        (reply,) = self._calls.run("keep", *keep_script.arguments([first], releases=True))
        for entry in (*others, first):
            while keep_script.is_long(entry) and keep_script.left(
                self._calls.run("keep", *keep_script.continuation(entry.envelope.id))
            ):
                pass
        return made, reply

    def _stays(self, envelope: Envelope, checked: Checked, reason: str) -> Released:
        """Leave a request where it is, with the reason of today.

        A bad signature stays part of the reason, whatever else is wrong: whoever releases next has to settle it.
        What this process merely cannot check is no reason of the request's, and is not kept.
        """
        kept = reason if checked.bad_signature in (None, reason) else f"{checked.bad_signature}, and {reason}"
        if kept != envelope.quarantine and not checked.is_blind:
            self._calls.run("change_reason", envelope.id, codec.pack(envelope._replace(quarantine=kept)))
        return Released(envelope.id, reason=reason, is_blind=checked.is_blind and reason == checked.bad_signature)

    def _entry(self, request: Envelope, checked: Checked, number: int) -> Entry:
        record = checked.records[number]
        envelope = request._replace(
            id=ids.derived(request.id, number) if number else request.id,
            body=record.raw,
            verified_by=checked.verified_by,
            routes=self._table.hash,
            entity=fingerprint.entity(request.action, record.data),
            quarantine=None,
            headers={},
        )
        plan = HookPlan(request.business_id, request.action, self._table, dedup_window_ms=self._dedup_window_ms)
        return plan.entry(envelope, record)


def _unchecked(envelope: Envelope) -> Checked:
    """Judge a request of a location without secrets: only one that was quarantined for its signature stays."""
    if not (envelope.quarantine or "").startswith(signature.HEADER):
        return Checked()
    return Checked(
        bad_signature=(
            f"{signature.HEADER} cannot be checked here, because no shared secret of location {envelope.business_id} "
            "is set; set FRONTDESK_WEBHOOK_SECRETS or FRONTDESK_WEBHOOK_SECRETS_FILE as for the receiver, or use "
            "`frontdesk release --force`"
        ),
        is_blind=True,
    )


def _obstacle(stored: StoredEvent) -> str | None:
    """Say why there is nothing to check."""
    return stored.loss if stored.status == EventStatus.QUARANTINED else "it is not quarantined"
