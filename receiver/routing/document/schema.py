"""The JSON Schema of routes.yaml, for editors that complete and check the file while it is edited."""

from collections.abc import Collection
from typing import Any

from receiver.core import durations
from receiver.routing.document.shapes import Document
from receiver.routing.route import NEVER

_LISTS_OR_ONE = ("action", "business", "cancelled_by")
_MILLISECONDS = ("timeout", "retry")


def schema(known_actions: Collection[str]) -> dict[str, Any]:
    """Return a JSON Schema (2020-12) of every key and action. It checks neither CEL nor the options of handlers."""
    made = Document.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "routes.yaml"
    for shape in made["$defs"].values():
        shape["properties"] = {name: _written(name, value) for name, value in shape["properties"].items()}
    made["properties"]["businesses"]["default"] = "all"
    names = sorted(set(known_actions) - {NEVER})
    made["$defs"]["ExampleShape"]["properties"]["action"]["enum"] = names
    made["$defs"]["Action"] = {
        "anyOf": [{"enum": names}, {"type": "string", "pattern": r"^[A-Za-z0-9]*\*[A-Za-z0-9*]*$"}]
    }
    return made


def _written(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key as people write it, which allows shorter forms than the parsed value."""
    value = {key: content for key, content in value.items() if key != "title"}
    if {"type": "null"} in value.get("anyOf", []):
        kinds = [kind for kind in value.pop("anyOf") if kind != {"type": "null"}]
        value |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if value.get("default", value) is None:
        del value["default"]
    if name in _MILLISECONDS and "default" in value:
        default = value["default"]
        value["default"] = (
            durations.show(default) if isinstance(default, int) else [durations.show(delay) for delay in default]
        )
    if name in _LISTS_OR_ONE and "items" in value:
        items = value.pop("items")
        items = {"$ref": "#/$defs/Action"} if name in ("action", "cancelled_by") else items
        del value["type"]
        value["anyOf"] = [items, {"type": "array", "items": items, "minItems": 1}]
    return value
