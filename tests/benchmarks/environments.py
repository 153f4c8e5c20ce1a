"""The environments of the peers: made under `build/bench/` when first needed, never part of the project's own."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "build" / "bench"

_PEERS = Path(__file__).resolve().parent / "peers"
_INSTALL_WITHIN_S = 600
_LEAST_NODE = 20


class Missing(Exception):
    """A peer cannot run on this machine; the message says why, and what to install."""


def python(name: str) -> Path:
    """Return the folder of programs of the virtual environment *name*, made from its pinned requirements.

    Raises Missing.
    """
    pinned = _PEERS / "requirements" / f"{name}.txt"
    folder = HOME / name
    if not _is_made(folder, pinned):
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(pinned))
        _made(folder, pinned)
    return folder / "bin"


def node(peer: str) -> Path:
    """Return the folder of a peer that runs on Node, its packages beside its programs. Raises Missing."""
    _node_program()
    source, folder = _PEERS / peer, HOME / peer
    lock = source / "package-lock.json"
    if not _is_made(folder, lock):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        # Not `npm ci`: it refuses a lock that names no index ("omit-lockfile-registry-resolved"), `install` obeys it.
        _run(program("npm", "npm"), "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
        _made(folder, lock)
    shutil.copytree(source, folder, dirs_exist_ok=True)  # programs that were changed since
    return folder


def program(name: str, package: str) -> str:
    """Return the path of a program that Debian's *package* brings. Raises Missing."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed on this machine (Debian: apt-get install {package})")
    return found


def _node_program() -> None:
    shown = subprocess.run([program("node", "nodejs"), "--version"], capture_output=True, text=True, check=False).stdout
    if int(shown.strip().removeprefix("v").partition(".")[0] or 0) < _LEAST_NODE:
        raise Missing(f"node {shown.strip()} is too old for these peers; they need {_LEAST_NODE} or newer")


def _run(*argv: str, cwd: Path | None = None) -> None:
    print(f"  installing: {' '.join(argv[:5])} ...", file=sys.stderr, flush=True)
    try:
        ran = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_INSTALL_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{argv[0]} failed: {error}") from None
    if ran.returncode:
        raise Missing(f"{argv[0]} failed: {ran.stderr.strip()[-400:]}")


def _is_made(folder: Path, pinned: Path) -> bool:
    stamp = folder / "made-from"
    return stamp.exists() and stamp.read_text() == _digest(pinned)


def _made(folder: Path, pinned: Path) -> None:
    (folder / "made-from").write_text(_digest(pinned))


def _digest(pinned: Path) -> str:
    return hashlib.sha256(pinned.read_bytes()).hexdigest()
