"""What tests share: real servers and real processes, each test's own, gone when it ends."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
import redis
import structlog
from hypothesis import HealthCheck, settings

from receiver.storage.redis import connection
from tests.support import postgres
from tests.support.processes import Command, Process, Valkey, command, environment

# Hundreds of processes are started: without compiled modules, each would take a second instead of half of one.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No example fails because it took long, nor because making it did: on a busy machine that says nothing of us.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


LEFT_OUT = frozenset(os.environ.get("TESTS_WITHOUT", "").split())
"""Programs whose tests are left out on purpose, also under CI=true: .ci/other-python says which and why."""


def find_program(name: str) -> str | None:
    """Return the path of a program on PATH or beside this Python, where test tools of the virtual environment are."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)]))


def program(name: str) -> str:
    """Return the path of a program that the test is marked to need."""
    found = find_program(name)
    assert found, f"mark the test with needs({name!r})"
    return found


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.needs("nginx")`: skip, loudly, where the program is missing; fail where CI promised it."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if name in LEFT_OUT:
                pytest.skip(f"LEFT OUT by TESTS_WITHOUT: what needs {name}")
            if not find_program(name):
                sentence = f"NOT TESTED: {name} is not installed on this machine"
                if os.environ.get("CI") == "true":
                    pytest.fail(f"{sentence}, and under CI=true it must be")
                pytest.skip(sentence)


@pytest.fixture(autouse=True)
def _logging_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that configures logging in this process leaves it as it was: loggers do not remember a test's writer."""
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The server of this test process; tests take `redis_url`, which empties it."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.end()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of this test process (`postgres.new_database`); skipped loudly where there is none."""
    if postgres.find() is None:
        sentence = "NOT TESTED: PostgreSQL is not installed on this machine (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{sentence}, and under CI=true it must be")
        pytest.skip(sentence)
    with postgres.a_server() as url:
        yield url


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The URL of a real server that is empty and that nobody else uses while the test runs."""
    with valkey.client() as client:
        client.flushall()
        client.script_flush()
    return valkey.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of that server; commands of a test that take its URL see what it sees."""
    with connection.connect(redis_url) as connected:
        yield connected


class StartValkey(Protocol):
    """Starts one more server, for tests that kill, freeze or configure it. *port* 0: a socket instead of TCP."""

    def __call__(self, *options: str, port: int = 0, password: str = "") -> Valkey: ...


@pytest.fixture
def start_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartValkey]:
    """Start extra servers; all are gone when the test ends."""
    with contextlib.ExitStack() as stack:

        def start(*options: str, port: int = 0, password: str = "") -> Valkey:
            server = Valkey(tmp_path_factory.mktemp("valkey"), *options, port=port, password=password)
            stack.callback(server.end)
            return server

        yield start


class StartFrontdesk(Protocol):
    """Starts `frontdesk ARGUMENTS`. *settings*: its environment names; the data directory is below tmp_path."""

    def __call__(
        self, *arguments: str, settings: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process: ...


@pytest.fixture
def starts_anew() -> bool:
    """Whether `frontdesk` starts Python for each command, for rooms whose tests are about starting."""
    return False


@pytest.fixture
def frontdesk(tmp_path: Path, starts_anew: bool) -> Iterator[StartFrontdesk]:
    """Start commands of Frontdesk; all are gone when the test ends, in the order of their start."""
    started: list[Process] = []

    def start(*arguments: str, settings: Mapping[str, str] | None = None, cwd: Path | None = None) -> Process:
        environ = environment({"FRONTDESK_DATA_DIR": str(tmp_path / "var"), **(settings or {})})
        log = tmp_path / f"{len(started)}-{arguments[0] if arguments else 'frontdesk'}.log"
        process = (
            Process(command(*arguments), log=log, environ=environ, cwd=cwd)
            if starts_anew
            else Command(*arguments, log=log, environ=environ, cwd=cwd)
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.end()
