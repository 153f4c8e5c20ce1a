"""What is wrong now, as states that open and close. Pure; no word of a payload is in any of them.

Each has a kind and perhaps a subject (a queue, a business, a route, a spool), a title for the subject line of a mail,
and a text that says what to do. The rules in deploy/prometheus/frontdesk.rules.yml judge by the same measures.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.core import durations
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.observation.alert_state import Level
from receiver.observation.status_snapshot import Vitals
from receiver.observation.store_status import Silence
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.spool.reports import SpoolReport

_MINUTE_MS: Final = 60_000
_GREW_WITHIN_MS: Final = 30 * _MINUTE_MS
_UNUSUAL: Final = 8.0
"""Events that were to be expected: of a Poisson process, one silence in three thousand is so long."""
_LATELY_QUARANTINED: Final = 3
_REGISTRAR_SILENT_MS: Final = 15 * _MINUTE_MS
_AUDIT_STALE_MS: Final = 60 * _MINUTE_MS
_RETENTION_LATE_MS: Final = 10 * _MINUTE_MS
_GRAVE: Final = ("disabled", "failing")
_MENDABLE: Final = ("missing", "drifted", "duplicate")

DEAD: Final = "dead"
FILTER: Final = "filter"


@dataclass(frozen=True, slots=True)
class Condition:
    """One state that is there now. *hold_ms*: how long it must last before it counts: what heals by itself."""

    kind: str
    subject: str
    title: str
    text: str
    hold_ms: int = 0

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.kind}/{self.subject}" if self.subject else self.kind


def is_unusual(silence: Silence) -> bool:
    """Whether more was to be expected since a business's last event than chance explains."""
    return silence.expected is not None and silence.expected > _UNUSUAL


def heights(vitals: Vitals) -> dict[str, int]:
    """Return the numbers whose growth is a state."""
    failed = {
        f"{FILTER}/{field.partition(':')[2]}": count
        for field, count in vitals.counters.items()
        if field.startswith("where_failed:")
    }
    return {DEAD: vitals.standing.get(EventStatus.DEAD, 0), **failed}


def found(vitals: Vitals, levels: Mapping[str, Level], *, patience_ms: int) -> Iterator[Condition]:
    """Yield what is wrong. *patience_ms*: how long what could be done now may wait."""
    yield from of_losses(vitals.losses)
    yield from of_server(vitals.unfit)
    yield from _of_store(vitals)
    yield from of_unusable(vitals.spools, vitals.now_ms)
    yield from _of_spools(vitals, patience_ms)
    yield from _of_queues(vitals, patience_ms)
    yield from _of_targets(vitals)
    yield from _of_hooks(vitals)
    yield from _of_businesses(vitals)
    yield from _growing(vitals, levels)


def of_losses(losses: Iterable[Loss]) -> Iterator[Condition]:
    """Yield the losses that nobody has acknowledged."""
    for loss in losses:
        yield Condition(
            "lost",
            loss.mark,
            "The store has lost what it held",
            f"{loss.sentence} Restore a backup if there is one, and look up at Nexudus what was not handled; then "
            "`frontdesk alerts --acknowledge`.",
        )


def of_server(unfit: Mapping[str, str]) -> Iterator[Condition]:
    """Yield what the server is not but must be (`storage.server.unfit`)."""
    for name, sentence in sorted(unfit.items()):
        yield Condition("server", name, f"The server of the store loses events: {name}", f"It says that {sentence}.")


def of_unusable(spools: Iterable[SpoolReport], now_ms: int) -> Iterator[Condition]:
    """Yield the spools of running receivers that can take no event."""
    for spool in spools:
        if spool.is_unusable(now_ms):
            yield Condition(
                "spool-unusable",
                spool.name,
                f"A receiver on {spool.host} cannot spool",
                f"{spool.trouble} (in {spool.folder}). If the store goes away, its requests are answered 503. Make "
                "room there, or mend the folder or FRONTDESK_DATA_DIR; `frontdesk check` tries it.",
            )


