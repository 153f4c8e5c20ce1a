"""compose.yaml is what promises 1, 7 and 8 need: nothing volatile, only hooks public, to each role its own secrets."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.cli import main
from receiver.core import settings
from tests.conftest import program

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"receiver-1", "receiver-2", "worker", "watch", "console"}
OTHERS = {"balancer", "valkey", "prometheus", "grafana"}
SENTINEL: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.sentinel.yaml").read_text())
CONFINED = {**SERVICES, **{name: one for name, one in SENTINEL["services"].items() if name not in SERVICES}}


def test_the_parts_are_there() -> None:
    """A load balancer, two receivers, workers, registrar, console, one store, and who watches them."""
    assert set(SERVICES) == OTHERS | OURS
    assert set(SENTINEL["services"]) - set(SERVICES) == {
        *("valkey-2", "valkey-3"),
        *("sentinel-1", "sentinel-2", "sentinel-3"),
    }


def compose(*files: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Let Docker Compose itself read files."""
    named = [part for file in files for part in ("-f", str(DEPLOY / file))]
    return subprocess.run(
        [program("docker-compose"), *named, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], **environ},
    )


@pytest.mark.needs("docker-compose")
def test_compose_takes_it() -> None:
    """By its own schema, with what the file asks for in .env, and says what that is when it is missing."""
    environ = {"FRONTDESK_PUBLIC_URL": "https://hooks.example.com", "FRONTDESK_NEXUDUS_USERNAME": "api@example.com"}

    alone, both = compose("compose.yaml", **environ), compose("compose.yaml", "compose.sentinel.yaml", **environ)
    without = compose("compose.yaml")

    assert (alone.returncode, alone.stderr, both.returncode, both.stderr) == (0, "", 0, "")
    assert "is missing a value: " in without.stderr
    merged = json.loads(both.stdout)["services"]
    assert merged["receiver-1"]["environment"]["FRONTDESK_DURABILITY"] == "replicated"
    assert merged["receiver-1"]["secrets"] == json.loads(alone.stdout)["services"]["receiver-1"]["secrets"]
    assert merged["valkey"]["volumes"] == json.loads(alone.stdout)["services"]["valkey"]["volumes"]


