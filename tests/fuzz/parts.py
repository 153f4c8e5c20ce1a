"""Cuts what the fuzzer gives into parts: the first bytes decide, the rest is content, so that seeds can be written."""


class Parts:
    """What is left of one input; when it is used up, everything is 0 or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, below: int) -> int:
        """A number from 0; one byte."""
        byte = self.some(1)
        return byte[0] % below if byte else 0

    def some(self, count: int) -> bytes:
        """The next bytes."""
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def text(self) -> str:
        """Some characters of any kind, lone surrogates too: a byte for their number, then two for each."""
        raw = self.some(2 * self.number(24))
        return raw.decode("utf-16-le", "surrogatepass") if len(raw) % 2 == 0 else ""

    def rest(self) -> bytes:
        """All that is left."""
        return self.some(len(self._data))
