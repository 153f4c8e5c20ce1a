"""Tools, made of the endpoints of the API, and the requests that their calls become. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from receiver.console.api.document import input_schema
from receiver.console.api.endpoint import PATH_PARAMETERS, Endpoint
from receiver.console.api.endpoints import ENDPOINTS
from receiver.core.errors import UsageError
from receiver.core.sanitize import plain
from receiver.core.suggest import hint

_NOT_OFFERED: Final = frozenset({"redact", "text"})
"""Records are always masked, and a search for a text reveals what is in them."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One endpoint as a tool. *schema*: JSON Schema of its arguments, those of path, query and body together."""

    endpoint: Endpoint
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.name


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the API: *path* below its base; *body* None: there is none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None


def tools(*, write: bool) -> dict[str, Tool]:
    """Return the tools by name; those that change something only when *write*."""
    offered = [one for one in ENDPOINTS if one.tool and (write or one.may_view)]
    return {one.name: Tool(one, _schema(one)) for one in offered}


def request_of(known: Mapping[str, Tool], name: str, arguments: Mapping[str, Any]) -> ApiRequest:
    """Return the request that a call becomes; the API checks the values. Raises UsageError."""
    tool = known.get(name)
    if tool is None:
        raise UsageError(f"{plain(name)[:60]}: no tool has this name{hint(name, known)}")
    endpoint, left = tool.endpoint, dict(arguments)
    taken = tool.schema["properties"]
    if unknown := next((one for one in left if one not in taken), None):
        raise UsageError(f"{plain(unknown)[:60]}: {name} takes no such argument{hint(unknown, taken)}")
    if missing := next((one for one in tool.schema["required"] if one not in left), None):
        raise UsageError(f"{missing}: it is missing; {name} requires it")
    names = {one: quote(str(left.pop(one)), safe="") for one in endpoint.path_names}
    path = endpoint.path.format(**names)
    if endpoint.body is not None:
        return ApiRequest(endpoint.method, path, {}, left)
    query = {one: _written(value) for one, value in left.items() if value is not None}
    return ApiRequest(endpoint.method, path, query | {"redact": "true"}, None)


def _schema(endpoint: Endpoint) -> dict[str, Any]:
    properties: dict[str, Any] = {name: PATH_PARAMETERS[name] for name in endpoint.path_names}
    required = list(endpoint.path_names)
    shape: dict[str, Any] = {}
    if model := endpoint.body or endpoint.query:
        shape = input_schema(model)
        properties |= {name: value for name, value in shape["properties"].items() if name not in _NOT_OFFERED}
        required += shape.get("required", [])
    found = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return found | ({"$defs": shape["$defs"]} if "$defs" in shape else {})


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
