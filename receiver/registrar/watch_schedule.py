"""When the watch reconciles: at once, on a schedule, and when routes.yaml is edited; only the leader does."""

import random
import time
from collections.abc import Callable

import structlog

from receiver.core.errors import CredentialsRefused, FrontdeskError, LockLost
from receiver.routing.table_reload import CurrentTable
from receiver.storage.shared.lock import Lock

_JITTER = 0.2
_STANDBY_S = 2.0
_LONGEST_S = 3_600.0
_RECEIVERS_READ_WITHIN_S = 3.0
"""Until so long after an edit a receiver may still route by the old file, and keep a new hook's events unrouted."""

_RECEIVERS_LAG_S = 1.0
"""How much later than this process a receiver may load the same edit."""


def run(
    reconcile: Callable[[], object],
    leader: Lock,
    routes: CurrentTable,
    *,
    every_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Lead when nobody else does, and reconcile as long as we lead. Returns only by an exception from outside.

    *routes* wakes the loop when it loads an edit. An error of Nexudus, of Redis or of the routes is logged, and the
    next round tries again; it never ends the loop.
    """
    log = structlog.get_logger()
    while True:
        try:
            leader.wait(float("inf"), waiting=lambda who: log.info("watch.standing_by", leader=who), poll_s=_STANDBY_S)
            log.info("watch.leading")
            _lead(reconcile, leader, routes, every_s, sleep, log)
        except LockLost as error:
            log.warning("watch.leader_lost", reason=str(error))
        except FrontdeskError as error:
            log.warning("watch.interrupted", reason=str(error))
            sleep(_STANDBY_S)
        finally:
            leader.free()


def _lead(
    reconcile: Callable[[], object],
    leader: Lock,
    routes: CurrentTable,
    every_s: float,
    sleep: Callable[[float], None],
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    refusals = 0
    while True:
        leader.check()
        age_s = max(routes.file_age_s(), 0.0)
        if age_s < _RECEIVERS_READ_WITHIN_S:  # also when we have just begun to lead
            sleep(_RECEIVERS_READ_WITHIN_S - age_s)
        routes.exchanged.clear()  # before the table is used: no edit is missed while a round runs
        try:
            reconcile()
            refusals = 0
        except LockLost:
            raise
        except CredentialsRefused as error:
            refusals += 1  # asking every minute with a wrong password would lock the account
            log.warning("watch.refused", reason=str(error), times=refusals)
        except FrontdeskError as error:
            log.warning("watch.failed", reason=str(error))
        jitter = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 -- not a secret
        if _is_edited_within(min(_LONGEST_S, every_s * 2 ** min(refusals, 20)) * jitter, routes, sleep):
            sleep(_RECEIVERS_LAG_S)


def _is_edited_within(seconds: float, routes: CurrentTable, sleep: Callable[[float], None]) -> bool:
    """Wait for an edit, a second at a time: whoever gave us *sleep* sees that the loop turns."""
    while seconds > 0:
        sleep(0)
        if routes.exchanged.wait(min(seconds, 1.0)):
            return True
        seconds -= 1.0
    return False