def _of_store(vitals: Vitals) -> Iterator[Condition]:
    audit = vitals.audit
    if audit and audit.unaccounted:
        yield Condition(
            "unaccounted",
            "",
            f"{counted(audit.unaccounted, 'event')} unaccounted for",
            "`frontdesk audit --full` names them.",
        )
    if audit and vitals.now_ms - audit.at_ms > _AUDIT_STALE_MS:
        yield Condition("audit", "", "Nobody audits", "The audit is done by workers. Is `frontdesk work` running?")
    if vitals.retention_late_ms > _RETENTION_LATE_MS:
        late = durations.show(vitals.retention_late_ms // _MINUTE_MS * _MINUTE_MS)
        yield Condition(
            "retention",
            "",
            f"Retention is {late} behind",
            "Events come in faster than those that are over expire, so the store grows. Give it a faster machine, "
            "or look at what sends so many events (`frontdesk events`).",
        )
    if vitals.quarantined_lately >= _LATELY_QUARANTINED:
        yield Condition(
            "quarantine",
            "",
            f"Quarantine grows: {vitals.quarantined_lately} requests in 15 minutes",
            "Most likely the shared secret was changed at Nexudus. Put the new one into FRONTDESK_WEBHOOK_SECRETS, "
            "then `frontdesk release`.",
        )


def _of_spools(vitals: Vitals, patience_ms: int) -> Iterator[Condition]:
    orphaned = vitals.orphaned_spools()
    for spool in vitals.spools:
        if not spool.depth:
            continue
        held, place = counted(spool.depth, "event"), f"on {spool.host} in {spool.folder}"
        if spool in orphaned:
            yield Condition(
                "orphan",
                spool.name,
                f"A spool holds {held}, and no receiver looks after it",
                f"It lies {place}. Start a receiver there, or run `frontdesk drain`.",
            )
        elif vitals.now_ms - spool.oldest_ms > patience_ms:
            yield Condition(
                "spool",
                spool.name,
                f"A spool does not drain: {held}",
                f"It lies {place}. See store.unavailable and store.memory_full in the receiver's log.",
            )


def _of_queues(vitals: Vitals, patience_ms: int) -> Iterator[Condition]:
    for queue in vitals.queues:
        waiting = queue.ready + queue.scheduled
        if waiting and not vitals.serving(queue.name):
            yield Condition(
                "worker",
                queue.name,
                f"No live worker serves queue {queue.name}",
                f"{counted(waiting, 'delivery')} in it. Start `frontdesk work`, or add `--queue {queue.name}` to one.",
                hold_ms=30_000,
            )
        elif queue.oldest_ms and vitals.now_ms - queue.oldest_ms > patience_ms:
            yield Condition(
                "waiting",
                queue.name,
                f"Queue {queue.name}: a delivery that could run waits for over {durations.show(patience_ms)}",
                f"{counted(queue.ready, 'delivery')} could run. Start more workers (`frontdesk work --processes`), or "
                "see on the console which handler is slow.",
            )


def _of_targets(vitals: Vitals) -> Iterator[Condition]:
    for route, gate in sorted(vitals.gates.items()):
        if gate.down_since_ms:
            yield Condition(
                "target",
                route,
                f"The target of route {route} is down",
                f"{counted(gate.waiting, 'delivery')} held, at no charge, until it answers or `give_up` is over; the "
                "route tries it now and then.",
                hold_ms=2 * _MINUTE_MS,
            )


def _of_hooks(vitals: Vitals) -> Iterator[Condition]:
    if vitals.hooks is None:
        return
    if vitals.now_ms - vitals.hooks.at_ms > _REGISTRAR_SILENT_MS:
        yield Condition(
            "registrar",
            "",
            "Nobody looks at the hooks at Nexudus",
            "A hook that Nexudus switches off goes unseen. Is `frontdesk watch` running, and may it sign in?",
        )
    for business, counts in sorted(vitals.hooks.businesses.items()):
        for kind, conditions, hold_ms in (("hook", _GRAVE, 0), ("hook-astray", _MENDABLE, 5 * _MINUTE_MS)):
            told = ", ".join(f"{counts[one]} {one}" for one in conditions if counts.get(one))
            if told:
                yield Condition(
                    kind,
                    str(business),
                    f"Hooks of business {business}: {told}",
                    "Nexudus does not send again what it could not send. `frontdesk hooks` says which; the watch "
                    "enables a hook again once the receiver answers, `frontdesk apply` mends them now.",
                    hold_ms,
                )


def _of_businesses(vitals: Vitals) -> Iterator[Condition]:
    for business, silence in sorted(vitals.silences.items()):
        if is_unusual(silence):
            silent_ms = (vitals.now_ms - silence.since_ms) // _MINUTE_MS * _MINUTE_MS
            yield Condition(
                "silent",
                str(business),
                f"Business {business} is unusually silent",
                f"No event for {durations.show(silent_ms)}, in which about {silence.expected:.0f} usually come. Look "
                "at `frontdesk hooks`, and whether Nexudus reaches FRONTDESK_PUBLIC_URL.",
            )


def _growing(vitals: Vitals, levels: Mapping[str, Level]) -> Iterator[Condition]:
    for name, level in sorted(levels.items()):
        if not level.grew_ms or vitals.now_ms - level.grew_ms > _GREW_WITHIN_MS:
            continue
        kind, _, route = name.partition("/")
        if kind == DEAD:
            yield Condition(
                DEAD,
                "",
                "Deliveries die",
                f"{counted(level.height, 'event')} with a dead delivery. Mend the handler or its target, then replay "
                "them (`frontdesk replay --status dead`, or on the console).",
            )
        elif kind == FILTER and route:
            yield Condition(
                FILTER,
                route,
                f"The `where` of route {route} fails on events",
                "Those events are not delivered to it. `frontdesk routes explain` shows on what; mend the expression.",
            )
