"""What `check` says of the folders that handlers are to write to."""

from pathlib import Path

import pytest

from receiver.cli.health import handler_folders
from tests.support.processes import run


def told(path: Path) -> list[str]:
    """Return the warnings about an option."""
    return list(handler_folders.warnings({"path": path}))


def on(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel say of which kind the file system of the test's folder is."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nnone {tmp_path}/fleeting {kind} rw 0 0\n")
    (tmp_path / "fleeting").mkdir()
    monkeypatch.setattr(handler_folders, "_MOUNTS", mounts)


def test_a_folder_that_lasts_needs_no_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is there or has to be made; nor does a file that is only read."""
    on("xfs", tmp_path, monkeypatch)
    (tmp_path / "file").write_text("")

    assert told(tmp_path / "fleeting") == told(tmp_path / "fleeting" / "new" / "one") == told(tmp_path / "file") == []


@pytest.mark.parametrize(("kind", "word"), [("tmpfs", "in memory"), ("overlay", "the container's own layer")])
def test_one_that_goes_is_named(kind: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it goes with."""
    on(kind, tmp_path, monkeypatch)

    (warning,) = told(tmp_path / "fleeting" / "archive")
    assert warning.startswith(f"option 'path': '{tmp_path}/fleeting/archive' is {word}")
    assert told(tmp_path / "beside") == []


def test_one_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Here below something that is no folder."""
    (tmp_path / "file").write_text("")

    (warning,) = told(tmp_path / "file" / "archive")

    assert "cannot be written by this user" in warning
    assert handler_folders.is_writable(tmp_path)


def test_check_names_route_and_line(tmp_path: Path) -> None:
    """The demo's own: relative to wherever the workers start."""
    (tmp_path / "routes.yaml").write_text(
        "routes:\n  - action: BookingCreate\n    handler: archive\n    with:\n      path: var/archive\n"
    )

    ran = run("check", settings={"FRONTDESK_DATA_DIR": str(tmp_path)}, cwd=tmp_path)

    assert ran.status == 0, ran
    assert "routes.yaml:5: route 'archive': option 'path': 'var/archive' is relative to the folder" in ran.err
