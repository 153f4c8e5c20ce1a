"""From the name in routes.yaml to a function that takes an event: found, its options resolved, converted and checked.

A name without a colon is that of an installed plugin, from the entry-point group `frontdesk.handlers`; `log`, `forward`
and `archive` come through the same door. `module:function` is a module beside routes.yaml, or anywhere importable.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from receiver.core.errors import HandlerError
from receiver.core.events import Event
from workers.plugins import imports, injection, references, typed_records
from workers.plugins.error_text import masked, one_line
from workers.plugins.injection import Grant
from workers.plugins.options import checked, signature_of


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler with its options. *call* starts it; when *is_async*, what it returns is to be awaited.

    *secrets* are the values that `env/NAME` and `file/PATH` brought in: an error that quotes one shows asterisks.
    *record* is the type that a handler asks for by `Event[Booking]`; None: it takes the record as a dict. *paths* are
    the options that are paths, by name.
    """

    name: str
    is_async: bool
    call: Callable[[Event], Any]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    record: Any = None
    paths: Mapping[str, Path] = field(default_factory=dict)


def installed() -> tuple[str, ...]:
    """Return the names of all installed handlers, sorted, without importing any."""
    return imports.installed()


def load(
    name: str,
    options: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    folder: Path,
    grant: Grant | None = None,
) -> Handler:
    """Return the handler that *name* stands for, with its *options*; *folder* is that of routes.yaml.

    *grant* is what it gets if it asks for `nexudus: Nexudus`; without one it has to be given it by whoever calls it.

    Raises HandlerError with one sentence that names the handler: it is not there, cannot be imported or called with an
    event, or its options are unknown, missing, of the wrong type, or refer to what is not set. Harmless otherwise,
    whatever the plugin does when it is imported.
    """
    secrets: tuple[str, ...] = ()
    try:
        function = imports.find(name, folder)
        signature, asks = injection.separated(function, signature_of(function))
        resolved = references.resolve(options, environ=environ, folder=folder)
        secrets = resolved.secrets
        converted = checked(function, signature, resolved.options, secrets)
        call = injection.giving(functools.partial(function, **converted), asks, grant)
        call, record = typed_records.reading(call, function, signature)
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
        paths={option: value for option, value in converted.items() if isinstance(value, Path)},
    )


def check(name: str, options: Mapping[str, Any], *, environ: Mapping[str, str], folder: Path) -> None:
    """Raise what `load` would raise."""
    load(name, options, environ=environ, folder=folder)
