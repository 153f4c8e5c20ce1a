"""A real PostgreSQL from Debian's packages, one for a test process, each test with a database of its own."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.processes import free_port

_PACKAGES = Path("/usr/lib/postgresql")
_OPTIONS = "-c fsync=off -c listen_addresses=127.0.0.1 -c max_connections=40"


def find() -> Path | None:
    """Return the folder of PostgreSQL's programs, which Debian keeps out of PATH; None: it is not installed."""
    on_path = shutil.which("initdb")
    folders = [*sorted(_PACKAGES.glob("*/bin"), reverse=True), *([Path(on_path).parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


@contextlib.contextmanager
def a_server() -> Iterator[str]:
    """Start a server until the block ends; give the URL of its databases without their names, for psycopg."""
    programs = find()
    assert programs, "look with find() first"
    user = _user()
    with tempfile.TemporaryDirectory(prefix="fd-pg") as folder:
        if user:
            shutil.chown(folder, user)
        data, port = str(Path(folder, "data")), free_port()
        _run(user, programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        control: list[str | Path] = [programs / "pg_ctl", "-D", data, "-w", "-t", "60"]
        options = f"{_OPTIONS} -c unix_socket_directories={folder} -p {port}"
        _run(user, *control, "-l", str(Path(folder, "log")), "-o", options, "start")
        try:
            yield f"postgresql://tester@127.0.0.1:{port}"
        finally:
            _run(user, *control, "-m", "immediate", "stop")


def new_database(server: str, name: str) -> str:
    """Make a database; return its URL for SQLAlchemy."""
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server.replace('postgresql:', 'postgresql+psycopg:')}/{name}"


def _user() -> str | None:
    """PostgreSQL refuses to run as root; its package has made a user for it."""
    if os.getuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _run(user: str | None, *argv: str | Path) -> None:
    """Run a program as *user*. Its output goes to a file, because the server that it starts keeps a pipe open."""
    with tempfile.TemporaryFile("w+") as said:
        ran = subprocess.run(
            [str(each) for each in argv],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            timeout=120,
            check=False,
        )
        said.seek(0)
        assert ran.returncode == 0, f"{argv}: {said.read()}"
