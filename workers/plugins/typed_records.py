"""A handler that takes `event: Event[Booking]` gets the record as a Booking, validated by pydantic.

Any type works that pydantic can build from a mapping: those of `workers.records`, and your own models.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from receiver.core.errors import HandlerError
from receiver.core.events import Event
from workers.plugins.option_types import Function, annotation
from workers.plugins.safe_error_text import one_line

_MOST_SHOWN = 3


class RecordUnfit(Exception):
    """The record does not fit the type that the handler takes. Another attempt would get the same record."""


def with_typed_record(
    call: Callable[[Event], Any], function: Function, signature: inspect.Signature
) -> tuple[Callable[[Event], Any], Any]:
    """Return *call* wrapped so that it gets the event as the handler declares it, and the record's type (None: a dict).

    The wrapper raises RecordUnfit, which never quotes the value of a field. Raises HandlerError for a type that cannot
    be resolved, or that pydantic cannot build.
    """
    wanted = _record(function, signature)
    if wanted is None:
        return call, None
    name = getattr(wanted, "__name__", str(wanted))
    try:
        adapter = TypeAdapter[Any](wanted)
    except PydanticUserError:
        raise HandlerError(
            f"takes Event[{name}], but no {name} can be made of a record; use a pydantic model"
        ) from None
    return functools.partial(_call, call, adapter, name), wanted


def _call(call: Callable[[Event], Any], adapter: TypeAdapter[Any], name: str, event: Event) -> Any:
    try:
        data = adapter.validate_python(event.data)
    except ValidationError as error:
        raise RecordUnfit(f"the record is not a valid {name}: {_shown(error)}") from None
    return call(dataclasses.replace(event, data=data))


def _shown(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, one['loc'])) or 'the whole of it'}: {one['msg']}" for one in found[:_MOST_SHOWN]]
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return one_line("; ".join(shown) + more, 400)


def _record(function: Function, signature: inspect.Signature) -> Any:
    """Return the type between the brackets of `Event[...]`, or None when the handler takes a dict."""
    first = next(iter(signature.parameters.values()))
    written = first.annotation
    # A plain `Event` may be imported for type checkers alone; it need not be found.
    if written is first.empty or (isinstance(written, str) and "[" not in written):
        return None
    declared = annotation(function, first) if isinstance(written, str) else written
    if get_origin(declared) is not Event:
        return None
    (wanted,) = get_args(declared)
    return None if wanted is Any or (get_origin(wanted) or wanted) in (dict, Mapping) else wanted
