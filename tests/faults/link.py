"""A link: a TCP port in front of a server, in a process of its own, that can be told to misbehave.

`python -m tests.faults.link ORDERS` listens at a port of 127.0.0.1 and passes everything on, until one line of JSON at
its control socket says otherwise. What a link can do to what passes:

    pass           nothing
    delay          each piece arrives *seconds* later, in both directions
    stall          pieces wait, none is lost, and go on when the link passes again: a network that comes back
    drop           pieces vanish; a connection that lost some stays dead for ever: a gateway that forgot it
    refuse         every connection is reset, and nobody listens
    reset          every connection is reset, once; new ones pass
    cut            each *every*-th piece on *side* (`request` or `reply`) arrives in part (*keep* of it, 0 to 1), then
                   its connection is reset; with *keep* 0 the other side did it all and nobody is told
"""

import asyncio
import json
import socket
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

from tests.support.processes import Process

Side = Literal["request", "reply"]
Mode = Literal["pass", "delay", "stall", "drop", "refuse", "reset", "cut"]

_PIECE = 65_536
_CONTROL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Command:
    """What the link is to do from now on."""

    mode: Mode
    seconds: float = 0.0
    side: Side = "reply"
    keep: float = 0.5
    every: int = 1


@dataclass(eq=False, slots=True)
class _Joined:
    """One connection through the link. *is_hole*: what goes in never comes out."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    is_hole: bool = False

    def reset(self) -> None:
        """End both sides with RST, as a machine that died or a firewall that had enough."""
        for writer in self.writers:
            taken = writer.get_extra_info("socket")
            if taken is not None and taken.family != socket.AF_UNIX and taken.fileno() >= 0:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """The link's own process."""

    def __init__(self, target: str, port: int) -> None:
        """*target*: a port of 127.0.0.1, or the path of a socket. *port* 0: a free one."""
        self._target = target
        self._port = port
        self._command = Command("pass")
        self._flows = asyncio.Event()
        self._flows.set()
        self._joined: set[_Joined] = set()
        self._server: asyncio.Server | None = None
        self._pieces = 0

    async def run(self, control: str) -> None:
        """Listen and obey until killed."""
        await self._listen()
        async with await asyncio.start_unix_server(self._obey, control) as obeying:
            print(f"link listens at {self._port}", flush=True)
            await obeying.serve_forever()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._command = Command(**json.loads(await reader.readline()))
        (self._flows.clear if self._command.mode == "stall" else self._flows.set)()
        if self._command.mode == "refuse" and self._server:
            self._server.close()
            self._server = None
        elif self._command.mode != "refuse" and self._server is None:
            await self._listen()
        if self._command.mode in ("refuse", "reset"):
            for joined in list(self._joined):
                joined.reset()
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        joined = _Joined((writer, inner_writer))
        self._joined.add(joined)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, inner_writer, "request", joined))
                group.create_task(self._pump(inner_reader, writer, "reply", joined))
        except* OSError:
            joined.reset()
        finally:
            self._joined.discard(joined)
            for each in joined.writers:
                each.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.isdigit():
            return await asyncio.open_connection("127.0.0.1", int(self._target))
        return await asyncio.open_unix_connection(self._target)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, side: Side, joined: _Joined
    ) -> None:
        while piece := await reader.read(_PIECE):
            if self._command.mode == "delay":
                await asyncio.sleep(self._command.seconds)
            await self._flows.wait()
            joined.is_hole = joined.is_hole or self._command.mode == "drop"
            if joined.is_hole:
                continue
            if self._is_cut(side):
                writer.write(piece[: int(len(piece) * self._command.keep)])
                await writer.drain()
                raise ConnectionResetError
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def _is_cut(self, side: Side) -> bool:
        if self._command.mode != "cut" or self._command.side != side:
            return False
        self._pieces += 1
        return self._pieces % self._command.every == 0


class Link(Process):
    """A link as the test sees it: started, told what to do, ended."""

    def __init__(self, folder: Path, name: str, target: str) -> None:
        self._control = str(folder / f"{name}.control")
        orders = json.dumps({"target": target, "control": self._control, "port": 0})
        super().__init__([sys.executable, "-m", "tests.faults.link", orders], log=folder / f"{name}.log", environ={})
        self.port = int(self.wait_for(r"^link listens at (\d+)$")[1])

    def tell(
        self, mode: Mode, *, seconds: float = 0.0, side: Side = "reply", keep: float = 0.5, every: int = 1
    ) -> Self:
        """Have the link behave so from now on."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CONTROL_TIMEOUT_S)
            client.connect(self._control)
            client.sendall(json.dumps(asdict(Command(mode, seconds, side, keep, every))).encode() + b"\n")
            assert client.recv(64) == b"done\n", f"{self} did not obey"
        return self


if __name__ == "__main__":
    _orders = json.loads(sys.argv[1])
    asyncio.run(Proxy(_orders["target"], _orders["port"]).run(_orders["control"]))
