"""Loads the handler that routes.yaml names: finds the function, and resolves, converts and checks its options.

A name without a colon is that of an installed plugin, from the entry-point group `frontdesk.handlers`; `log`, `forward`
and `archive` are plugins like any other. `module:function` is a module beside routes.yaml, or anywhere importable.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from receiver.core.errors import HandlerError
from receiver.core.events import Event
from workers.plugins import handler_lookup, injection, option_references, typed_records
from workers.plugins.injection import NexudusProvider
from workers.plugins.option_types import checked, signature_of
from workers.plugins.safe_error_text import masked, one_line


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler with its options. *call* runs it; when *is_async*, the result of *call* must be awaited.

    *secrets* are the values of `env/NAME` and `file/PATH`; asterisks replace them in errors. *record* is the type that
    a handler asks for by `Event[Booking]`; None: it takes the record as a dict. *options* are as the handler gets them.
    *preview* returns what it would send for an event, if it can tell (`previewed_by`). *enrich* returns an event with
    the records that its route enriches, *why_not* why the filter of the route does not let such an event pass; None: it
    has none.
    """

    name: str
    is_async: bool
    call: Callable[[Event], Any]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    record: Any = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    preview: Callable[[Event], Mapping[str, Any]] | None = None
    enrich: Callable[[Event], Event] | None = None
    why_not: Callable[[Event], str | None] | None = None

    @property
    def paths(self) -> dict[str, Path]:
        """The options that are paths, by name."""
        return {name: value for name, value in self.options.items() if isinstance(value, Path)}


def installed() -> tuple[str, ...]:
    """Return the names of all installed handlers, sorted, without importing any."""
    return handler_lookup.installed()


def load(
    name: str,
    options: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    folder: Path,
    provider: NexudusProvider | None = None,
    records: Collection[str] = (),
) -> Handler:
    """Return the handler called *name* with its *options*; *folder* is that of routes.yaml.

    *provider* makes the Nexudus for a handler that declares one; without a provider, the caller has to pass it.
    *records* are the names of the enriched records, which templates may name.

    Raises HandlerError with one sentence that names the handler: it is not there, cannot be imported or called with an
    event, or its options are unknown, missing, of the wrong type, or refer to what is not set. Harmless otherwise,
    whatever the plugin does when it is imported.
    """
    secrets: tuple[str, ...] = ()
    try:
        function = handler_lookup.find(name, folder)
        signature, asks = injection.without_nexudus(function, signature_of(function))
        resolved = option_references.resolve(options, environ=environ, folder=folder)
        secrets = resolved.secrets
        converted = checked(function, signature, resolved.options, secrets, records)
        call = injection.with_nexudus(functools.partial(function, **converted), asks, provider)
        call, record = typed_records.with_typed_record(call, function, signature)
    except HandlerError as error:
        raise HandlerError(
            f"handler {one_line(name, 120)!r}: {masked(str(error), secrets)}", option=error.option
        ) from None
    return Handler(
        name=name,
        is_async=inspect.iscoroutinefunction(function),
        call=call,
        secrets=secrets,
        record=record,
        options=converted,
        preview=_preview(function, converted),
    )


def _preview(function: Any, options: Mapping[str, Any]) -> Callable[[Event], Mapping[str, Any]] | None:
    preview = getattr(function, "preview", None)
    return functools.partial(preview, **options) if callable(preview) else None


def check(name: str, options: Mapping[str, Any], *, environ: Mapping[str, str], folder: Path) -> None:
    """Raise what `load` would raise."""
    load(name, options, environ=environ, folder=folder)
