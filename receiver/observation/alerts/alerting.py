"""Sends one message to each URL when an alert opens, and one when it is resolved.

An alert opens when its condition has lasted long enough, and is resolved when the condition has been absent for a
while. Each message is recorded right after it was sent: a process that dies in between repeats that one message.
"""

from collections.abc import Iterable
from typing import Final

import redis

from receiver.core import durations
from receiver.observation.alerts import alert_conditions
from receiver.observation.alerts.alert_condition import AlertCondition
from receiver.observation.alerts.alert_state import AlertState, AlertStore, Level
from receiver.observation.alerts.notifier import Message, Notifier
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.process import logs

CLOSES_AFTER_MS: Final = 30_000
"""An alert whose condition comes and goes faster than this stays open: nobody wants a message each minute."""

_MOST_AT_ONCE: Final = 20
_SECOND_MS: Final = 1_000

_log = logs.get()


class Alerting:
    """Opens and resolves alerts, and sends messages. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis, notifier: Notifier, *, patience_ms: int) -> None:
        """*patience_ms*: how long a delivery that can run, or a spooled event, may wait."""
        self._store = AlertStore(client)
        self._notifier = notifier
        self._patience_ms = patience_ms

    def turn(self, snapshot: StatusSnapshot) -> None:
        """Judge one snapshot. The caller holds the lock."""
        levels = self._levels(snapshot)
        seen = alert_conditions.found(snapshot, levels, patience_ms=self._patience_ms)
        states = self._store.states()
        self._update(states, seen, snapshot.now_ms)
        self._tell(states, snapshot.now_ms)

    def _levels(self, snapshot: StatusSnapshot) -> dict[str, Level]:
        known = self._store.levels()
        levels = {}
        for name, height in alert_conditions.heights(snapshot).items():
            # A count that the first look finds has not grown; one that appears later has.
            level = known.get(name) or Level(0 if known else height)
            level.see(height, snapshot.now_ms)
            levels[name] = level
        self._store.write_levels(levels)
        return levels

    def _update(self, states: dict[str, AlertState], seen: Iterable[AlertCondition], now_ms: int) -> None:
        """Open and resolve alerts, in *states* and in the store."""
        there = {condition.name: condition for condition in seen}
        for name, condition in there.items():
            state = states.get(name)
            if state is None:
                state = states[name] = AlertState(condition.title, condition.text, now_ms)
            state.well_ms, state.closing = 0, False
            if not state.opened_ms:
                state.title, state.text = condition.title, condition.text
                if now_ms - state.since_ms >= condition.hold_ms:
                    state.opened_ms = now_ms
                    _log.warning("alert.opened", kind=condition.kind, subject=condition.subject, title=state.title)
            self._store.write(name, state)
        for name in states.keys() - there.keys():
            self._fade(name, states, now_ms)

    def _fade(self, name: str, states: dict[str, AlertState], now_ms: int) -> None:
        """Handle an alert whose condition is absent now."""
        state = states[name]
        state.well_ms = state.well_ms or now_ms
        if state.opened_ms and not state.closing and now_ms - state.well_ms >= CLOSES_AFTER_MS:
            state.closing = True
            _log.info("alert.closed", kind=name.partition("/")[0], subject=name.partition("/")[2], title=state.title)
        known = set(state.told) & set(self._notifier.digests)
        if not state.opened_ms or (state.closing and not known):
            self._store.remove(name)
            del states[name]
        else:
            self._store.write(name, state)

    def _tell(self, states: dict[str, AlertState], now_ms: int) -> None:
        """Send the messages that are due; each is recorded before the next."""
        sent = 0
        for name, state in sorted(states.items()):
            if not state.opened_ms or (state.well_ms and not state.closing):
                continue  # not open yet, or perhaps resolved already
            for digest in self._notifier.digests:
                if (digest in state.told) is not state.closing or sent >= _MOST_AT_ONCE:
                    continue
                if not self._notifier.send(digest, _message(state, now_ms)):
                    _log.warning("alert.not_taken", service=self._notifier.service(digest), alert=name)
                    continue
                sent += 1
                if state.closing:
                    state.told.remove(digest)
                else:
                    state.told.append(digest)
                self._store.write(name, state)
            if state.closing and not set(state.told) & set(self._notifier.digests):
                self._store.remove(name)


def _message(state: AlertState, now_ms: int) -> Message:
    if state.closing:
        lasted = durations.show(max(state.well_ms - state.since_ms, 0) // _SECOND_MS * _SECOND_MS)
        return Message(f"Frontdesk: resolved: {state.title}", f"It lasted {lasted}.", "success")
    return Message(f"Frontdesk: {state.title}", state.text, "failure")
