"""`frontdesk watch`: the registrar as a loop."""

import sys
import time
from typing import Annotated

import redis
from cyclopts import Parameter

from receiver.cli.health import alert_setup
from receiver.cli.registrar.factory import LOCK, Registrar, opened
from receiver.core import durations
from receiver.core.errors import SettingsError, UsageError
from receiver.process import end_signals, standard_streams
from receiver.process.alive import AliveFile
from receiver.registrar import probe, schedule
from receiver.registrar.guardrails import Restraint
from receiver.registrar.watch import Parts, Watch
from receiver.storage.shared.audit_log import Acts
from receiver.storage.shared.lock import Lock
from receiver.storage.shared.registrations import RegistrarMemory

_LEADER = "registrar-leader"


def watch(*, every: str = "1m", grace: str = "7d", once: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Keep the webhooks at Nexudus in step with routes.yaml; of several watches one leads, the others stand by.

    Re-enables what Nexudus disabled once the receiver answers at FRONTDESK_PUBLIC_URL; never moves hooks between hosts,
    never takes away more than 30 % of them. Runs until it is told to stop.

    Parameters
    ----------
    every
        How often to look; give or take a fifth. An edit of routes.yaml is seen within seconds.
    grace
        How long a webhook that is no longer routed stays active.
    once
        Look once and end; exit status 1 when something could not be done. What waits (for a week, for proof that the
        receiver answers) is no failure.
    """
    every_s, grace_ms = _milliseconds("every", every) / 1_000, _milliseconds("grace", grace)
    end_signals.answer(lambda *_: sys.exit(0))
    standard_streams.detach_output()
    with opened("watch", alone=False) as registrar:
        if registrar.store is None:
            raise SettingsError("watch needs Redis; set FRONTDESK_REDIS_URL")
        alive = AliveFile(registrar.settings.data_dir, "watch")
        with _Leader(registrar.store, alive) as leader:
            watching = _watch(registrar, leader, Restraint(grace_ms=grace_ms))
            if once:
                leader.wait(0, waiting=lambda _: None)
                applied = watching.reconcile()
                return 0 if applied is not None and applied.is_complete else 1
            with alert_setup.watching(registrar.settings):
                routes = registrar.settings.routes
                schedule.run(watching.reconcile, leader, routes, every_s=max(every_s, 0.1), sleep=leader.sleep)
    return 0


class _Leader(Lock):
    """The leader's lock; whenever it is taken, waited for or made sure of, and in pauses, the loop is seen to turn."""

    def __init__(self, store: redis.Redis, alive: AliveFile) -> None:
        super().__init__(store, _LEADER)
        self._alive = alive

    def take(self) -> str | None:
        """As ever."""
        self._alive.touch()
        return super().take()

    def check(self) -> None:
        """As ever."""
        self._alive.touch()
        super().check()

    def sleep(self, seconds: float) -> None:
        """Pause; schedule.run pauses a second at a time."""
        self._alive.touch()
        time.sleep(seconds)


def _watch(registrar: Registrar, leader: Lock, restraint: Restraint) -> Watch:
    store, url = registrar.store, registrar.settings.public_url
    assert store is not None and url is not None  # noqa: S101, PT018 -- opened() saw to it; for the type checker
    parts = Parts(
        webhooks=registrar.webhooks,
        survey=registrar.survey,
        memory=RegistrarMemory(store),
        acts=Acts(store, is_logged=True),
        lock=Lock(store, LOCK),
        read_routes=registrar.routes,
        unreachable=lambda: probe.unreachable(url, registrar.ownership.keys),
        behind=lambda: probe.behind(url, registrar.ownership.keys),
    )
    return Watch(parts, leads=leader.check, restraint=restraint)


def _milliseconds(option: str, value: str) -> int:
    try:
        return durations.parse(value)
    except ValueError as error:
        raise UsageError(f"--{option}: {error}") from None
