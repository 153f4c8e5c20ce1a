"""Events as they come, to a page that is open: server-sent events, each with a row as the list shows it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool

from receiver.console.framework.services import Services
from receiver.core.errors import StorageUnavailable
from receiver.core.events import EventStatus
from receiver.operations import json_views
from receiver.operations.search_query import SearchQuery
from receiver.process import logs
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import StoredEvent

MOST: Final = 64
"""Pages that may follow at a time."""

LONGEST_S: Final = 600.0
"""How long one stream lasts; the browser begins another, and shows its session again."""

_LOOK_EVERY_S: Final = 0.5
_MOST_WATCHED: Final = 100
_MOST_ROWS: Final = 100

Render = Callable[[dict[str, Any]], str]


class LiveStreams:
    """Counts the streams that are open."""

    def __init__(self) -> None:
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self._open >= MOST

    async def stream(
        self, services: Services, what: SearchQuery, render: Render, *, redact: bool
    ) -> AsyncIterator[bytes]:
        """Yield rows of new events, and again those of events whose state changed, until it has lasted long enough.

        *redact*: without the messages of errors.
        """
        self._open += 1
        try:
            loop = asyncio.get_running_loop()
            until = loop.time() + LONGEST_S
            follower = await run_in_threadpool(_Follower, services, what, redact)
            yield b"retry: 2000\n\n: following\n\n"  # and nothing that comes from now on is missed
            while loop.time() < until and not services.draining.is_set():
                rows = await run_in_threadpool(follower.look)
                for shape in rows:
                    yield _message(shape["id"], render(shape))
                if not rows:
                    yield b": still here\n\n"
                await asyncio.sleep(_LOOK_EVERY_S)
        except StorageUnavailable as error:
            logs.get().warning("store.unavailable", error=str(error))
        finally:
            self._open -= 1


class _Follower:
    """The events that one stream has sent."""

    def __init__(self, services: Services, what: SearchQuery, redact: bool) -> None:
        self._archive = services.archive
        self._names = services.names
        self._what = what
        self._redact = redact
        self._following = EventTail(services.archive)
        self._watched: dict[str, str] = {}

    def look(self) -> list[dict[str, Any]]:
        """Return the events to show: those that changed since they were shown, then new ones, oldest first."""
        changed = [stored for stored in self._archive.many(list(self._watched)) if self._is_news(stored)]
        new = [stored for stored in self._following.look() if self._what.matches(stored)][-_MOST_ROWS:]
        for stored in new:
            self._watched[stored.envelope.id] = _state(stored)
        for stored in changed + new:
            if stored.status != EventStatus.IN_FLIGHT:
                self._watched.pop(stored.envelope.id, None)
        while len(self._watched) > _MOST_WATCHED:
            del self._watched[next(iter(self._watched))]
        names = self._names.all()
        return [json_views.brief(stored, redact=self._redact, names=names) for stored in changed + new]

    def _is_news(self, stored: StoredEvent) -> bool:
        before, now = self._watched[stored.envelope.id], _state(stored)
        self._watched[stored.envelope.id] = now
        return before != now


def _state(stored: StoredEvent) -> str:
    return " ".join(f"{delivery.status}{delivery.state}{len(delivery.attempts)}" for delivery in stored.deliveries)


def _message(event_id: str, row: str) -> bytes:
    return b"event: kept\ndata: " + orjson.dumps({"id": event_id, "row": row}) + b"\n\n"
