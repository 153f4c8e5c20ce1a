"""The parts that `up` runs on one machine, as data: each one's command, and what of the settings it gets to see."""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from receiver.core.settings import PREFIX, SECRETS
from receiver.process.supervisor import Command


@dataclass(frozen=True, slots=True)
class Part:
    """One child of `up`. *command*: what follows `frontdesk`. *secrets*: the secret settings that it gets to see.

    *last*: it is started when the receiver answers. *demo*: it runs only with --demo. *needs*: it runs only when one
    setting of each of these groups is set. *vital*: without it the others end, too. *defaults*: settings that it gets
    unless they are set.
    """

    name: str
    command: tuple[str, ...]
    secrets: frozenset[str] = frozenset()
    last: bool = False
    demo: bool = False
    needs: tuple[tuple[str, ...], ...] = ()
    vital: bool = True
    defaults: Mapping[str, str] = MappingProxyType({})

    def is_wanted(self, environ: Mapping[str, str], *, demo: bool) -> bool:
        """Say whether the part runs under *environ*."""
        return (demo or not self.demo) and all(
            any(environ.get(f"{PREFIX}{name.upper()}{end}") for name in group for end in ("", "_FILE"))
            for group in self.needs
        )


AT_NEXUDUS: Final = ("nexudus_password", "nexudus_totp", "nexudus_token")
"""What signs in at Nexudus; the worker needs it for handlers that ask for `nexudus`."""

PARTS: Final = (
    Part("receiver", ("serve",), frozenset({"redis_url", "url_keys", "webhook_secrets"})),
    Part("worker", ("work", "--grace", "5"), frozenset({"redis_url", "alert_urls", *AT_NEXUDUS})),
    Part(
        "console",
        ("console",),
        frozenset({"redis_url", "admin_token", "viewer_token", "webhook_secrets", "url_keys", *AT_NEXUDUS}),
        vital=False,  # somebody else may take its port before it does
    ),
    Part("nexudus", ("simulate", "--rate", "2"), frozenset({"webhook_secrets", "nexudus_password"}), demo=True),
    Part(
        "registrar",
        ("watch",),
        frozenset({"redis_url", "url_keys", "alert_urls", *AT_NEXUDUS}),
        last=True,
        needs=(("public_url",), ("nexudus_username", "nexudus_token")),
        vital=False,  # events come in and are handled whatever Nexudus thinks of our credentials
        defaults=MappingProxyType({"FRONTDESK_WATCH_EVERY": "30s"}),
    ),
)
"""In the order of their start. Everything else in this file and in `up` follows from this table."""


def children(
    environ: Mapping[str, str], *, demo: bool, processes: Mapping[str, int], ready: threading.Event
) -> list[Command]:
    """Return what the supervisor runs. *processes*: how many of a part; *ready*: set when the receiver answers."""
    wanted = (part for part in PARTS if part.is_wanted(environ, demo=demo))
    return [_child(part, environ, processes.get(part.name, 1), ready) for part in wanted]


def _child(part: Part, environ: Mapping[str, str], processes: int, ready: threading.Event) -> Command:
    hidden = {f"{PREFIX}{name.upper()}{end}" for name in SECRETS - part.secrets for end in ("", "_FILE")}
    many = ("--processes", str(processes)) if processes > 1 else ()
    return Command(
        part.name,
        # -P: a folder called receiver in the current directory is not the program.
        (sys.executable, "-P", "-m", "receiver", *part.command, *many),
        dict(part.defaults) | {name: value for name, value in environ.items() if name not in hidden},
        gate=ready if part.last else None,
        vital=part.vital,
    )
