"""The systemd units: right to systemd, well confined, each role with its own secrets and the time it needs to stop."""

import configparser
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
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


FILES = {role: f"frontdesk-{role}{'@' * (role == 'receiver')}.service" for role in ROLES}


class Unit(configparser.RawConfigParser):
    """A unit file; a name that comes several times keeps all its values, one a line."""

    def __init__(self, role: str) -> None:
        super().__init__(strict=False)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # names are not to be lowered
        section, found = "", dict[tuple[str, str], str]()
        for line in (UNITS / FILES[role]).read_text().splitlines():
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
        name = file.name.replace("@.", "@1.")
        (tmp_path / name).write_text(text.replace("=frontdesk\n", "=root\n"))
    return tmp_path


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_them(installed: Path) -> None:
    """`systemd-analyze verify` finds nothing."""
    ran = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *sorted(installed.glob("frontdesk*.[st][eao][rc]*"))],
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
    unit = tmp_path / FILES[role].replace("@", "@1")
    unit.write_text((UNITS / FILES[role]).read_text())

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


@pytest.mark.parametrize("role", ROLES)
def test_a_file_that_is_missing_is_named(role: str) -> None:
    """Before it starts: systemd calls a credential that is not there a protocol error, and names no file."""
    unit = Unit(role)

    asserted = set(unit.get("Unit", "AssertPathExists").splitlines())
    assert asserted == {f"/etc/frontdesk/secrets/{name}" for name in SECRETS[role]}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_settings_of_its_own(role: str) -> None:
    """Read last, so that they hold: an address for one is not one for the others."""
    files = [file for file in Unit(role).values("EnvironmentFile") if "handlers" not in file]

    assert files == ["-/etc/frontdesk/frontdesk.env", f"-/etc/frontdesk/{role}.env"]


def test_receivers_listen_at_a_socket_that_stays() -> None:
    """Of a unit of its own, which any number of them take; and they share the folder, so that spools are adopted."""
    socket = configparser.RawConfigParser()
    socket.read(UNITS / "frontdesk-receiver.socket")
    receiver = Unit("receiver")

    assert socket.get("Socket", "ListenStream") == "127.0.0.1:8000"
    assert socket.get("Socket", "Service") == "frontdesk-receiver@1.service"
    assert receiver.get("Service", "Sockets") == receiver.get("Unit", "Requires") == "frontdesk-receiver.socket"
    assert "frontdesk-receiver.socket" in receiver.get("Unit", "After").split()
    assert "%i" not in receiver.get("Service", "StateDirectory")


@pytest.fixture
def handed_to(tmp_path: Path) -> Callable[..., list[str]]:
    """Run frontdesk-ctl where `systemctl cat` shows the shipped units; return what it hands to `systemd-run`."""
    for name, script in {
        "systemctl": f'cat "{UNITS}/$(echo "$2" | sed s/@1/@/)"; printf "[Service]\\nEnvironment=A=of a drop-in\\n"',
        "systemd-run": 'printf "%s\\n" "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run(*arguments: str) -> list[str]:
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        argv = [str(UNITS / "frontdesk-ctl"), *arguments]
        ran = subprocess.run(argv, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout.splitlines()

    return run


@pytest.mark.parametrize("role", ROLES)
def test_a_command_runs_as_its_role_does(handed_to: Callable[..., list[str]], role: str) -> None:
    """With all that the unit gives and forbids, in its order, secrets from the command's own folder; seen on a booted
    systemd too, which is not to be had here."""
    words = handed_to(role, "events", "--since", "1 d")

    end = words.index("--")
    assert words[end:] == ["--", "/opt/frontdesk/bin/frontdesk", "events", "--since", "1 d"]
    begin = words.index("-p")
    assert words[:begin][:4] == ["--quiet", "--collect", "--wait", "--pipe"]
    mine = words[begin - 1].removeprefix("--unit=")
    given = words[begin + 1 : end : 2]
    assert set(words[begin:end:2]) == {"-p"}
    text = (UNITS / FILES[role]).read_text().partition("[Service]")[2].partition("[Install]")[0]
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    own = ("Type=", "Exec", "Restart", "KillMode=", "TimeoutStopSec=", "OOMPolicy=", "Sockets=")
    kept = [line for line in lines if not line.startswith(own)]
    folder = f"/run/credentials/{mine}"
    assert given == [
        *(line.replace("%d", folder).replace("%S", "/var/lib") for line in kept),
        "Environment=A=of a drop-in",
    ]
    assert {"User=frontdesk", "ProtectSystem=strict", "NoNewPrivileges=yes"} <= set(given)
    assert "%" not in "".join(given)


@pytest.mark.parametrize(
    ("command", "role"), [("audit", "receiver"), ("drain", "receiver"), ("plan", "registrar"), ("check", "worker")]
)
def test_a_command_finds_its_role(handed_to: Callable[..., list[str]], command: str, role: str) -> None:
    """Whose settings it needs: `drain` the receivers' folder, `plan` what the registrar knows."""
    words = handed_to(command, "--json")

    assert words[-2:] == [command, "--json"]
    assert f"StateDirectory=frontdesk/{role}" in words
