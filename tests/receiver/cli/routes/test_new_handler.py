"""`new-handler` writes a package that installs, whose own test passes, and that Frontdesk finds."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.cli.routes.new_handler import next_step, write
from receiver.core.errors import UsageError
from tests.support import processes


def test_the_package_installs_passes_its_test_and_is_found(tmp_path: Path) -> None:
    """The whole way of its author, offline: write, install, test, load by name."""
    assert processes.run("new-handler", "crm-sync", cwd=tmp_path).status == 0
    package, site = tmp_path / "crm-sync", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(Path.cwd())]), "PIP_CONFIG_FILE": os.devnull}

    run([*pip, "--target", str(site), str(package)], environ)

    assert "3 passed" in run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package)], environ)
    load = "print(plugins.installed(), plugins.load('crm-sync', {'file': 'x'}, environ={}, folder=Path()).name)"
    imports = "from pathlib import Path; from workers import plugins; "
    assert run([sys.executable, "-c", imports + load], environ).split() == [
        "('archive',", "'crm-sync',", "'forward',", "'log',", "'notify',", "'sql')", "crm-sync",
    ]  # fmt: skip


def run(arguments: list[str], environ: dict[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(arguments, env=environ, cwd=cwd, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), "{python} -m pip install --no-deps --no-build-isolation -e ./crm && {python} -m pytest crm"),
        (
            ("pytest",),
            (
                "{python} -m pip install --no-deps --no-build-isolation -e ./crm && "
                "{python} -m pip install pytest && {python} -m pytest crm"
            ),
        ),
        (
            ("pip", "hatchling", "pytest"),
            (
                "uv pip install --python {python} --no-deps -e ./crm && "
                "uv pip install --python {python} pytest && {python} -m pytest crm"
            ),
        ),
    ],
)
def test_the_next_step_is_one_that_works_here(
    missing: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this Frontdesk's own Python, with the tools that are there: after `make run`, from the wheel, by uvx."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else find(name))

    assert next_step("crm") == expected.format(python=sys.executable)


def test_what_is_written_is_well_formed(tmp_path: Path) -> None:
    """Formatted and linted as its author would do it; nothing of the template is left."""
    folder = write("door2-codes", tmp_path)

    names = sorted(file.name for file in folder.iterdir())
    assert names == ["README.md", "frontdesk_door2_codes.py", "pyproject.toml", "test_frontdesk_door2_codes.py"]
    assert not any("$" in file.read_text() for file in folder.iterdir())
    ruff, options = [sys.executable, "-m", "ruff"], ["--isolated", "--no-cache", "--line-length", "120"]
    run([*ruff, "format", "--check", *options], dict(os.environ), folder)
    run([*ruff, "check", *options, "--select", "E,F,I,B,UP,N,PT,SIM,RET,DTZ,PTH"], dict(os.environ), folder)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "cannot name a handler"), ("Crm", "cannot name a handler"), ("crm_sync", "cannot name a handler"),
        ("-crm", "cannot name a handler"), ("crm-", "cannot name a handler"), ("crm--sync", "cannot name a handler"),
        ("2crm", "cannot name a handler"), ("../crm", "cannot name a handler"), ("/srv/crm", "cannot name a handler"),
        ("crm\n", "cannot name a handler"), ("c" * 41, "at most 40 characters"), ("zoë", "cannot name a handler"),
        ("class", "a Python keyword; try class-handler"), ("log", "a handler log is already installed"),
    ],
)  # fmt: skip
def test_a_bad_name_is_refused_and_nothing_is_written(name: str, sentence: str, tmp_path: Path) -> None:
    """One sentence with the remedy."""
    with pytest.raises(UsageError, match=f"^new-handler: .*{sentence}"):
        write(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    """Neither a folder, also an empty one, nor a file; the status is 1."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")

    for name in ("empty", "file"):
        with pytest.raises(UsageError, match=f"{name} already exists; choose another name"):
            write(name, tmp_path)
    ran = processes.run("new-handler", "empty", cwd=tmp_path)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("frontdesk: new-handler: empty already exists")
    assert list((tmp_path / "empty").iterdir()) == []
    assert (tmp_path / "file").read_text() == "mine"
