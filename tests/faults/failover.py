"""Blows against a store of a primary and a replica. Each ends when a replica follows again."""

import time
from collections.abc import Callable

from tests.faults.blows import OUTAGE_S
from tests.faults.stand import Stand
from tests.support.processes import Valkey


def kill_primary(stand: Stand) -> None:
    """kill -9; the replica takes over; the old primary comes back as its replica."""
    old = _fail_over(stand, Valkey.kill)
    time.sleep(OUTAGE_S / 2)
    stand.ensemble.start_again_as_replica(old)
    stand.ensemble.wait_until_in_step()


def kill_primary_that_returns(stand: Stand) -> None:
    """kill -9; the replica takes over; the old one is started again, and takes itself for the primary for a while."""
    old = _fail_over(stand, Valkey.kill)
    old.start_again()
    stand.ensemble.wait_until_in_step()


def freeze_primary(stand: Stand) -> None:
    """SIGSTOP until the replica has taken over, SIGCONT: what was sent to it meanwhile it does, and then wakes up to
    what it has become."""
    old = _fail_over(stand, Valkey.freeze)
    time.sleep(OUTAGE_S / 2)
    old.thaw()
    stand.ensemble.wait_until_in_step()


def kill_replica(stand: Stand) -> None:
    """kill -9 of the replica, and again: nobody confirms meanwhile."""
    replica = stand.ensemble.replica
    replica.kill()
    time.sleep(OUTAGE_S)
    stand.ensemble.start_again_as_replica(replica)
    stand.ensemble.wait_until_in_step()


def _fail_over(stand: Stand, end: Callable[[Valkey], object]) -> Valkey:
    old = stand.ensemble.primary
    end(old)
    stand.store = stand.ensemble.wait_for_failover(old)
    return old
