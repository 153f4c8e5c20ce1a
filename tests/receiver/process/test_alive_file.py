"""The file that probes look at: touched while the loop turns, never a reason to stop."""

import os
import subprocess
from pathlib import Path

import pytest
import structlog

from receiver.process.alive_file import AliveFile


def looks_alive(file: Path, minutes: int = 1) -> bool:
    """What the chart's probes and Compose's health checks run."""
    command = f'test -n "$(find {file} -mmin -{minutes})"'
    return subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.DEVNULL, check=False).returncode == 0


def test_it_is_touched_and_no_more_often_than_needed(tmp_path: Path) -> None:
    """Each touch makes it young again; between two there are five seconds."""
    now = [100.0]
    alive = AliveFile(tmp_path / "new", "work", now=lambda: now[0])
    file = tmp_path / "new" / "work.alive"
    assert not looks_alive(file)

    alive.touch()
    assert looks_alive(file)
    os.utime(file, (0, 0))
    alive.touch()
    assert not looks_alive(file)
    now[0] += 5
    alive.touch()
    assert looks_alive(file)
    file.unlink()
    now[0] += 5
    alive.touch()
    assert looks_alive(file)


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """And stops nobody."""
    (tmp_path / "file").write_text("")
    now = [0.0]
    alive = AliveFile(tmp_path / "file" / "folder", "work", now=lambda: now[0])

    with structlog.testing.capture_logs() as told:
        for _ in range(3):
            alive.touch()
            now[0] += 5

    assert [line["event"] for line in told] == ["alive.unwritable"]


@pytest.mark.parametrize("minutes", [1, 75])
def test_an_old_one_is_seen_to_be_old(tmp_path: Path, minutes: int) -> None:
    """By the same command with the minutes that are used."""
    alive = AliveFile(tmp_path, "watch")
    alive.touch()
    file = tmp_path / "watch.alive"
    assert looks_alive(file, minutes)
    old = file.stat().st_mtime - 60 * minutes - 1
    os.utime(file, (old, old))
    assert not looks_alive(file, minutes)
