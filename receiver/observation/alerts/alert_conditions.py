"""The conditions that alerts report. Pure; none of them quotes a payload.

Each has a kind and perhaps a subject (a queue, a business, a route, a spool), a title for the subject line of a mail,
and a text that says what to do. The rules in deploy/prometheus/frontdesk.rules.yml use the same measures.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from receiver.core import durations
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.observation.alerts import failure_alerts, gap_conditions
from receiver.observation.alerts.alert_condition import AlertCondition
from receiver.observation.alerts.alert_state import Level
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.observation.store_status import Silence
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.shared.business_names import place
from receiver.storage.spool.reports import SpoolReport

_MINUTE_MS: Final = 60_000
_GREW_WITHIN_MS: Final = 30 * _MINUTE_MS
_MOST_EXPECTED: Final = 8.0
"""Expected events. In a Poisson process, one silence in three thousand is this long."""
_LATELY_QUARANTINED: Final = 3
_REGISTRAR_SILENT_MS: Final = 15 * _MINUTE_MS
_AUDIT_STALE_MS: Final = 60 * _MINUTE_MS
_RETENTION_LATE_MS: Final = 10 * _MINUTE_MS
_HOOKS: Final = (
    ("hook", ("disabled", "failing"), 0),
    ("hook-astray", ("missing", "drifted", "duplicate"), 5 * _MINUTE_MS),
)
"""Kinds of conditions of hooks: of which states, and how long they must last."""

DEAD: Final = "dead"
"""A count that is always there: it shows that somebody has looked before."""

FILTER: Final = "filter"


def is_unusual(silence: Silence) -> bool:
    """Whether a business should have sent more events since its last one than chance explains."""
    return silence.expected is not None and silence.expected > _MOST_EXPECTED


def heights(snapshot: StatusSnapshot) -> dict[str, int]:
    """Return the counts whose growth is a condition."""
    failed = {
        f"{FILTER}/{field.partition(':')[2]}": count
        for field, count in snapshot.counters.items()
        if field.startswith("where_failed:")
    }
    return {DEAD: snapshot.standing.get(EventStatus.DEAD, 0), **failed}


def found(snapshot: StatusSnapshot, levels: Mapping[str, Level], *, patience_ms: int) -> Iterator[AlertCondition]:
    """Yield all conditions. *patience_ms*: how long a delivery that can run, or a spooled event, may wait."""
    yield from of_losses(snapshot.losses)
    yield from of_server(snapshot.unfit)
    yield from _of_store(snapshot)
    yield from of_unusable(snapshot.spools, snapshot.now_ms)
    yield from _of_spools(snapshot, patience_ms)
    yield from _of_queues(snapshot, patience_ms)
    yield from _of_targets(snapshot)
    yield from failure_alerts.conditions(snapshot.failures, snapshot.now_ms)
    yield from _of_hooks(snapshot)
    yield from gap_conditions.found(snapshot)
    yield from _of_businesses(snapshot)
    yield from _growing(snapshot, levels)


def of_losses(losses: Iterable[Loss]) -> Iterator[AlertCondition]:
    """Yield the losses of data that nobody has acknowledged."""
    for loss in losses:
        yield AlertCondition(
            "lost",
            "The store has lost its data",
            f"{loss.sentence} Restore a backup if you have one and check at Nexudus which events were not handled. "
            "Then run `frontdesk alerts --acknowledge`.",
            subject=loss.mark,
        )


def of_server(unfit: Mapping[str, str]) -> Iterator[AlertCondition]:
    """Yield the settings of the server that lose events (`preflight.unfit`)."""
    for name, sentence in sorted(unfit.items()):
        yield AlertCondition(
            "server", f"The Redis server can lose events: {name}", f"The server reports that {sentence}.", subject=name
        )


def of_unusable(spools: Iterable[SpoolReport], now_ms: int) -> Iterator[AlertCondition]:
    """Yield the spools of running receivers that cannot store an event."""
    for spool in spools:
        if spool.is_unusable(now_ms):
            yield AlertCondition(
                "spool-unusable",
                f"A receiver on {spool.host} cannot spool",
                f"{spool.trouble} (in {spool.folder}). While the store is unavailable, it answers 503. Free "
                "disk space, or correct the folder or FRONTDESK_DATA_DIR; `frontdesk check` tests it.",
                subject=spool.name,
            )


def _of_store(snapshot: StatusSnapshot) -> Iterator[AlertCondition]:
    audit = snapshot.audit
    if audit and audit.unaccounted:
        missing = counted(audit.unaccounted, "event")
        yield AlertCondition("unaccounted", f"{missing} unaccounted for", "`frontdesk audit --full` lists them.")
    if audit and snapshot.now_ms - audit.at_ms > _AUDIT_STALE_MS:
        yield AlertCondition("audit", "The audit is not running", "Workers run the audit. Is `frontdesk work` running?")
    if snapshot.retention_late_ms > _RETENTION_LATE_MS:
        late = durations.show(snapshot.retention_late_ms // _MINUTE_MS * _MINUTE_MS)
        yield AlertCondition(
            "retention",
            f"Retention is {late} behind",
            "Events arrive faster than old ones are deleted, so the store grows. Use a faster machine, or find out "
            "what sends so many events (`frontdesk events`).",
        )
    if snapshot.quarantined_lately >= _LATELY_QUARANTINED:
        yield AlertCondition(
            "quarantine",
            f"Quarantine is growing: {snapshot.quarantined_lately} requests in 15 minutes",
            "The shared secret was probably changed at Nexudus. Add the new one to FRONTDESK_WEBHOOK_SECRETS, then "
            "run `frontdesk release`.",
        )


def _of_spools(snapshot: StatusSnapshot, patience_ms: int) -> Iterator[AlertCondition]:
    orphaned = snapshot.orphaned_spools()
    for spool in (spool for spool in snapshot.spools if spool.depth):
        held, place = counted(spool.depth, "event"), f"on {spool.host} in {spool.folder}"
        if spool in orphaned:
            yield AlertCondition(
                "orphan",
                f"A spool holds {held}, and no receiver drains it",
                f"It is {place}. Start a receiver there, or run `frontdesk drain`.",
                subject=spool.name,
            )
        elif snapshot.now_ms - spool.oldest_ms > patience_ms:
            yield AlertCondition(
                "spool",
                f"A spool is not draining: {held}",
                f"It is {place}. See store.unavailable and store.memory_full in the receiver's log.",
                subject=spool.name,
            )


def _of_queues(snapshot: StatusSnapshot, patience_ms: int) -> Iterator[AlertCondition]:
    for queue in snapshot.queues:
        waiting = queue.ready + queue.scheduled
        if waiting and not snapshot.serving(queue.name):
            yield AlertCondition(
                "worker",
                f"No live worker serves queue {queue.name}",
                f"{counted(waiting, 'delivery')} in it. Start `frontdesk work`, or add `--queue {queue.name}` to one.",
                subject=queue.name,
                hold_ms=30_000,
            )
        elif queue.oldest_ms and snapshot.now_ms - queue.oldest_ms > patience_ms:
            yield AlertCondition(
                "waiting",
                f"Queue {queue.name}: a delivery that can run has waited for over {durations.show(patience_ms)}",
                f"{counted(queue.ready, 'delivery')} can run. Start more workers (`frontdesk work --processes`), or "
                "find the slow handler on the console.",
                subject=queue.name,
            )


def _of_targets(snapshot: StatusSnapshot) -> Iterator[AlertCondition]:
    for route, gate in sorted(snapshot.gates.items()):
        if gate.down_since_ms:
            yield AlertCondition(
                "target",
                f"The target of route {route} is down",
                f"{counted(gate.waiting, 'delivery')} wait without using attempts until it answers or `give_up` ends; "
                "one delivery probes it from time to time.",
                subject=route,
                hold_ms=2 * _MINUTE_MS,
            )


def _of_hooks(snapshot: StatusSnapshot) -> Iterator[AlertCondition]:
    if snapshot.hooks is None:
        return
    if snapshot.now_ms - snapshot.hooks.at_ms > _REGISTRAR_SILENT_MS:
        yield AlertCondition(
            "registrar",
            "Nobody checks the hooks at Nexudus",
            "If Nexudus disables a hook, nobody notices. Is `frontdesk watch` running, and can it sign in?",
        )
    for business, counts in sorted(snapshot.hooks.businesses.items()):
        for kind, states, hold_ms in _HOOKS:
            if listed := ", ".join(f"{counts[one]} {one}" for one in states if counts.get(one)):
                yield AlertCondition(
                    kind,
                    f"Hooks of business {place(business, snapshot.names)}: {listed}",
                    "Nexudus does not resend an event that it could not send. `frontdesk hooks` lists the hooks. The "
                    "watch enables a hook when the receiver answers again; `frontdesk apply` corrects them now.",
                    subject=str(business),
                    hold_ms=hold_ms,
                )


def _of_businesses(snapshot: StatusSnapshot) -> Iterator[AlertCondition]:
    for business, silence in sorted(snapshot.silences.items()):
        if is_unusual(silence):
            silent_ms = (snapshot.now_ms - silence.since_ms) // _MINUTE_MS * _MINUTE_MS
            yield AlertCondition(
                "silent",
                f"Business {place(business, snapshot.names)} is unusually silent",
                f"No event for {durations.show(silent_ms)}, in which about {silence.expected:.0f} usually arrive. "
                "Check `frontdesk hooks`, and that Nexudus reaches FRONTDESK_PUBLIC_URL.",
                subject=str(business),
            )


def _growing(snapshot: StatusSnapshot, levels: Mapping[str, Level]) -> Iterator[AlertCondition]:
    for name, level in sorted(levels.items()):
        if not level.grew_ms or snapshot.now_ms - level.grew_ms > _GREW_WITHIN_MS:
            continue
        kind, _, route = name.partition("/")
        if kind == FILTER and route:
            yield AlertCondition(
                FILTER,
                f"The `where` filter of route {route} fails",
                "Events on which it fails are not delivered to the route. `frontdesk routes explain` shows why; "
                "correct the expression.",
                subject=route,
            )
