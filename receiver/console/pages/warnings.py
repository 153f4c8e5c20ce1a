"""The warnings on the overview, the gravest first, each with its one remedy: a page, or a command to run."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from receiver.console.framework.hooks_cache import HooksSnapshot
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.observation.alerts import alert_conditions
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.observation.store_status import QueueStatus
from receiver.routing.table_reload import CurrentTable

_OVERDUE_MS: Final = 5 * 60_000


def found(routes: CurrentTable, snapshot: StatusSnapshot, hooks: HooksSnapshot | None) -> Iterator[dict[str, Any]]:
    """Yield each warning as its sentence and a page. *hooks* is None while nobody has asked Nexudus."""
    yield from _of_alerts(snapshot)
    if snapshot.audit and snapshot.audit.unaccounted:
        missing = counted(snapshot.audit.unaccounted, "event")
        yield _one(f"The audit could not account for {missing}.", "/events", command="frontdesk audit --full")
    yield from _of_workers(snapshot)
    for spool in snapshot.orphaned_spools():
        held = counted(spool.depth, "event")
        yield _one(
            f"A spool on {spool.host} in {spool.folder} holds {held}, and no receiver drains it.",
            "/",
            command="frontdesk drain",
        )
    if routes.problems:
        kept = "the previous table stays in force" if routes.table else "events are kept unrouted"
        yield _one(f"routes.yaml has errors; {kept}.", "/routes", "Show the errors")
    if hooks and hooks.trouble:
        yield _one(f"{counted(hooks.trouble, 'hook')} at Nexudus need attention.", "/hooks", "Review the plan")
    for business, silence in snapshot.silences.items():
        if alert_conditions.is_unusual(silence):
            yield _one(
                f"Business {business} is unusually silent: about {silence.expected:.0f} events usually arrive in this "
                "time.",
                f"/events?business={business}",
                "Show its events",
            )
    if dead := snapshot.standing[EventStatus.DEAD]:
        yield _one(f"{counted(dead, 'event')} with a dead delivery.", "/failures", "Show the failures")
    if quarantined := snapshot.standing[EventStatus.QUARANTINED]:
        yield _one(f"{counted(quarantined, 'request')} in quarantine.", "/quarantine", "Check and release")


def oldest_ms(queues: Sequence[QueueStatus], now_ms: int) -> int | None:
    """Return the age of the oldest delivery that can run; None when there is none."""
    since = min((queue.oldest_ms for queue in queues if queue.oldest_ms), default=None)
    return None if since is None else max(now_ms - since, 0)


def _of_alerts(snapshot: StatusSnapshot) -> Iterator[dict[str, Any]]:
    """What alerts say of the store and the spools, in the same words."""
    for one in alert_conditions.of_losses(snapshot.losses):
        yield _one(f"{one.title}. {one.text}", "/", command="frontdesk alerts --acknowledge")
    for one in (
        *alert_conditions.of_server(snapshot.unfit),
        *alert_conditions.of_unusable(snapshot.spools, snapshot.now_ms),
    ):
        yield _one(f"{one.title}. {one.text}", "/", command="frontdesk check --online")


def _of_workers(snapshot: StatusSnapshot) -> Iterator[dict[str, Any]]:
    ready = sum(queue.ready for queue in snapshot.queues)
    if ready and not snapshot.live_workers():
        yield _one(
            f"No worker is running, and {counted(ready, 'delivery')} can run.", "/workers", command="frontdesk work"
        )
    elif (oldest := oldest_ms(snapshot.queues, snapshot.now_ms)) and oldest > _OVERDUE_MS:
        yield _one(
            f"The oldest delivery that can run has waited for {oldest // 60_000} minutes.",
            "/workers",
            "Show the queues",
        )
    for worker in snapshot.workers:
        if worker.held and not worker.is_live(snapshot.now_ms):
            held = counted(worker.held, "delivery")
            yield _one(
                f"Worker {worker.name} no longer reports and still holds {held}.", "/workers", "Show the workers"
            )


def _one(text: str, page: str, remedy: str | None = None, command: str | None = None) -> dict[str, Any]:
    """*page* shows more; *remedy* is the label of its link, unless a *command* is the remedy."""
    return {"text": text, "page": page, "remedy": remedy, "command": command}
