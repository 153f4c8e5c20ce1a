"""A gate between a process and the store: it passes calls on until the one of a number, and holds that."""

import socket
import threading
from contextlib import suppress
from typing import Self


class StoreGate:
    """The gate, at *url*. A call is what the process sends at once: a command, a script, or a pipeline."""

    def __init__(self, path: str) -> None:
        """*path*: the socket of the server."""
        self._path = path
        self._count = threading.Lock()
        self._left = 0
        self._done = False
        self._open: list[socket.socket] = []
        self.held = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def hold_at(self, call: int, *, done: bool) -> None:
        """Hold the call of this number from now on. *done*: the server gets it, and the process no reply."""
        with self._count:
            self._left, self._done = call, done
            self.held.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._path)
                self._open += (near, far)
                for source, target, counts in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pass, args=(source, target, counts), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 20):
                if counts and not self._passes():
                    if self._done:
                        target.sendall(content)
                    self.held.set()
                elif not self.held.is_set():
                    target.sendall(content)
            target.shutdown(socket.SHUT_RDWR)

    def _passes(self) -> bool:
        with self._count:
            self._left -= 1
            return self._left != 0
