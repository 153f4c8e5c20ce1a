"""Checks whether a record that a person wrote fits the type of its action. Records from Nexudus are never checked."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from receiver.nexudus import actions, records
from receiver.nexudus.records.record import Record


def unfit(action: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Return for each field whose value has the wrong type a sentence that says what is expected there.

    The sentences quote no value. Actions without a type, and fields that the type does not declare, always fit.
    """
    kind = actions.entity_kind(action)
    wanted = by_name().get(kind, Record)
    found: dict[str, str] = {}
    for name, field in wanted.model_fields.items():
        if name not in record:
            if field.is_required():
                found[name] = "is required"
            continue
        try:
            _adapter(wanted, name).validate_python(record[name])
        except ValidationError as error:
            (first, *_) = error.errors(include_input=False, include_url=False, include_context=False)
            found[name] = first["msg"]
    return found


@cache
def by_name() -> dict[str, type[Record]]:
    """Return the types of records by their kind."""
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    kinds: list[type[Record]] = Record.__subclasses__()
    return {one.__name__: one for one in kinds if one.__module__.startswith(f"{records.__name__}.")}


@cache
def _adapter(wanted: type[Record], name: str) -> TypeAdapter[Any]:
    field = wanted.model_fields[name]
    annotation: Any = field.annotation
    for one in field.metadata:
        annotation = Annotated[annotation, one]
    return TypeAdapter(annotation, config={"coerce_numbers_to_str": True, "hide_input_in_errors": True})
