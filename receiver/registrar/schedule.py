"""When the watch looks: at once, on a schedule with jitter, and when routes.yaml is edited; only the leader does."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from receiver.core.errors import CredentialsRefused, FrontdeskError, LockLost
from receiver.storage.shared.lock import Lock

_JITTER = 0.2
_POLL_S = 1.0
_STANDBY_S = 2.0
_LONGEST_S = 3_600.0
_RECEIVERS_READ_WITHIN_S = 3.0
"""After an edit: what came for a new hook before a receiver had read the new routes, would be kept unrouted."""


def run(
    reconcile: Callable[[], object],
    leader: Lock,
    routes: Path,
    *,
    every_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Lead when nobody else does, and reconcile as long as we lead. Returns only by an exception from outside.

    An error of Nexudus, of Redis or of the routes is logged and waited out; it never ends the loop.
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
    routes: Path,
    every_s: float,
    sleep: Callable[[float], None],
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    refusals = 0
    while True:
        leader.check()
        _let_receivers_read(routes, sleep)
        seen = _stamp(routes)  # before they are read: an edit while we are busy is not missed
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
        _pause(min(_LONGEST_S, every_s * 2 ** min(refusals, 20)) * jitter, routes, seen, sleep)


def _pause(seconds: float, routes: Path, seen: object, sleep: Callable[[float], None]) -> None:
    """Wait, but not longer than until the routes are edited: looked at, not subscribed to, so that any disk will do."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and _stamp(routes) == seen:
        sleep(min(_POLL_S, left))
    if _stamp(routes) != seen:
        sleep(_RECEIVERS_READ_WITHIN_S)


def _let_receivers_read(routes: Path, sleep: Callable[[float], None]) -> None:
    """Wait until the routes are a few seconds old, whatever made us look: we may just have begun to lead."""
    found = _stamp(routes)
    if found is not None:
        age_s = max(time.time() - found[0] / 1e9, 0.0)
        if age_s < _RECEIVERS_READ_WITHIN_S:
            sleep(_RECEIVERS_READ_WITHIN_S - age_s)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
