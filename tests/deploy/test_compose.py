"""compose.yaml is what promises 1, 7 and 8 need: nothing volatile, only hooks public, to each role its own secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver import settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"receiver-1", "receiver-2", "worker"}


def test_the_parts_are_there() -> None:
    """A load balancer, two receivers, workers, one store."""
    assert set(SERVICES) == {"balancer", "valkey"} | OURS


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name: str) -> None:
    """A read-only root, no capabilities, no new privileges, started again when it dies."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_only_the_balancer_has_a_port() -> None:
    """Receivers, store and metrics are not reachable from outside."""
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["balancer"]
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert "store" not in SERVICES["balancer"]["networks"]


def test_each_receiver_keeps_its_own_spool() -> None:
    """On a volume that outlives the container, mounted at the image's data directory."""
    mounted = [SERVICES[name]["volumes"][0] for name in ("receiver-1", "receiver-2")]

    assert mounted == ["spool-1:/var/lib/frontdesk", "spool-2:/var/lib/frontdesk"]
    assert {"spool-1", "spool-2"} <= set(COMPOSE["volumes"])


def test_the_store_is_what_a_store_must_be() -> None:
    """What `frontdesk check --online` asks for, and a volume."""
    command = SERVICES["valkey"]["command"][-1]

    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction", "--dir /data"):
        assert option in command
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_each_role_has_only_its_own_secrets() -> None:
    """Workers know no URL keys, receivers know them and the webhook secrets."""
    seen = {name: set(SERVICES[name]["secrets"]) for name in OURS}

    assert seen["worker"] == {"redis-url"}
    assert seen["receiver-1"] == seen["receiver-2"] == {"redis-url", "url-keys", "webhook-secrets"}
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

    settings.from_environ(environ)


def test_a_stopping_container_has_more_time_than_its_program() -> None:
    """Docker's ten seconds are shorter than a handler may take."""
    assert {SERVICES[name]["stop_grace_period"] for name in OURS} == {"40s"}


def test_the_receivers_believe_the_balancer_and_nobody_else() -> None:
    """Its network is the trusted one, and the addresses are in it."""
    trusted = SERVICES["receiver-1"]["environment"]["FRONTDESK_TRUSTED_PROXIES"]

    assert COMPOSE["networks"]["front"]["ipam"]["config"] == [{"subnet": trusted}]
    assert set(SERVICES["receiver-1"]["networks"]) == {"front", "store"}
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert all(f"server {name}:8000 " in nginx for name in ("receiver-1", "receiver-2"))
