"""One message when a state opens, one when it closes, to each URL: what was told is noted right after it was.

A state that is seen opens when it has lasted as long as it must, and closes when it has not been seen for a while. A
process that dies between a message and its note repeats that one message; nothing else is told twice.
"""

from collections.abc import Iterable
from typing import Final

import redis

from receiver.core import durations
from receiver.observation import conditions
from receiver.observation.alert_state import AlertBook, Level, Noted
from receiver.observation.conditions import Condition
from receiver.observation.outgoing import Message, Outgoing
from receiver.observation.status_snapshot import Vitals
from receiver.process import logs

CLOSES_AFTER_MS: Final = 30_000
"""A state that comes and goes faster than this stays open: nobody wants a message each minute."""

_MOST_AT_ONCE: Final = 20
_SECOND_MS: Final = 1_000

_log = logs.get()


class Alerts:
    """Brings the book in step with what is seen, and tells. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis, outgoing: Outgoing, *, patience_ms: int) -> None:
        """*patience_ms*: how long a delivery that could run, or an event in a spool, may wait."""
        self._book = AlertBook(client)
        self._outgoing = outgoing
        self._patience_ms = patience_ms

    def turn(self, vitals: Vitals) -> None:
        """Look once. Whoever calls holds the lock."""
        levels = self._levels(vitals)
        seen = conditions.found(vitals, levels, patience_ms=self._patience_ms)
        states = self._book.states()
        self._note(states, seen, vitals.now_ms)
        self._tell(states, vitals.now_ms)

    def _levels(self, vitals: Vitals) -> dict[str, Level]:
        known = self._book.levels()
        levels = {}
        for name, height in conditions.heights(vitals).items():
            # What was there before anybody looked has not grown; what comes up later has.
            level = known.get(name) or Level(0 if known else height)
            level.see(height, vitals.now_ms)
            levels[name] = level
        self._book.note_levels(levels)
        return levels

    def _note(self, states: dict[str, Noted], seen: Iterable[Condition], now_ms: int) -> None:
        """Open and close states, in *states* and in the book."""
        there = {condition.name: condition for condition in seen}
        for name, condition in there.items():
            noted = states.get(name)
            if noted is None:
                noted = states[name] = Noted(condition.title, condition.text, now_ms)
            noted.well_ms, noted.closing = 0, False
            if not noted.opened_ms:
                noted.title, noted.text = condition.title, condition.text
                if now_ms - noted.since_ms >= condition.hold_ms:
                    noted.opened_ms = now_ms
                    _log.warning("alert.opened", kind=condition.kind, subject=condition.subject, title=noted.title)
            self._book.note(name, noted)
        for name in states.keys() - there.keys():
            self._fade(name, states, now_ms)

    def _fade(self, name: str, states: dict[str, Noted], now_ms: int) -> None:
        """Deal with a state that is not seen now."""
        noted = states[name]
        noted.well_ms = noted.well_ms or now_ms
        if noted.opened_ms and not noted.closing and now_ms - noted.well_ms >= CLOSES_AFTER_MS:
            noted.closing = True
            _log.info("alert.closed", kind=name.partition("/")[0], subject=name.partition("/")[2], title=noted.title)
        known = set(noted.told) & set(self._outgoing.digests)
        if not noted.opened_ms or (noted.closing and not known):
            self._book.strike(name)
            del states[name]
        else:
            self._book.note(name, noted)

    def _tell(self, states: dict[str, Noted], now_ms: int) -> None:
        """Send what is to be sent; what was sent is noted before the next."""
        sent = 0
        for name, noted in sorted(states.items()):
            if not noted.opened_ms or (noted.well_ms and not noted.closing):
                continue  # not yet open, or perhaps over already
            for digest in self._outgoing.digests:
                if (digest in noted.told) is not noted.closing or sent >= _MOST_AT_ONCE:
                    continue
                if not self._outgoing.send(digest, _message(noted, now_ms)):
                    _log.warning("alert.not_taken", service=self._outgoing.service(digest), alert=name)
                    continue
                sent += 1
                if noted.closing:
                    noted.told.remove(digest)
                else:
                    noted.told.append(digest)
                self._book.note(name, noted)
            if noted.closing and not set(noted.told) & set(self._outgoing.digests):
                self._book.strike(name)


def _message(noted: Noted, now_ms: int) -> Message:
    if noted.closing:
        lasted = durations.show(max(noted.well_ms - noted.since_ms, 0) // _SECOND_MS * _SECOND_MS)
        return Message(f"Frontdesk: over: {noted.title}", f"It lasted {lasted}.", "success")
    return Message(f"Frontdesk: {noted.title}", noted.text, "failure")
