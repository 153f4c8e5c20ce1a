"""What is wrong now, in sentences, the gravest first; each with the page that helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from receiver.console.framework.hooks_cache import Seen
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.observation import conditions
from receiver.observation.store_status import Queue, Silence, Worker
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.accounting.maintenance import AuditResult
from receiver.storage.spool.reports import SpoolReport

_LATE_MS: Final = 5 * 60_000


@dataclass(frozen=True, slots=True)
class State:
    """What is looked at. *audit* and *hooks* are None while nobody has looked yet."""

    queues: Sequence[Queue]
    workers: Sequence[Worker]
    standing: Mapping[EventStatus, int]
    spools: Sequence[SpoolReport]
    audit: AuditResult | None
    hooks: Seen | None
    silences: Mapping[int, Silence]
    unfit: Mapping[str, str]
    losses: Sequence[Loss]


def found(routes: CurrentTable, state: State, now_ms: int) -> Iterator[dict[str, str]]:
    """Yield what is wrong."""
    for one in (
        *conditions.of_losses(state.losses),
        *conditions.of_server(state.unfit),
        *conditions.of_unusable(state.spools, now_ms),
    ):
        yield _one(f"{one.title}. {one.text}", "/")
    if state.audit and state.audit.unaccounted:
        yield _one(f"{state.audit.unaccounted} events are unaccounted for; `frontdesk audit` names them.", "/events")
    yield from _of_workers(state, now_ms)
    yield from _of_spools(state.spools, now_ms)
    if routes.problems:
        kept = "the table before it is in force" if routes.table else "events are kept unrouted"
        yield _one(f"The routing file is wrong; {kept}.", "/routes")
    if state.hooks and state.hooks.trouble:
        yield _one(f"{counted(state.hooks.trouble, 'hook')} at Nexudus need attention.", "/hooks")
    for business, silence in state.silences.items():
        if conditions.is_unusual(silence):
            yield _one(
                f"Business {business} is unusually silent: about {silence.expected:.0f} events usually come in that "
                "time.",
                f"/events?business={business}",
            )
    if dead := state.standing[EventStatus.DEAD]:
        yield _one(f"{counted(dead, 'event')} with a dead delivery.", "/dead")
    if quarantined := state.standing[EventStatus.QUARANTINED]:
        yield _one(f"{counted(quarantined, 'request')} in quarantine.", "/quarantine")


def oldest_ms(queues: Sequence[Queue], now_ms: int) -> int | None:
    """Return how long the oldest delivery has waited that could run."""
    since = min((queue.oldest_ms for queue in queues if queue.oldest_ms), default=None)
    return None if since is None else max(now_ms - since, 0)


def _of_workers(state: State, now_ms: int) -> Iterator[dict[str, str]]:
    waiting = sum(queue.ready for queue in state.queues)
    if waiting and not any(worker.is_live(now_ms) for worker in state.workers):
        yield _one(
            f"No worker lives, and {counted(waiting, 'delivery')} can run. `frontdesk work` starts one.", "/workers"
        )
    elif (oldest := oldest_ms(state.queues, now_ms)) and oldest > _LATE_MS:
        yield _one(f"The oldest delivery that could run has waited for {oldest // 60_000} minutes.", "/workers")
    for worker in state.workers:
        if worker.held and not worker.is_live(now_ms):
            held = counted(worker.held, "delivery")
            yield _one(f"Worker {worker.name} is silent and holds {held}.", "/workers")


def _of_spools(spools: Sequence[SpoolReport], now_ms: int) -> Iterator[dict[str, str]]:
    for spool in spools:
        if spool.depth and spool.is_orphaned(now_ms):
            held = counted(spool.depth, "event")
            yield _one(f"A spool on {spool.host} in {spool.folder} holds {held}, and nobody drains it.", "/")


def _one(text: str, page: str) -> dict[str, str]:
    return {"text": text, "page": page}
