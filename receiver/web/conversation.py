"""Requests and answers on one connection, in their order: uvicorn's protocol, where some requests are visits.

What leads to the host becomes a Visit and is answered without an application's task; everything else is uvicorn's.
"""

from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from receiver.web.hook_request import GONE, Host, Place, Visit


class Conversation(HttpToolsProtocol):
    """One connection. No request costs a timer: whoever closes idle connections looks at all of them now and then."""

    cycle: Any  # uvicorn's RequestResponseCycle, or a Visit in its place

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
        *,
        host: Host | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._host = host
        self._peer = ""
        self._is_half_closed = False
        self.is_draining = False
        """No answer from now on keeps the connection open."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for more of a body, and leave no circle behind that only the garbage collector undoes."""
        self._leave()
        super().connection_lost(exc)
        if isinstance(self.cycle, Visit):
            self.cycle = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """Nothing more will come. Whoever has asked whole questions still reads the answers; only then close."""
        cycle = self.cycle
        is_owed = cycle is not None and not (cycle.response_complete or cycle.disconnected)
        self._is_half_closed = is_owed and (cycle.is_whole if isinstance(cycle, Visit) else not cycle.more_body)
        return self._is_half_closed

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def asks_for_upgrade(self) -> bool:
        """Whether the parser takes the body of this request for another protocol, and will say so when it has ended."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read a request again as if it did not offer to speak another protocol (HTTP/2, mostly); *rest* follows."""
        head = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        Conversation.data_received(self, b"".join((head, *lines, b"\r\n", rest)))

    def on_message_begin(self) -> None:
        """Begin a head; with pipelining that may be in the middle of what came."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Start the request, or put it behind those that are still to be answered."""
        place = self._host.place(self.url) if self._host else None
        if place is None:
            self._begin_application()
        else:
            self._begin_visit(place)

    def _begin_application(self) -> None:
        """Begin as uvicorn does; only now is there need of a scope."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # this list is in the scope
        super().on_headers_complete()
        if self.is_draining:
            self.cycle.keep_alive = False

    def _begin_visit(self, place: Place) -> None:
        assert self._host is not None  # noqa: S101 - it has told the place
        before = self.cycle
        visit = self.cycle = Visit(
            self._host,
            place,
            self.parser.get_method(),
            self.headers,
            self.transport,
            self.server_state,
            peer=self._peer,
            keep_alive=self._keeps_alive(),
            expects=self.expect_100_continue,
            finished=self.on_response_complete,
        )
        if before is None or before.response_complete:
            visit.begin()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _keeps_alive(self) -> bool:
        return (
            bool(self.parser.should_keep_alive()) and self.parser.get_http_version() != "1.0" and not self.is_draining
        )

    def on_body(self, body: bytes) -> None:
        """Pass a part of a body on."""
        if isinstance(self.cycle, Visit):
            self.cycle.receive(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if isinstance(self.cycle, Visit):
            self.cycle.end()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.loop.call_soon(self._begin_next)  # not at once: thousands may be waiting, each only to be refused
        elif self._is_half_closed:
            self.transport.close()
        else:
            self._read_on()

    def _begin_next(self) -> None:
        cycle, app = self.pipeline.pop()
        self._read_on()  # its body may not have come yet
        if isinstance(cycle, Visit):
            cycle.begin()
        else:
            self._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Take nothing more from somebody who does not read the answers."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._read_on()

    def _read_on(self) -> None:
        if not (self.pipeline or self.flow.write_paused):
            self.flow.resume_reading()

    def _leave(self, status: int = GONE) -> None:
        """Give up a request that is not answered yet; an application's learns it from uvicorn."""
        if isinstance(self.cycle, Visit):
            self.cycle.leave(status)
