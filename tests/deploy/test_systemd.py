"""The systemd units: right to systemd, well confined, each role with its own secrets and the time it needs to stop."""

import configparser
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.cli import main
from receiver.core import settings
from receiver.web.server import FINISH_WITHIN_S
from tests.conftest import program

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
ROLES = ("receiver", "worker", "registrar", "console")
SECRETS = {
    "receiver": {"redis-url", "url-keys", "webhook-secrets"},
    "worker": {"redis-url", "alert-urls"},
    "registrar": {"redis-url", "url-keys", "webhook-secrets", "nexudus-password", "alert-urls"},
    "console": {"redis-url", "webhook-secrets", "admin-token"},
}


class Unit(configparser.RawConfigParser):
    """A unit file; a name that comes several times keeps all its values, one a line."""

    def __init__(self, role: str) -> None:
        super().__init__(strict=False)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # names are not to be lowered
        section, found = "", dict[tuple[str, str], str]()
        for line in (UNITS / f"frontdesk-{role}.service").read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
                self.add_section(section)
            elif line and not line.startswith("#"):
                name, _, value = line.partition("=")
                found[section, name] = "\n".join(filter(None, [found.get((section, name)), value]))
        for (where, name), value in found.items():
            self.set(where, name, value)

    def values(self, name: str) -> list[str]:  # type: ignore[override]  # of the service; not of a section
        """Return all values of a name in [Service]."""
        return self.get("Service", name, fallback="").splitlines()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, which name a program that is there and a user that this machine has."""
    for file in UNITS.iterdir():
        text = file.read_text().replace("/opt/frontdesk/bin/frontdesk", str(Path(sys.executable).parent / "frontdesk"))
        (tmp_path / file.name).write_text(text.replace("=frontdesk\n", "=root\n"))
    return tmp_path


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_them(installed: Path) -> None:
    """`systemd-analyze verify` finds nothing."""
    ran = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *sorted(installed.glob("frontdesk*.[st][ea]r*"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    about_ours = [line for line in (ran.stdout + ran.stderr).splitlines() if "frontdesk" in line]
    assert (ran.returncode, about_ours) == (0, [])


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("role", ROLES)
def test_they_are_confined(role: str, tmp_path: Path) -> None:
    """By systemd's own score, of which 0 is a process that can do nothing and 10 one that may do all."""
    unit = tmp_path / f"frontdesk-{role}.service"
    unit.write_text((UNITS / unit.name).read_text())

    ran = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=yes", "--threshold=18", "--json=short", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    open_doors = {each["name"] for each in json.loads(ran.stdout) if each.get("exposure") and each["set"] is not True}
    assert not {"NoNewPrivileges=", "ProtectSystem=", "ProtectHome=", "PrivateDevices="} & open_doors


@pytest.mark.parametrize("role", ROLES)
def test_the_command_and_settings_are_ours(role: str, tmp_path: Path) -> None:
    """Each is read as they are today, with secrets from systemd's own folder and no others."""
    unit = Unit(role)
    command = shlex.split(unit.get("Service", "ExecStart"))
    credentials = dict(value.split(":") for value in unit.values("LoadCredential"))
    environ = dict(value.split("=", 1) for value in unit.values("Environment"))
    for name in credentials:
        (tmp_path / name).write_text("redis://store:6379/0" if name == "redis-url" else "json://alerts.example/x")

    main.build().parse_args(command[1:], print_error=False, exit_on_error=False)
    read = settings.from_environ({name: value.replace("%d", str(tmp_path)) for name, value in environ.items()})

    assert set(credentials) == SECRETS[role]
    assert all(path == f"/etc/frontdesk/secrets/{name}" for name, path in credentials.items())
    assert read.redis_url
    assert str(read.data_dir) == f"%S/{unit.get('Service', 'StateDirectory')}"


@pytest.mark.parametrize("role", ROLES)
def test_it_comes_back_and_has_time_to_go(role: str) -> None:
    """Restarted for ever; SIGTERM to the parent alone, which knows how to stop its processes."""
    unit = Unit(role)

    assert (unit.get("Service", "Restart"), unit.get("Unit", "StartLimitIntervalSec")) == ("always", "0")
    assert unit.get("Service", "KillMode") == "mixed"
    least = {"receiver": FINISH_WITHIN_S + 25, "console": FINISH_WITHIN_S + 10, "worker": 25 + 15, "registrar": 15}
    assert int(unit.get("Service", "TimeoutStopSec")) >= least[role]
    assert unit.get("Install", "WantedBy") == unit.get("Unit", "PartOf") == "frontdesk.target"
