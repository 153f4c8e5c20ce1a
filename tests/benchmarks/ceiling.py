"""The least that can answer: no parsing, no application. What the load generator reaches here is the most it can drive.

`python -m tests.benchmarks.ceiling PORT`
"""

import asyncio
import sys

import uvloop

_ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class _Answer(asyncio.Protocol):
    """Every request is of one size and comes whole or in few pieces: its end is that of the record."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}]"):
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Answer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
