"""Each part of `up` gets what it needs of the environment and no secret beyond."""

import threading

import pytest

from receiver.cli.up import up_processes
from receiver.core.settings import SECRETS
from receiver.process.supervisor import Command

EVERYTHING = {f"FRONTDESK_{name.upper()}": "hush" for name in SECRETS} | {
    f"FRONTDESK_{name.upper()}_FILE": "hush" for name in SECRETS
}


def _children(
    more: dict[str, str] | None = None,
    *,
    demo: bool = True,
    processes: dict[str, int] | None = None,
    hush: dict[str, str] = EVERYTHING,
) -> dict[str, Command]:
    environ = hush | (more or {}) | {"PATH": "/bin", "FRONTDESK_PORT": "1", "CRM_SECRET": "for a handler"}
    found = up_processes.children(environ, demo=demo, processes=processes or {}, ready=threading.Event())
    return {child.name: child for child in found}


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("receiver", {"REDIS_URL", "URL_KEYS", "WEBHOOK_SECRETS"}),
        ("worker", {"REDIS_URL", "ALERT_URLS", "NEXUDUS_PASSWORD", "NEXUDUS_TOTP", "NEXUDUS_TOKEN"}),
        ("nexudus", {"WEBHOOK_SECRETS", "NEXUDUS_PASSWORD"}),
        ("registrar", {"REDIS_URL", "URL_KEYS", "ALERT_URLS", "NEXUDUS_PASSWORD", "NEXUDUS_TOTP", "NEXUDUS_TOKEN"}),
    ],
)
def test_a_part_sees_only_its_own_secrets(name: str, seen: set[str]) -> None:
    """The receiver no API credentials, the worker no URL keys; handlers' own secrets reach them."""
    environ = _children(NEXUDUS)[name].environ or {}

    hush = {key for key, value in environ.items() if value == "hush"}
    assert hush == {f"FRONTDESK_{secret}{end}" for secret in seen for end in ("", "_FILE")}
    assert (environ["PATH"], environ["FRONTDESK_PORT"], environ["CRM_SECRET"]) == ("/bin", "1", "for a handler")


NEXUDUS = {"FRONTDESK_PUBLIC_URL": "https://hooks.example", "FRONTDESK_NEXUDUS_USERNAME": "user"}


def test_the_registrar_waits_for_the_receiver_and_the_rest_does_not() -> None:
    """Events before the receiver listens would be refused."""
    children = _children(NEXUDUS)

    gated = {name: bool(child.gate) for name, child in children.items()}
    assert gated == {"receiver": False, "worker": False, "nexudus": False, "registrar": True, "console": False}


def test_the_registrar_runs_when_it_can_sign_in() -> None:
    """A public URL, and a user or a token; a token from a file too."""
    bare = {"FRONTDESK_PUBLIC_URL": "https://hooks.example"}
    environs = [{}, bare, NEXUDUS, bare | {"FRONTDESK_NEXUDUS_TOKEN_FILE": "token"}]

    runs = ["registrar" in _children(environ, demo=False, hush={}) for environ in environs]

    assert runs == [False, False, True, True]


def test_without_the_demo_there_is_no_nexudus() -> None:
    """Nothing invents events."""
    assert list(_children(demo=False)) == ["receiver", "worker", "console"]


def test_several_processes_of_a_part_are_asked_of_its_command() -> None:
    """The part's own parent looks after them."""
    children = _children(processes={"worker": 3})

    assert children["worker"].argv[-2:] == ("--processes", "3")
    assert "--processes" not in children["receiver"].argv
