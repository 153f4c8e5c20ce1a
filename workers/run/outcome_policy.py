"""Decides what happens to a delivery after an attempt, by the current version of its route: done, retried, dead, or
waiting for its target. Pure functions.

The retry schedule is the route's (`receiver/routing/document/shapes.py`); `workers.api` bounds what a target asks for.
"""

from receiver.core.events import Outcome
from receiver.routing.flow_rules import GIVE_UP_MS
from receiver.routing.route import Route
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim
from receiver.storage.queue.route_limits import TargetReport
from workers.run.delivery_loader import NotReady
from workers.run.execution import AttemptResult
from workers.run.timeliness import Early, Unrunnable

UNKNOWN_FOR_MS = 3_600_000
"""How long a delivery waits for a route or handler that a worker does not know yet: a deploy may be under way."""

_SHORTEST_PAUSE_MS = 1_000


def after_attempt(
    claim: Claim, route: Route, result: AttemptResult, *, worker: str, started_ms: int, ended_ms: int
) -> Acknowledgement:
    """Return what becomes of a delivery whose handler ran."""
    attempt = Attempt(claim.attempts + 1, str(result.outcome), started_ms, ended_ms, worker, result.error)
    if result.outcome == Outcome.SUCCEEDED:
        return Acknowledgement(claim.job, "succeeded", attempt=attempt)
    if result.outcome == Outcome.DISCARDED:
        return Acknowledgement(claim.job, "discarded", attempt=attempt)
    give_up_ms = route.flow.give_up_ms if route.flow else GIVE_UP_MS
    if result.uncharged:
        delay = _SHORTEST_PAUSE_MS if result.retry_after_ms is None else result.retry_after_ms
        return Acknowledgement(
            claim.job, "uncharged", delay, route.timeout_ms, attempt, TargetReport("busy", give_up_ms)
        )
    # An attempt that we ended tells nothing about a target: the handler itself may hang.
    target = TargetReport("down", give_up_ms) if result.target_down else None
    if result.final or claim.failures >= len(route.retry_ms):
        return Acknowledgement(claim.job, "dead", 0, route.timeout_ms, attempt, target)
    delay = route.retry_ms[claim.failures] if result.retry_after_ms is None else result.retry_after_ms
    return Acknowledgement(claim.job, "retry", delay, route.timeout_ms, attempt, target)


def when_unrunnable(claim: Claim, reason: Unrunnable, *, worker: str, now_ms: int) -> Acknowledgement:
    """Return what becomes of a delivery that this worker cannot run.

    When its time is later now, it waits for that. When only its route or handler is unknown here, other workers may run
    it for an hour. Otherwise it is dead.
    """
    if isinstance(reason, Early):
        return Acknowledgement(claim.job, "put_off", reason.due_ms - now_ms, reason.timeout_ms)
    unknown_for_ms = now_ms - claim.unknown_ms if claim.unknown_ms else 0
    if isinstance(reason, NotReady) and unknown_for_ms <= UNKNOWN_FOR_MS:
        return Acknowledgement(claim.job, "unknown")
    attempt = Attempt(claim.attempts + 1, str(Outcome.FAILED), now_ms, now_ms, worker, str(reason))
    return Acknowledgement(claim.job, "dead", attempt=attempt)
