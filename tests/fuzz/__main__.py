"""`python -m tests.fuzz TARGET [libFuzzer's options] [FILE that it left]`."""

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

TARGETS = ("signature_check", "payload_split", "routes_parse", "door_knock")


def main() -> None:
    """Fuzz one target; never returns."""
    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"{name!r} is no target; known: {', '.join(TARGETS)}")
    with atheris.instrument_imports(include=["receiver"]):
        target = importlib.import_module(f"tests.fuzz.{name}")
    if all(option.startswith("-") for option in options):
        options.append(_corpus(target.seeds()))
    atheris.Setup([sys.argv[0], *options], target.one)
    atheris.Fuzz()


def _corpus(seeds: list[bytes]) -> str:
    """Good input to begin with, in a folder that libFuzzer adds to; the folder stays, as atheris ends the process."""
    folder = Path(tempfile.mkdtemp(prefix="fd-fuzz-"))
    for number, seed in enumerate(seeds):
        (folder / str(number)).write_bytes(seed)
    return str(folder)


if __name__ == "__main__":
    main()
