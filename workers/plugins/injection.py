"""Injects `nexudus: Nexudus`: a keyword-only parameter of a handler, under any name, that is not an option."""

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from receiver.core.events import Event
from receiver.nexudus.actions import entity_kind
from workers.nexudus.lookup import AttemptContext, Nexudus, Transport
from workers.plugins.option_types import Function, annotation

_LEAST_LEFT_S = 1.0
_LEFT = 0.2
_MOST_LEFT = 0.5


class CheckedTransport(Transport, Protocol):
    """A transport that can check its settings without calling Nexudus."""

    def check(self) -> None:
        """Raise HandlerError unless the settings have credentials for Nexudus."""


@dataclass(frozen=True, slots=True)
class NexudusProvider:
    """Makes the Nexudus objects for the handlers of a route. *timeout_s* is that of an attempt."""

    transport: CheckedTransport
    writes: bool
    timeout_s: float

    def nexudus(self, event: Event[Any]) -> Nexudus:
        """Return a Nexudus for an attempt that starts now. It may wait until a fifth of the attempt's time is left."""
        left = min(max(_LEAST_LEFT_S, _LEFT * self.timeout_s), _MOST_LEFT * self.timeout_s)
        late = time.monotonic() + self.timeout_s - left
        number = event.data.get("Id") if isinstance(event.data, dict) else getattr(event.data, "Id", None)
        about = number if isinstance(number, int) else 0
        fresh_ms = int(event.received_at.timestamp() * 1_000)
        attempt = AttemptContext(late, fresh_ms, entity_kind(event.action), about)
        return Nexudus(self.transport, attempt, writes=self.writes)


def without_nexudus(function: Function, signature: inspect.Signature) -> tuple[inspect.Signature, str | None]:
    """Return the signature without the parameter for Nexudus, and that parameter's name; None: there is none."""
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and _asks_for_nexudus(function, parameter):
            others = [one for one in signature.parameters.values() if one is not parameter]
            return signature.replace(parameters=others), parameter.name
    return signature, None


def with_nexudus(
    call: Callable[[Event], Any], name: str | None, provider: NexudusProvider | None
) -> Callable[[Event], Any]:
    """Return *call* with a Nexudus passed as *name*. Raises HandlerError when the settings lack the credentials."""
    if name is None or provider is None:
        return call
    provider.transport.check()
    return functools.partial(_give, call, name, provider)


def _give(call: Callable[..., Any], name: str, provider: NexudusProvider, event: Event) -> Any:
    return call(event, **{name: provider.nexudus(event)})


def _asks_for_nexudus(function: Function, parameter: inspect.Parameter) -> bool:
    written = parameter.annotation
    if isinstance(written, str):
        # Others are left alone: what is imported for type checkers only cannot be found.
        written = annotation(function, parameter) if "Nexudus" in written else None
    return Nexudus in (written, *get_args(written))