@pytest.mark.parametrize("name", sorted(CONFINED))
def test_every_container_is_confined(name: str) -> None:
    """A read-only root, no capabilities, no new privileges, started again when it dies."""
    service = CONFINED[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_only_the_balancer_has_a_public_port() -> None:
    """Receivers, store and metrics are not reachable from outside; the pages only from the machine itself."""
    ports = {name: service["ports"] for name, service in CONFINED.items() if "ports" in service}

    assert ports.pop("balancer") == ["8080:8080"]
    assert set(ports) == {"console", "grafana"}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert COMPOSE["networks"]["store"] == COMPOSE["networks"]["monitoring"] == {"internal": True}
    assert "monitoring" not in SERVICES["balancer"]["networks"]
    assert "store" not in SERVICES["balancer"]["networks"]


def test_each_receiver_keeps_its_own_spool() -> None:
    """On a volume that outlives the container, mounted at the image's data directory."""
    mounted = [SERVICES[name]["volumes"][0] for name in ("receiver-1", "receiver-2")]

    assert mounted == ["spool-1:/var/lib/frontdesk", "spool-2:/var/lib/frontdesk"]
    assert {"spool-1", "spool-2"} <= set(COMPOSE["volumes"])


def test_the_store_is_what_a_store_must_be() -> None:
    """What `frontdesk check --online` asks for, and a volume."""
    servers = [SERVICES["valkey"], *(SENTINEL["services"][name] for name in ("valkey", "valkey-2", "valkey-3"))]

    for server in servers:
        assert f"--appendfsync {'everysec' if server is servers[0] else 'always'}" in server["command"][-1]
        for option in ("--appendonly yes", "--maxmemory-policy noeviction", "--dir /data"):
            assert option in server["command"][-1]
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_each_role_has_only_its_own_secrets() -> None:
    """Workers know no URL keys, receivers know them and the webhook secrets."""
    seen = {name: set(SERVICES[name]["secrets"]) for name in OURS}

    assert seen["worker"] == {"redis-url", "alert-urls"}
    assert seen["receiver-1"] == seen["receiver-2"] == {"redis-url", "url-keys", "webhook-secrets"}
    assert seen["watch"] == seen["receiver-1"] | {"nexudus-password", "alert-urls"}
    assert seen["console"] == seen["watch"] - {"alert-urls"} | {"admin-token"}
    assert {secret for service in SERVICES.values() for secret in service.get("secrets", [])} == set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_settings_are_settings(name: str, tmp_path: Path) -> None:
    """Each name is known, and each file that holds a secret is mounted by the service that names it."""
    environ = dict(SERVICES[name]["environment"])
    for setting, value in environ.items():
        if setting.endswith("_FILE"):
            secret = value.removeprefix("/run/secrets/")
            assert secret in SERVICES[name]["secrets"]
            (tmp_path / secret).write_text("redis://:x@valkey:6379/0")
            environ[setting] = str(tmp_path / secret)

    settings.from_environ({name: value.partition(":?")[0].replace("${", "https://") for name, value in environ.items()})
    main.build().parse_args(SERVICES[name]["command"], print_error=False, exit_on_error=False)


@pytest.mark.parametrize("name", sorted(CONFINED))
def test_every_container_says_how_it_fares(name: str) -> None:
    """In the file: an engine that builds in the OCI format drops that of the image, and who waits hangs."""
    asked = SERVICES.get(name, CONFINED[name])["healthcheck"]["test"]

    assert asked[0] == "CMD-SHELL" or not any(" " in word for word in asked), "Podman 4 takes them apart at blanks"
    told = shlex.split(asked[-1]) if asked[0] == "CMD-SHELL" else asked[1:]
    if told[0] == "python":
        compile(told[2], name, "exec")
    if name in ("worker", "watch"):
        assert f"/var/lib/frontdesk/{SERVICES[name]['command'][0]}.alive -mmin " in asked[1]
        assert SERVICES[name]["volumes"][0].endswith(":/var/lib/frontdesk")


def test_another_version_comes_one_receiver_after_the_other() -> None:
    """By the script: each is waited for, alone, before the next is touched; its words are Compose's own."""
    script = (DEPLOY / "compose-upgrade.sh").read_text()
    recorded = "compose() { printf '%s\\n' \"$*\"; }"
    traced = re.sub(r"compose\(\) \{.*?^\}", lambda _: recorded, script, flags=re.MULTILINE | re.DOTALL)
    ran = subprocess.run(
        ["/bin/sh", "-c", traced, str(DEPLOY / "x"), "-f", "compose.yaml"], capture_output=True, text=True, check=True
    )

    one = "-f compose.yaml up --detach --no-build --no-deps --wait --wait-timeout 120"
    assert ran.stdout.splitlines() == [
        "-f compose.yaml build receiver-1",
        f"{one} receiver-1",
        "-f compose.yaml exec -T balancer wget -q -T 2 -O /dev/null http://receiver-1:8000/readyz",
        f"{one} receiver-2",
        "-f compose.yaml exec -T balancer wget -q -T 2 -O /dev/null http://receiver-2:8000/readyz",
        f"{one} worker watch console",
    ]
    assert {"receiver-1", "receiver-2", "worker", "watch", "console"} == OURS
    assert "./compose-upgrade.sh" in (DEPLOY / "compose.yaml").read_text()
    assert os.access(DEPLOY / "compose-upgrade.sh", os.X_OK)


@pytest.mark.needs("git")
def test_git_takes_up_nothing_of_an_installation() -> None:
    """Secrets, settings and routes that the head of compose.yaml lets one write beside it."""
    for name in ("secrets/url-keys", "config/routes.yaml", ".env", "frontdesk.env"):
        ran = subprocess.run(["git", "check-ignore", "-q", DEPLOY / name], cwd=DEPLOY, check=False)
        if ran.returncode == 128:
            pytest.skip("no git repository")
        assert ran.returncode == 0, name
    assert (
        subprocess.run(["git", "check-ignore", "-q", DEPLOY / "env.example"], cwd=DEPLOY, check=False).returncode == 1
    )


def test_a_stopping_container_has_more_time_than_its_program() -> None:
    """Docker's ten seconds are shorter than a handler may take."""
    assert {SERVICES[name]["stop_grace_period"] for name in OURS} <= {"60s", "30s"}


def test_the_receivers_believe_the_balancer_and_nobody_else() -> None:
    """Its network is the trusted one, and the addresses are in it."""
    trusted = SERVICES["receiver-1"]["environment"]["FRONTDESK_TRUSTED_PROXIES"]

    assert COMPOSE["networks"]["front"]["ipam"]["config"] == [{"subnet": trusted}]
    assert set(SERVICES["receiver-1"]["networks"]) == {"front", "store", "monitoring"}
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert all(f"server {name}:8000 " in nginx for name in ("receiver-1", "receiver-2"))


def test_each_secret_is_readable_by_its_reader_alone(tmp_path: Path) -> None:
    """The commands at the head of the file, run as they stand: each file is the user's whose containers mount it."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("changing owners takes root")
        pytest.skip("changing owners takes root")
    (tmp_path / "nexudus-password").write_text("secret\n")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "routes.yaml").write_text("routes: []\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "bin" / "sudo").chmod(0o755)
    head = (DEPLOY / "compose.yaml").read_text().partition("docker compose up")[0]
    lines = [line.removeprefix("#   ") for line in head.splitlines() if line.startswith("#   ")]

    ran = subprocess.run(
        ["/bin/sh", "-euc", "\n".join(lines)],
        cwd=tmp_path / "deploy",
        env={"PATH": f"{os.environ['PATH']}:{tmp_path / 'bin'}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    folder = tmp_path / "deploy" / "secrets"
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == set(COMPOSE["secrets"])
    for path in folder.iterdir():
        readers = {one["user"] for one in CONFINED.values() if path.name in one.get("secrets", [])}
        assert path.stat().st_mode & 0o777 == 0o400, path.name
        assert {reader.partition(":")[0] for reader in readers} == {str(path.stat().st_uid)}, path.name
