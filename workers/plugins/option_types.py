"""A handler's keyword-only parameters are its options: read from its signature, converted and checked by pydantic."""

import functools
import inspect
import math
import re
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from receiver.core.errors import HandlerError
from receiver.core.suggest import hint
from workers.plugins.safe_error_text import describe, masked, one_line

Function = Callable[..., Any]

_LONGEST_SIGNATURE = 500


def signature_of(function: Function) -> inspect.Signature:
    """Return the signature of a handler. Raises HandlerError when it takes no event, or more by position."""
    _refuse_what_is_no_function(function)
    try:
        signature = _read(function)
    except (TypeError, ValueError):
        raise HandlerError("has no signature that Python can read; wrap it in a function of your own") from None
    positional = [p for p in signature.parameters.values() if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    starred = [p for p in signature.parameters.values() if p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
    if starred:
        raise HandlerError(
            f"takes {starred[0]}, so its options cannot be checked; name each of them: {_shown(function, signature)}"
        )
    if not positional:
        raise HandlerError(
            f"takes no event; write def name(event, *, option: type = default), not {_shown(function, signature)}"
        )
    if len(positional) > 1:
        extra = positional[1].name
        raise HandlerError(
            f"takes {extra!r} by position; write '*, ' before it to make it an option: {_shown(function, signature)}"
        )
    return signature


def _read(function: Function) -> inspect.Signature:
    """Return the signature. Python 3.14 reads annotations only now, and one may be imported for type checkers alone."""
    try:
        return inspect.signature(function)
    except NameError:
        if sys.version_info >= (3, 14):
            import annotationlib

            return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
        raise


def _refuse_what_is_no_function(function: object) -> None:
    if inspect.isclass(function):
        raise HandlerError("is a class; a handler is a function")
    if not callable(function):
        raise HandlerError(f"is {_a(type(function).__name__)}, not a function")
    plain = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        plain = inspect.unwrap(plain.func)
    if not inspect.isroutine(plain):
        raise HandlerError(f"is {_a(type(plain).__name__)} object; a handler is a function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise HandlerError(
            "is a generator (it has a yield), so calling it would run none of it; a handler is a function"
        )


def checked(
    function: Function,
    signature: inspect.Signature,
    options: Mapping[str, Any],
    secrets: tuple[str, ...],
    records: Collection[str] = (),
) -> dict[str, Any]:
    """Return *options* converted to the types that *function* declares.

    *records*, the names of enriched records, are the context of the validation; templates may name them.

    Raises HandlerError for an option that is unknown, is missing, or has the wrong type.
    """
    takes = {p.name: p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    shown = f"it takes {_shown(function, signature)}"
    for name in options:
        if name not in takes:
            meant = hint(name, takes) or ";"
            raise HandlerError(f"unknown option {one_line(name, 80)!r}{meant} {shown}", option=name)
    for name, parameter in takes.items():
        if name not in options and parameter.default is parameter.empty:
            raise HandlerError(f"option {name!r} is missing; {shown}", option=name)
    converted = {}
    for name, value in options.items():
        try:
            converted[name] = _converted(annotation(function, takes[name]), value, records)
        except ValidationError as error:
            raise HandlerError(f"{_first(name, error, secrets)}; {shown}", option=name) from None
        except HandlerError as error:
            raise HandlerError(f"option {name!r}: {error}; {shown}", option=name) from None
    return converted


def annotation(function: Function, parameter: inspect.Parameter, *, extras: bool = True) -> Any:
    """Return the type of one option. Others are not resolved: `event: "Event"` may be imported for type checkers only.

    Without *extras*, the metadata of `Annotated` is left out, for display.
    """
    if parameter.annotation is parameter.empty:
        return Any
    plain: Any = inspect.unwrap(function)
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        hints = typing.get_type_hints(holder, globalns=getattr(plain, "__globals__", {}), include_extras=extras)
    except Exception as error:  # noqa: BLE001 - an annotation is foreign code
        raise HandlerError(f"its type {parameter.annotation!r} cannot be read: {describe(error)}") from None
    return hints[parameter.name]


def _converted(wanted: Any, value: object, records: Collection[str]) -> object:
    try:
        adapter = TypeAdapter(wanted)
    except PydanticUserError:
        raise HandlerError(f"a {getattr(wanted, '__name__', wanted)} cannot be given in routes.yaml") from None
    try:
        result = adapter.validate_python(value, context=records)
    except ValidationError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator is foreign code
        raise HandlerError(f"its check failed: {type(error).__name__}") from None
    if isinstance(value, bool) and isinstance(result, int | float) and not isinstance(result, bool):
        raise HandlerError("input should be a number, not true or false")
    if isinstance(result, float) and not math.isfinite(result):
        raise HandlerError("input should be a finite number")
    return result


def _first(name: str, error: ValidationError, secrets: tuple[str, ...]) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join([name, *(str(part) for part in first["loc"])])
    # Some messages quote the input; masked before anything else is done to the text.
    message = masked(first["msg"].removeprefix("Value error, "), secrets)
    return one_line(f"option {one_line(where, 120)!r}: {message[:1].lower()}{message[1:]}", 400)


def _shown(function: Function, signature: inspect.Signature) -> str:
    """Return the parameters for display: without the type of the event, which every handler takes."""
    parameters = list(signature.parameters.values())
    try:
        shown = [
            p.replace(annotation=annotation(function, p, extras=False))
            if p.kind is p.KEYWORD_ONLY and p.annotation is not p.empty
            else p.replace(annotation=p.empty)
            for p in parameters
        ]
        text = str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
        text = re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text)  # the names of types, without their modules
    except Exception:  # noqa: BLE001 - an annotation and the representation of a default are foreign code
        text = f"({', '.join(p.name for p in parameters)})"
    return one_line(text, _LONGEST_SIGNATURE)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"
