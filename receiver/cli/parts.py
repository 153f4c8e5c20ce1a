"""The parts that `up` runs on one machine, as data: each one's command, and what of the settings it gets to see."""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from receiver.settings import PREFIX, SECRETS
from receiver.supervisor import Child


@dataclass(frozen=True, slots=True)
class Part:
    """One child of `up`. *command*: what follows `frontdesk`. *secrets*: the secret settings that it gets to see.

    *last*: it is started when the receiver answers. *demo*: it runs only with --demo.
    """

    name: str
    command: tuple[str, ...]
    secrets: frozenset[str] = frozenset()
    last: bool = False
    demo: bool = False


def _sender(name: str, action: str, rate: float) -> Part:
    command = ("send", action, "--count", "1000000", "--rate", str(rate))
    return Part(name, command, frozenset({"url_keys", "webhook_secrets"}), last=True, demo=True)


PARTS: Final = (
    Part("receiver", ("serve",), frozenset({"redis_url", "url_keys", "webhook_secrets"})),
    Part("worker", ("work", "--grace", "5"), frozenset({"redis_url"})),
    _sender("bookings", "BookingCreate", 1),
    _sender("check-ins", "CoworkerCheckin", 0.5),
    _sender("visitors", "VisitorRegistered", 0.2),
)
"""In the order of their start. Everything else in this file and in `up` follows from this table."""


def children(
    environ: Mapping[str, str], *, demo: bool, processes: Mapping[str, int], ready: threading.Event
) -> list[Child]:
    """Return what the supervisor runs. *processes*: how many of a part; *ready*: set when the receiver answers."""
    return [_child(part, environ, processes.get(part.name, 1), ready) for part in PARTS if demo or not part.demo]


def _child(part: Part, environ: Mapping[str, str], processes: int, ready: threading.Event) -> Child:
    hidden = {f"{PREFIX}{name.upper()}{end}" for name in SECRETS - part.secrets for end in ("", "_FILE")}
    many = ("--processes", str(processes)) if processes > 1 else ()
    return Child(
        part.name,
        # -P: a folder called receiver in the current directory is not the program.
        (sys.executable, "-P", "-m", "receiver", *part.command, *many),
        {name: value for name, value in environ.items() if name not in hidden},
        gate=ready if part.last else None,
    )
