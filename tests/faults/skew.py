"""A wrong clock for a process: `time.time` of every Python started with it is off by what a file says at the moment."""

from pathlib import Path

_CODE = """
import os, time
_path, _right = os.environ["SKEW_FILE"], time.time


def _wrong():
    with open(_path) as file:
        return _right() + float(file.read() or 0)


time.time = _wrong
"""


class Skew:
    """The clocks of one command and its children; right until told otherwise."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.skew"
        self._code = folder / "skew"
        self._code.mkdir(exist_ok=True)
        (self._code / "sitecustomize.py").write_text(_CODE)
        self.be(0.0)

    def be(self, seconds: float) -> None:
        """Be off by so much from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)

    def settings(self) -> dict[str, str]:
        """What a command must be started with."""
        return {"PYTHONPATH": str(self._code), "SKEW_FILE": str(self._file)}
