"""Pauses and resumes routes, and shows what holds deliveries back: which gates are closed, why, and how many wait.

The scripts enforce the gates (`scripts/shared/gates.lua` explains the keys). A pause applies to a route by its name,
whether routes.yaml has that route or not, until it is resumed: an edit of the file neither ends it nor loses
deliveries."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from receiver.storage.model import decoding
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient, replies

_MOST = 10_000
"""Gates that are read at most; there is one for each key of a route's limits for which deliveries wait."""

_GLANCE = 1_000
"""Jobs of each queue that are read while a route is paused."""

_JOB = re.compile(rb"(\w{20})-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a route: since when (Unix ms), and who paused it."""

    since_ms: int
    who: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What holds back the deliveries of a route. *waiting*: their number, without those that wait for their order. For
    a paused route, it includes deliveries that are still queued, if they are among the first thousand of their queue.

    *told_until_ms*: until when its target asked to wait; *down_since_ms*: since when its target is down;
    *next_probe_ms*: when the next delivery probes it; each 0 if it does not apply. *sparing*: the target was down or
    asked to wait, and now gets few deliveries at first.
    """

    route: str
    pause: Pause | None = None
    waiting: int = 0
    told_until_ms: int = 0
    down_since_ms: int = 0
    next_probe_ms: int = 0
    sparing: bool = False

    @property
    def state(self) -> str:
        """Return one or two words: open, limited, sparing, told to wait, target down, paused."""
        if self.pause:
            return "paused"
        if self.down_since_ms:
            return "target down"
        if self.told_until_ms:
            return "told to wait"
        if self.sparing:
            return "sparing"
        return "limited" if self.waiting else "open"


class Gates:
    """Reads and changes the gates. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._calls = StoreClient(client, "pause")

    def pause(self, route: str, who: str) -> bool:
        """Pause a route: hold all of its deliveries that no worker runs yet. Return False if it was paused already."""
        return bool(self._calls.run("pause", "pause", route, who))

    def resume(self, route: str) -> bool:
        """Resume a route. Return whether it was paused."""
        return bool(self._calls.run("pause", "resume", route))

    def paused(self) -> dict[str, Pause]:
        """Return the routes that are paused, by name."""
        return {
            decoding.text(route): _pause(said)
            for route, said in sorted(self._calls.ask("hgetall", keys.PAUSED).items())
        }

    def standing(self) -> dict[str, Gate]:
        """Return, by name, each route whose deliveries are held back, with what holds them."""
        now = self._calls.now_ms()
        paused = self.paused()
        waiting = self._waiting(paused)
        routes = sorted({*waiting, *paused})
        found = self._calls.ask_all("hgetall", [keys.gate(route) for route in routes])
        gates = (
            _gate(route, paused.get(route), waiting.get(route, 0), said, now)
            for route, said in zip(routes, found, strict=True)
        )
        return {gate.route: gate for gate in gates if gate.state != "open"}

    def _waiting(self, paused: Iterable[str]) -> dict[str, int]:
        """Return how many deliveries wait at the gates of each route that has one; *paused* routes come last."""
        names: Sequence[bytes] = self._calls.ask("zrange", keys.GATES, 0, _MOST - 1)
        gates = sorted({decoding.text(name) for name in names} | set(paused))
        counts = self._calls.ask_all("zcard", [keys.waiting(gate) for gate in gates])
        sums: dict[str, int] = {}
        for gate, count in zip(gates, counts, strict=True):
            route = gate.partition("/")[0]
            sums[route] = sums.get(route, 0) + int(count)
        for route in self._queued(paused):
            sums[route] += 1
        return sums

    def _queued(self, paused: Iterable[str]) -> Iterator[str]:
        """Yield the route of each delivery of *paused* routes that is still in its queue.

        Only workers move deliveries to a gate: without workers, a paused route would seem to have none waiting.
        """
        held = frozenset(paused)
        if not held:
            return
        queues = [rq_keys.queue(decoding.text(name)) for name in self._calls.ask("smembers", keys.QUEUES)]
        found = replies(self._client, [("LRANGE", queue, 0, _GLANCE - 1) for queue in queues])
        jobs = [match for queue in found for match in map(_JOB.fullmatch, queue) if match]
        asked = [("HMGET", keys.state(job[1].decode()), job[2] + b"r", job[2] + b"s", job[2] + b"j") for job in jobs]
        for job, (route, state, serial) in zip(jobs, replies(self._client, asked), strict=True):
            if state == b"q" and (serial or b"1") == job[3] and route and decoding.text(route) in held:
                yield decoding.text(route)


def _pause(said: bytes) -> Pause:
    try:
        known: Mapping[str, Any] = orjson.loads(said)
        return Pause(decoding.moment(known["at"]) or 0, str(known["who"]))
    except (ValueError, KeyError, TypeError):
        return Pause(0, "somebody")


def _gate(route: str, pause: Pause | None, waiting: int, said: Mapping[bytes, bytes], now_ms: int) -> Gate:
    def number(name: bytes) -> int:
        return decoding.moment(said.get(name)) or 0

    until_ms = number(b"until")
    return Gate(
        route,
        pause,
        waiting,
        told_until_ms=until_ms if until_ms > now_ms else 0,
        down_since_ms=number(b"open"),
        next_probe_ms=number(b"next"),
        sparing=b"ramp" in said and waiting > 0,
    )
